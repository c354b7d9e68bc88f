//! Detectors: windows in, [`RunawaySignal`]s out.

pub mod spawn_storm;

pub mod cpu_spin;

use serde::{Deserialize, Serialize};

/// A typed symptom with the arithmetic that led to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunawaySignal {
    /// Stable rule name, e.g. `spawn-storm`, `cpu-spin`.
    pub rule: String,
    /// 0.0–1.0.
    pub confidence: f64,
    pub severity: Severity,
    /// One sentence for a person.
    pub summary: String,
    /// Every number that entered the verdict, in the order of the calculation.
    pub arithmetic: Vec<Term>,
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
