//! What an expression can cost at most, before it is ever evaluated: the bytes and list items that
//! it touches.
//!
//! The kernel gives a text of an event at most 2 KiB, escaped 8; a command line has at most 2,048
//! arguments. A list is taken to have items of its average length: what is done to one of them
//! costs as much as it is long, so the sum is right. Chains of `map` that double a text are seen,
//! because each result has the size that it would have.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use crate::field::{Field, Kind};

/// Most that one expression may touch.
pub(crate) const MOST: u64 = 1 << 18;
/// Most that all of a set may touch by one event.
pub(crate) const MOST_OF_ALL: u64 = 1 << 22;

const TEXT_BYTES: u64 = 8 << 10;
const LIST_ITEMS: u64 = 2 << 10;
const SCALAR: Size = Size { bytes: 8, items: 1 };

/// Of a value. Each item of a list is a byte more than its own.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: u64,
    items: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    cost: u64,
    size: Size,
}

/// The most that an expression touches.
pub(crate) fn of(expression: &IdedExpr) -> u64 {
    estimate(expression, &mut Vec::new()).cost
}

fn estimate(expression: &IdedExpr, scope: &mut Vec<(String, Size)>) -> Estimate {
    let known = |cost, size| Estimate { cost, size };
    match &expression.expr {
        Expr::Unspecified => Estimate::default(),
        Expr::Literal(LiteralValue::String(text)) => known(1, Size { bytes: text.len() as u64, items: 1 }),
        Expr::Literal(LiteralValue::Bytes(bytes)) => {
            known(1, Size { bytes: bytes.inner().len() as u64, items: 1 })
        }
        Expr::Literal(_) => known(1, SCALAR),
        Expr::Ident(name) => {
            let size = scope.iter().rev().find(|(known, _)| known == name).map(|(_, size)| *size);
            let size = size.unwrap_or_else(|| match Field::named(name).map(Field::kind) {
                Some(Kind::Number | Kind::Flag) => SCALAR,
                Some(Kind::List) => Size { bytes: TEXT_BYTES + LIST_ITEMS, items: LIST_ITEMS },
                Some(Kind::Text) | None => Size { bytes: TEXT_BYTES, items: 1 },
            });
            known(1, size)
        }
        Expr::Select(select) => {
            let Estimate { cost, size } = estimate(&select.operand, scope);
            known(cost.saturating_add(1), size)
        }
        Expr::List(list) => parts(list.elements.iter(), scope),
        Expr::Map(map) => {
            let entries = map.entries.iter().flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
                EntryExpr::StructField(field) => [Some(&field.value), None],
            });
            parts(entries.flatten(), scope)
        }
        Expr::Struct(made) => {
            let values = made.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => &entry.value,
                EntryExpr::StructField(field) => &field.value,
            });
            parts(values, scope)
        }
        Expr::Call(call) => {
            let arguments = call.target.as_deref().into_iter().chain(&call.args);
            let all: Vec<Estimate> = arguments.map(|argument| estimate(argument, scope)).collect();
            let sum = all.iter().fold(Estimate::default(), |sum, one| sum.after(*one));
            let size = match call.func_name.as_str() {
                "_&&_" | "_||_" | "!_" => return known(sum.cost.saturating_add(1), SCALAR),
                "_?_:_" => {
                    let longest = all.iter().skip(1).map(|one| one.size.bytes).max().unwrap_or_default();
                    let items = all.iter().skip(1).map(|one| one.size.items).max().unwrap_or_default();
                    return known(sum.cost.saturating_add(1), Size { bytes: longest, items });
                }
                "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in" | "size" | "contains"
                | "startsWith" | "endsWith" | "matches" | "@matches" => SCALAR,
                // An item of a list may be all of it.
                "_[_]" => all.first().map(|list| list.size).unwrap_or_default(),
                _ => Size { bytes: sum.size.bytes.saturating_add(64), ..sum.size },
            };
            let touched = sum.size.bytes.saturating_add(sum.size.items);
            known(sum.cost.saturating_add(touched).saturating_add(1), size)
        }
        Expr::Comprehension(comprehension) => over(comprehension, scope),
    }
}

/// A list or map of these.
fn parts<'a>(parts: impl Iterator<Item = &'a IdedExpr>, scope: &mut Vec<(String, Size)>) -> Estimate {
    let mut sum = Estimate::default();
    for part in parts {
        let Estimate { cost, size } = estimate(part, scope);
        sum = sum.after(Estimate { cost, size: Size { bytes: size.bytes.saturating_add(1), items: 1 } });
    }
    sum
}

fn over(comprehension: &ComprehensionExpr, scope: &mut Vec<(String, Size)>) -> Estimate {
    let ComprehensionExpr {
        iter_range,
        iter_var,
        iter_var2,
        accu_var,
        accu_init,
        loop_cond,
        loop_step,
        result,
    } = comprehension;
    let range = estimate(iter_range, scope);
    let init = estimate(accu_init, scope);
    let times = range.size.items;
    let item = range.size.bytes.div_ceil(times.max(1));
    let item = Size { bytes: item, items: item };
    let before = scope.len();
    scope.push((iter_var.clone(), item));
    scope.extend(iter_var2.iter().map(|name| (name.clone(), item)));
    // What is gathered grows by as much in each round, as its name cannot be written in a rule.
    scope.push((accu_var.clone(), Size::default()));
    let (condition, step) = (estimate(loop_cond, scope), estimate(loop_step, scope));
    scope.truncate(before);
    let size = Size {
        bytes: init.size.bytes.saturating_add(step.size.bytes.saturating_mul(times)),
        items: init.size.items.saturating_add(step.size.items.saturating_mul(times)),
    };
    scope.push((accu_var.clone(), size));
    let ended = estimate(result, scope);
    scope.truncate(before);
    let round = condition.cost.saturating_add(step.cost).saturating_add(1);
    let cost = range.cost.saturating_add(init.cost).saturating_add(ended.cost);
    Estimate { cost: cost.saturating_add(round.saturating_mul(times)), size: ended.size }
}

// === impl Estimate ===

impl Estimate {
    fn after(self, other: Self) -> Self {
        Self {
            cost: self.cost.saturating_add(other.cost),
            size: Size {
                bytes: self.size.bytes.saturating_add(other.size.bytes),
                items: self.size.items.saturating_add(other.size.items),
            },
        }
    }
}
