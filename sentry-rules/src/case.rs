//! A case beside a rule: an event, and the verdict that the rule has to have on it.

use std::{borrow::Cow, collections::BTreeMap};

use serde_saphyr::{Location, Spanned};

use crate::{
    expression,
    field::{Facts, Field, Kind, Value},
    file::{CaseFile, CaseValue, Verdict, Wrong},
    kind::{self, Act, Types, Verb},
};

const MOST_TIMES: u64 = 1_000;
const MOST_VALUE_BYTES: usize = 8 << 10;
/// Between two events of a case that says nothing else.
const EVERY_NS: u64 = 1_000_000;
/// An event as somebody wrote it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) line: u64,
    pub(crate) agent: Option<String>,
    of: (Verb, Option<Act>),
    values: BTreeMap<Field, CaseValue>,
    pub(crate) times: u64,
    pub(crate) every_ns: u64,
    pub(crate) expected: Option<Verdict>,
}

impl Case {
    /// `on`: the types that the rule asks for; of a single one, the case need not say it.
    pub(crate) fn new(file: CaseFile, on: &[Spanned<String>]) -> Result<Self, Wrong> {
        let mut wrong = Wrong::new();
        let at = file.name.referenced;
        let of = type_of(&file, on).map_err(|mistake| wrong.push(mistake)).ok();
        let mut values = BTreeMap::new();
        for (name, value) in file.event.into_iter().filter(|(name, _)| *name != Field::Type.name()) {
            let verbs: Vec<Verb> = of.iter().map(|(verb, _)| *verb).collect();
            match checked(&name, &value.value, &verbs) {
                Ok(field) => {
                    values.insert(field, value.value);
                }
                Err(what) => wrong.push((value.referenced, what)),
            }
        }
        let times = file.times.as_ref().map_or(1, |times| times.value);
        if !(1..=MOST_TIMES).contains(&times) {
            wrong.push((at, format!("`times` is {times}; give 1 to {MOST_TIMES}")));
        }
        let Some(of) = of.filter(|_| wrong.is_empty()) else { return Err(wrong) };
        Ok(Self {
            name: file.name.value,
            line: at.line(),
            agent: file.agent,
            of,
            values,
            times,
            every_ns: file.every.map_or(EVERY_NS, crate::time::Time::ns),
            expected: file.verdict.verdict(),
        })
    }
}

fn type_of(file: &CaseFile, on: &[Spanned<String>]) -> Result<(Verb, Option<Act>), (Location, String)> {
    let typed = match (file.event.get(Field::Type.name()), on) {
        (Some(Spanned { value: CaseValue::Text(name), referenced, .. }), _) => (name, *referenced),
        (Some(other), _) => {
            return Err((other.referenced, "`type` is the name of a type of event".to_owned()));
        }
        (None, [one]) => (&one.value, file.name.referenced),
        (None, _) => {
            let what = "the rule is on several types; say in the case which `type` of event it is";
            return Err((file.name.referenced, what.to_owned()));
        }
    };
    kind::named(typed.0).ok_or_else(|| (typed.1, format!("there is no type of event `{}`", typed.0)))
}

fn checked(name: &str, value: &CaseValue, verbs: &[Verb]) -> Result<Field, String> {
    let field = expression::field(name, verbs)?;
    let (kind, bytes) = match value {
        CaseValue::Text(text) => (Kind::Text, text.len()),
        CaseValue::List(texts) => (Kind::List, texts.iter().map(|text| text.len() + 1).sum()),
        CaseValue::Number(_) => (Kind::Number, 0),
        CaseValue::Flag(_) => (Kind::Flag, 0),
    };
    if kind != field.kind() {
        let quotes = if field.kind() == Kind::Text { "; put it in quotes" } else { "" };
        return Err(format!("`{name}` is {}, and not {}{quotes}", field.kind().name(), kind.name()));
    }
    if bytes > MOST_VALUE_BYTES {
        return Err(format!("`{name}` has {bytes} bytes; an event has at most {MOST_VALUE_BYTES}"));
    }
    Ok(field)
}

impl Facts for Case {
    fn types(&self) -> Types {
        Types::of(self.of)
    }

    fn get(&self, field: Field) -> Option<Value<'_>> {
        let text = |text: &'static str| Some(Value::Text(text.into()));
        match (self.values.get(&field), field) {
            (Some(CaseValue::Text(text)), _) => Some(Value::Text(Cow::Borrowed(text))),
            (Some(CaseValue::List(texts)), _) => Some(Value::List(texts)),
            (Some(CaseValue::Number(number)), _) => Some(Value::Number(*number)),
            (Some(CaseValue::Flag(flag)), _) => Some(Value::Flag(*flag)),
            (None, Field::Type) => text(self.of.0.name()),
            (None, Field::Act) => text(self.of.1?.name()),
            (None, Field::Agent) => self.agent.as_deref().map(|agent| Value::Text(agent.into())),
            (None, Field::Command) => match self.values.get(&Field::Argv) {
                Some(CaseValue::List(texts)) => Some(Value::Text(texts.join(" ").into())),
                _ => None,
            },
            (None, _) => None,
        }
    }
}
