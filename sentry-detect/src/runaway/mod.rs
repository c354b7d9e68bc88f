//! Detectors: windows in, [`RunawaySignal`]s out.
//!
//! A rule holds when every term of its arithmetic that has a limit reaches it (`value >= limit`); terms without a limit
//! are what those were calculated from. So a finding can be checked with nothing but itself at hand.

pub mod settings;

pub mod spawn_storm;

pub mod cpu_spin;

pub mod call_flood;

use serde::{Deserialize, Serialize};

/// A typed symptom with the arithmetic that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunawaySignal {
    /// Stable rule name, e.g. `spawn-storm`, `left-control`.
    pub rule: String,
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
    fn when_held(self) -> Option<Self> {
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
