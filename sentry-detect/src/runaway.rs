//! What a rule says when it holds: [`RunawaySignal`].
//!
//! A rule holds when every term of its arithmetic that has a limit reaches it (`value >= limit`);
//! terms without a limit are what those were calculated from. So a finding can be checked with
//! nothing but itself at hand.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Stable name of a rule, e.g. `spawn-storm`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(Cow<'static, str>);

impl RuleId {
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for RuleId {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// A typed symptom with the arithmetic that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunawaySignal {
    pub rule: RuleId,
    /// 0.0–1.0.
    pub confidence: f64,
    pub severity: Severity,
    /// One sentence for a person.
    pub summary: String,
    /// Every number that entered the verdict, in the order of the calculation.
    pub arithmetic: Vec<Term>,
}

impl RunawaySignal {
    /// The verdict: all terms that have a limit reach it.
    pub(crate) fn when_held(self) -> Option<Self> {
        self.arithmetic.iter().all(Term::holds).then_some(self)
    }
}

/// One named number of a calculation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    pub name: String,
    pub value: f64,
    /// e.g. `1/s`, `ratio`, `bit`, `s`; empty for a count.
    pub unit: String,
    /// The limit it was held against, if any.
    pub limit: Option<f64>,
}

impl Term {
    /// A number that others were calculated from.
    pub(crate) fn given(name: &str, value: f64, unit: &str) -> Self {
        Self { name: name.to_owned(), value, unit: unit.to_owned(), limit: None }
    }

    /// A number that has to reach a limit.
    pub(crate) fn limited(name: &str, value: f64, unit: &str, limit: f64) -> Self {
        Self { limit: Some(limit), ..Self::given(name, value, unit) }
    }

    /// Reaches its limit, or has none.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.limit.is_none_or(|limit| self.value >= limit)
    }
}

/// Least severity that leads to acts.
pub const ACT_SEVERITY: Severity = Severity::High;

/// OCSF `severity_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational = 1,
    Low = 2,
    Medium = 3,
    High = 4,
    Critical = 5,
}
