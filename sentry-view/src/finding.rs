//! What was found in a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Agent, Exact, type_of::type_of};

type_of!(
    /// `type` of a [`Finding`].
    FindingType { Finding }
);

/// A finding, with the numbers that it was calculated from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    #[serde(rename = "type")]
    pub of: FindingType,
    pub id: String,
    pub run: String,
    pub agent: Option<Agent>,
    pub time: String,
    pub time_unix_ns: Exact,
    pub time_ms: u64,
    /// When the behaviour began.
    pub since_unix_ns: Exact,
    /// e.g. `spawn-storm`.
    pub rule: String,
    pub severity: Severity,
    /// 0 to 1.
    pub confidence: f64,
    /// One sentence.
    pub summary: String,
    /// Every number of the verdict, in the order of the calculation.
    pub arithmetic: Vec<Term>,
    /// Ids of events that show it.
    pub evidence: Vec<String>,
    /// e.g. `attack:T1499`.
    pub tags: Vec<String>,
    /// False where records of the run were lost before.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Of a newer version.
    #[default]
    Unknown,
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

/// A number of a calculation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Term {
    pub name: String,
    pub value: f64,
    /// `1/s`, `ratio`, `bit`, `s`; empty for a count.
    pub unit: String,
    /// The limit that it reaches, if it has one.
    pub limit: Option<f64>,
}
