//! `xtask/tidy.toml`: places where a rule does not hold, each with its reason.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use crate::tidy::Finding;

struct Exception {
    rule: String,
    place: String,
}

pub(super) struct Exceptions(Vec<Exception>);

impl Exceptions {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a list of exceptions", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        let list = table.get("exception").and_then(Value::as_array).cloned().unwrap_or_default();
        let parse = |value: &Value| {
            let field = |key: &str| {
                let text =
                    value.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
                text.map(str::to_owned).with_context(|| format!("an exception needs {key}"))
            };
            let exception = Exception { rule: field("rule")?, place: field("place")? };
            if field("reason")?.split_whitespace().count() < 3 {
                bail!("the exception for {} gives no real reason", exception.place);
            }
            Ok(exception)
        };
        list.iter().map(parse).collect::<Result<_>>().map(Self)
    }

    /// Takes the excepted findings away; an exception that excepts nothing becomes a finding.
    pub(super) fn apply(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut used = vec![false; self.0.len()];
        let mut left = Vec::new();
        for finding in findings {
            let of = |e: &Exception| e.rule == finding.rule && e.place == finding.place;
            match self.0.iter().position(of) {
                Some(index) => used[index] = true,
                None => left.push(finding),
            }
        }
        for (exception, _) in self.0.iter().zip(used).filter(|(_, used)| !used) {
            left.push(Finding {
                rule: "exception",
                place: "xtask/tidy.toml".to_owned(),
                line: None,
                what: format!("the exception of {} from {} is not needed", exception.place, exception.rule),
            });
        }
        left
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn long(place: &str) -> Finding {
        Finding { rule: "size", place: place.to_owned(), line: None, what: String::new() }
    }

    #[test]
    fn an_exception_needs_a_reason_and_a_use() {
        let text = "[[exception]]\nrule = \"size\"\nplace = \"a.rs\"\nreason = \"one table, read as one\"\n";
        let exceptions = Exceptions::parse(text).unwrap();
        assert_eq!(exceptions.apply(vec![long("a.rs"), long("b.rs")]), [long("b.rs")]);
        let left = exceptions.apply(vec![]);
        assert_eq!(left[0].rule, "exception");
        assert!(Exceptions::parse(&text.replace("one table, read as one", "because")).is_err());
        assert!(Exceptions::parse(&text.replace("reason", "why")).is_err());
    }
}
