//! `when:` a condition in CEL over the fields of an event.
//!
//! An expression is parsed, each name in it is looked up, each call is tried once on a sample of
//! every type of value, and what it can cost is estimated; only then it is taken. The pattern of
//! `matches` has to stand in the expression, so that it is compiled once. What is not known of an
//! event is the empty text or list, -1 or false.

use std::sync::{Arc, LazyLock};

use cel::{
    Context, Env, ExecutionError, Value as CelValue,
    common::{
        ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo},
        types::{CelBool, CelInt, CelList, CelString},
        value::{CowVal, Val},
    },
    context::VariableResolver,
    objects::ValueType,
    parser::Parser,
};
use regex::Regex;
use sentry_yaml::nearest;

use crate::{
    cost,
    field::{Facts, Field, Kind, Value},
    kind::{Types, Verb},
    pattern,
};

/// Most bytes of an expression.
const MOST_BYTES: usize = 1 << 10;
/// Deepest nesting.
const DEEPEST: u16 = 48;
/// What `matches` with a pattern that is compiled is called: nobody can write that name.
const COMPILED: &str = "@matches";

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Why an expression has no answer for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError(pub String);

/// A condition that was checked.
#[derive(Debug)]
pub(crate) struct Expression {
    parsed: IdedExpr,
    regexes: Arc<[Regex]>,
    /// The most that it touches.
    pub(crate) cost: u64,
}

impl Expression {
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn new(text: &str, verbs: &[Verb]) -> Result<Self, Vec<String>> {
        if text.len() > MOST_BYTES {
            return Err(vec![format!("`when` has {} bytes; at most {MOST_BYTES} are taken", text.len())]);
        }
        let parser = Parser::new().max_recursion_depth(DEEPEST);
        let (mut parsed, source) = parser.parse_with_source_info(text).map_err(|errors| {
            let one = |error: cel::ParseError| {
                // The first line says what it is; those behind show where.
                let what = error.msg.lines().next().unwrap_or_default().to_owned();
                format!("`when` cannot be read at character {}: {what}", error.pos.1.max(1))
            };
            errors.errors.into_iter().map(one).collect::<Vec<_>>()
        })?;
        let mut check =
            Check { source: &source, verbs, regexes: Vec::new(), wrong: Vec::new(), scope: Vec::new() };
        check.names(&mut parsed);
        let Check { regexes, mut wrong, .. } = check;
        let cost = cost::of(&parsed);
        let expression = Self { parsed, regexes: regexes.into(), cost };
        if wrong.is_empty() {
            wrong = expression.tried(&source);
        }
        if cost > cost::MOST {
            wrong.push(format!(
                "`when` may touch {cost} bytes of one event, and {} are allowed; look at a list once, and do not \
                 join texts",
                cost::MOST
            ));
        }
        if wrong.is_empty() { Ok(expression) } else { Err(wrong) }
    }

    /// Whether it holds for an event.
    pub(crate) fn holds(&self, facts: &dyn Facts) -> Result<bool, EvalError> {
        let variables = Variables(facts);
        let context = self.context(&variables)?;
        let value =
            CelValue::resolve_val(&self.parsed, &context).map_err(|error| EvalError(error.to_string()))?;
        match value.downcast_ref::<CelBool>() {
            Some(holds) => Ok(*holds.inner()),
            None => Err(EvalError("the condition is neither true nor false".to_owned())),
        }
    }

    fn context<'v>(&self, variables: &'v Variables<'v>) -> Result<Context<'v, 'v>, EvalError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(variables);
        if !self.regexes.is_empty() {
            let regexes = Arc::clone(&self.regexes);
            let matches = move |text: Arc<String>, number: i64| -> bool {
                let regex = usize::try_from(number).ok().and_then(|number| regexes.get(number));
                regex.is_some_and(|regex| regex.is_match(&text))
            };
            context.add_function(COMPILED, matches).map_err(|error| EvalError(error.to_string()))?;
        }
        Ok(context)
    }

    /// What is wrong with its calls, and with what comes out.
    fn tried(&self, source: &SourceInfo) -> Vec<String> {
        let variables = Variables(&Sample);
        let context = match self.context(&variables) {
            Ok(context) => context,
            Err(EvalError(what)) => return vec![what],
        };
        let mut wrong = Vec::new();
        calls(&self.parsed, &context, &mut |expression, what| {
            let at = source.offset_for(expression.id).map_or(1, |(start, _)| start + 1);
            let what = format!("`when`, at character {at}: {what}");
            if !wrong.contains(&what) {
                wrong.push(what);
            }
        });
        if wrong.is_empty()
            && let Ok(value) = CelValue::resolve(&self.parsed, &context)
            && !matches!(value, CelValue::Bool(_))
        {
            wrong.push(format!(
                "`when` is a {}; write a condition, which is true or false",
                named(value.type_of())
            ));
        }
        wrong
    }
}

/// Looks up every name, and compiles the patterns.
struct Check<'a> {
    source: &'a SourceInfo,
    verbs: &'a [Verb],
    regexes: Vec<Regex>,
    wrong: Vec<String>,
    /// Names that the expression itself gives.
    scope: Vec<String>,
}

impl Check<'_> {
    fn wrong(&mut self, expression: u64, what: &str) {
        let at = self.source.offset_for(expression).map_or(1, |(start, _)| start + 1);
        self.wrong.push(format!("`when`, at character {at}: {what}"));
    }

    fn names(&mut self, expression: &mut IdedExpr) {
        let id = expression.id;
        match &mut expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if !self.scope.contains(name)
                    && let Err(what) = field(name, self.verbs)
                {
                    self.wrong(id, &what);
                }
            }
            Expr::Select(select) => {
                let field = select.field.clone();
                self.names(&mut select.operand);
                self.wrong(id, &format!("no field has parts, and so no `.{field}`"));
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.names(element)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.names(&mut entry.key);
                        self.names(&mut entry.value);
                    }
                }
            }
            Expr::Struct(made) => {
                let what = format!("there is no type `{}` to make a value of", made.type_name);
                self.wrong(id, &what);
            }
            Expr::Call(call) => {
                call.target.iter_mut().for_each(|target| self.names(target));
                call.args.iter_mut().for_each(|argument| self.names(argument));
                if call.func_name == "matches" {
                    self.pattern(id, call);
                }
            }
            Expr::Comprehension(comprehension) => {
                self.names(&mut comprehension.iter_range);
                self.names(&mut comprehension.accu_init);
                let before = self.scope.len();
                self.scope.push(comprehension.iter_var.clone());
                self.scope.extend(comprehension.iter_var2.clone());
                self.scope.push(comprehension.accu_var.clone());
                self.names(&mut comprehension.loop_cond);
                self.names(&mut comprehension.loop_step);
                self.names(&mut comprehension.result);
                self.scope.truncate(before);
            }
        }
    }

    /// `text.matches('…')` and `matches(text, '…')` become a call with the number of the pattern.
    fn pattern(&mut self, id: u64, call: &mut CallExpr) {
        let pattern = match call.args.last().map(|argument| &argument.expr) {
            Some(Expr::Literal(LiteralValue::String(pattern))) => pattern.inner().to_owned(),
            _ => return self.wrong(id, "the pattern of `matches` has to stand there as a text"),
        };
        if call.args.len() + usize::from(call.target.is_some()) != 2 {
            return self.wrong(id, "`matches` takes a text and a pattern, such as path.matches('^/etc/')");
        }
        if self.regexes.len() >= pattern::MOST_PATTERNS {
            return self.wrong(id, &format!("more than {} patterns in one rule", pattern::MOST_PATTERNS));
        }
        match pattern::check(&pattern) {
            Ok(regex) => {
                let number = i64::try_from(self.regexes.len()).unwrap_or_default();
                self.regexes.push(regex);
                call.func_name = COMPILED.to_owned();
                if let Some(last) = call.args.last_mut() {
                    last.expr = Expr::Literal(LiteralValue::Int(CelInt::from(number)));
                }
                call.args.splice(0..0, call.target.take().map(|target| *target));
            }
            Err(what) => self.wrong(id, &what),
        }
    }
}

/// The field of that name, if events of one of these verbs have it.
pub(crate) fn field(name: &str, verbs: &[Verb]) -> Result<Field, String> {
    let Some(field) = Field::named(name) else {
        let known =
            Field::ALL.iter().filter(|field| verbs.is_empty() || verbs.iter().any(|verb| field.is_of(*verb)));
        return Err(match nearest(name, known.map(|field| field.name())) {
            Some(meant) => format!("there is no field `{name}`; did you mean `{meant}`?"),
            None => format!("there is no field `{name}`; `sentry rules fields` lists them"),
        });
    };
    if verbs.is_empty() || verbs.iter().any(|verb| field.is_of(*verb)) {
        return Ok(field);
    }
    let list = |verbs: &[Verb]| verbs.iter().map(|verb| verb.name()).collect::<Vec<_>>().join(", ");
    Err(format!("no event of {} has `{name}`; events of {} have it", list(verbs), list(field.verbs())))
}

/// Tries each call by itself: an operator that joins conditions hides what is wrong on one side.
fn calls(expression: &IdedExpr, context: &Context<'_, '_>, wrong: &mut dyn FnMut(&IdedExpr, String)) {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Select(_) | Expr::Struct(_) => {}
        Expr::List(list) => list.elements.iter().for_each(|element| calls(element, context, wrong)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    calls(&entry.key, context, wrong);
                    calls(&entry.value, context, wrong);
                }
            }
        }
        Expr::Call(call) => {
            let mut count = 0;
            let mut within = |part: &IdedExpr, what| {
                count += 1;
                wrong(part, what);
            };
            let parts = call.target.as_deref().into_iter().chain(&call.args);
            parts.for_each(|part| calls(part, context, &mut within));
            if count == 0
                && let Some(what) = tried(call, expression, context)
            {
                wrong(expression, what);
            }
        }
        Expr::Comprehension(over) => {
            calls(&over.iter_range, context, wrong);
            let Ok(CelValue::List(range)) = CelValue::resolve(&over.iter_range, context) else {
                return wrong(expression, "only a list can be looked through".to_owned());
            };
            let Ok(gathered) = CelValue::resolve(&over.accu_init, context) else { return };
            let Some(first) = range.first() else { return };
            let mut within = context.new_inner_scope();
            within.add_variable_from_value(over.iter_var.as_str(), first.clone());
            within.add_variable_from_value(over.accu_var.as_str(), gathered);
            calls(&over.loop_step, &within, wrong);
        }
    }
}

/// What is wrong with one call, apart from its parts.
fn tried(call: &CallExpr, expression: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let value = |part: &IdedExpr| CelValue::resolve(part, context).ok().map(|value| value.type_of());
    if matches!(call.func_name.as_str(), "_==_" | "_!=_")
        && let [left, right] = call.args.as_slice()
        && let (Some(left), Some(right)) = (value(left), value(right))
        && !is_same(left, right)
    {
        return Some(format!("a {} is never equal to a {}", named(left), named(right)));
    }
    match CelValue::resolve(expression, context) {
        // With other values there may be none of these.
        Ok(_)
        | Err(
            ExecutionError::IndexOutOfBounds(_)
            | ExecutionError::DivisionByZero(_)
            | ExecutionError::RemainderByZero(_)
            | ExecutionError::Overflow(..)
            | ExecutionError::FunctionError { .. },
        ) => None,
        Err(ExecutionError::UndeclaredReference(name)) => Some(format!("there is no function `{name}`")),
        Err(error) => Some(error.to_string()),
    }
}

fn is_same(left: ValueType, right: ValueType) -> bool {
    let is_number = |of| matches!(of, ValueType::Int | ValueType::UInt | ValueType::Float);
    named(left) == named(right) || (is_number(left) && is_number(right))
}

fn named(of: ValueType) -> &'static str {
    match of {
        ValueType::List => "list",
        ValueType::Map => "map",
        ValueType::Int | ValueType::UInt | ValueType::Float => "number",
        ValueType::String => "text",
        ValueType::Bytes => "text of bytes",
        ValueType::Bool => "condition",
        ValueType::Null => "null",
        _ => "value of another kind",
    }
}

/// The fields of an event, as an expression asks for them.
struct Variables<'a>(&'a dyn Facts);

impl VariableResolver for Variables<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let field = Field::named(variable)?;
        Some(match self.0.get(field) {
            Some(Value::Text(std::borrow::Cow::Borrowed(text))) => CowVal::owned(CelString::from(text)),
            Some(Value::Text(std::borrow::Cow::Owned(text))) => CowVal::owned(CelString::from(text)),
            Some(Value::List(texts)) => {
                let texts = texts
                    .iter()
                    .map(|text| -> Box<dyn Val + 'b> { Box::new(CelString::from(text.as_str())) });
                CowVal::owned(CelList::from(texts.collect::<Vec<_>>()))
            }
            Some(Value::Number(number)) => CowVal::owned(CelInt::from(number)),
            Some(Value::Flag(flag)) => CowVal::owned(CelBool::from(flag)),
            None => match field.kind() {
                Kind::Text => CowVal::owned(CelString::from("")),
                Kind::List => CowVal::owned(CelList::from(Vec::new())),
                Kind::Number => CowVal::owned(CelInt::from(-1)),
                Kind::Flag => CowVal::owned(CelBool::from(false)),
            },
        })
    }
}

/// A value of each kind, to try an expression on.
struct Sample;

impl Facts for Sample {
    fn types(&self) -> Types {
        Types::default()
    }

    fn get(&self, field: Field) -> Option<Value<'_>> {
        static ONE: LazyLock<Vec<String>> = LazyLock::new(|| vec![String::new()]);
        Some(match field.kind() {
            Kind::Text => Value::Text("".into()),
            Kind::List => Value::List(&ONE),
            Kind::Number => Value::Number(1),
            Kind::Flag => Value::Flag(true),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(text: &str) -> Vec<String> {
        Expression::new(text, &[Verb::Connect]).map(drop).unwrap_err()
    }

    #[test]
    fn a_condition_over_the_fields_of_its_events_is_taken() {
        for text in [
            "port != 443",
            "address.startsWith('10.') && uid == 0",
            "argv.exists(a, a.matches('^--?x')) || matches(exe, '/curl$')",
            "port in [80, 443]",
            "size(argv) > 3 ? true : command.contains('x')",
            "argv[0] == 'sh'",
            "argv.filter(a, a == 'x').size() > 1",
        ] {
            assert_eq!(Expression::new(text, &[Verb::Connect]).map(drop), Ok(()), "{text}");
        }
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_to_do() {
        for (text, expected) in [
            ("prot == 1", "`when`, at character 1: there is no field `prot`; did you mean `port`?"),
            (
                "uid == 0 && record_type == 'A'",
                "`when`, at character 13: no event of connect has `record_type`; events of dns have it",
            ),
            ("port == '443'", "`when`, at character 6: a number is never equal to a text"),
            ("true || exe.starts('x')", "`when`, at character 19: there is no function `starts`"),
            (
                "argv.exists(a, a > 1)",
                "`when`, at character 18: found no matching overload for '_>_' applied to '(string, int)'",
            ),
            (
                "command.matches(exe)",
                "`when`, at character 16: the pattern of `matches` has to stand there as a text",
            ),
            (
                "exe.matches('(')",
                "`when`, at character 12: \"(\" is not a regular expression: unclosed group",
            ),
            (
                "destination.port == 1",
                "`when`, at character 1: there is no field `destination`; `sentry rules fields` lists them",
            ),
            ("port", "`when` is a number; write a condition, which is true or false"),
        ] {
            assert_eq!(wrong(text).first().map(String::as_str), Some(expected), "{text}");
        }
        assert!(wrong("port ==").first().unwrap().starts_with("`when` cannot be read at character"));
    }

    #[test]
    fn what_costs_too_much_is_refused_before_it_is_evaluated() {
        let doubles = ".map(x, x + x)".repeat(20);
        for text in [
            "argv.all(a, argv.all(b, a != b))",
            &format!("[exe]{doubles}.size() > 1"),
            "argv.map(a, command + a).size() > 1",
        ] {
            assert!(wrong(text).last().unwrap().contains("are allowed"), "{text}: {:?}", wrong(text));
        }
    }

    #[test]
    fn what_is_not_known_is_empty_and_no_error() {
        struct Nothing;
        impl Facts for Nothing {
            fn types(&self) -> Types {
                Types::default()
            }

            fn get(&self, _field: Field) -> Option<Value<'_>> {
                None
            }
        }
        let text = "exe == '' && port == -1 && size(argv) == 0 && !address.startsWith('1')";
        assert_eq!(Expression::new(text, &[Verb::Connect]).unwrap().holds(&Nothing), Ok(true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_an_expression_or_an_error(text in r#"[ -~]{0,60}|([a-z]{1,4}|[0-9]|[-+*/%()\[\]{}.,?:!&|=<>'"]){0,40}"#) {
            if let Ok(expression) = Expression::new(&text, &[Verb::Exec]) {
                drop(expression.holds(&Sample));
            }
        }
    }
}
