//! How far an agent can be trusted, and what is normal for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exact, type_of::type_of};

type_of!(
    /// `type` of a [`Standing`].
    StandingType { Standing }
);

/// An agent's trust score with its arithmetic, and what was learned of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Standing {
    #[serde(rename = "type")]
    pub of: StandingType,
    pub agent: String,
    /// 0 to 100: the sum of the points.
    pub score: f64,
    /// `TRUSTED` from 80 on, `WATCH` from 60, `ALERT` from 40, else `CRITICAL`.
    pub band: String,
    /// 0 to 100; 0.45 of it is in the score.
    pub posture: f64,
    /// 0 to 100; 0.45 of it is in the score.
    pub behaviour: f64,
    /// 0 or 10.
    pub recency: f64,
    /// Every line of the arithmetic, in its order.
    pub points: Vec<TrustPoint>,
    pub baseline: Option<Baseline>,
    /// What the posture does not look at.
    pub not_looked_at: Vec<String>,
}

/// A line of the arithmetic of a score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TrustPoint {
    pub what: String,
    pub counted: u64,
    /// Null where the count is no share.
    pub of: Option<u64>,
    /// What it adds to the score, or takes away.
    pub points: f64,
}

/// What is normal for an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Baseline {
    /// Runs are held against it.
    pub known: bool,
    /// Runs that have ended, and windows, since it was last learned anew.
    pub runs: u64,
    pub windows: u64,
    /// What it takes to be known.
    pub min_runs: u64,
    pub min_windows: u64,
    pub window_ms: u64,
    /// New versions of the executable.
    pub retrainings: u32,
    pub trained_since: String,
    pub trained_since_unix_ns: Exact,
    /// Windows beyond what one run may add.
    pub left_out: u64,
    /// What its runs begin with.
    pub executable: String,
    /// What distinguishes that file from earlier ones.
    pub version: String,
    pub rates: Vec<NormalRate>,
    pub remembered: Vec<Remembered>,
    /// Per step from program to program.
    pub entropy_bits: f64,
}

/// Of counts in a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct NormalRate {
    pub rate: String,
    pub mean: f64,
    pub variance: f64,
    pub median: f64,
    pub p99: f64,
    pub spread: f64,
    /// From here on it departs.
    pub bound: f64,
}

/// Names of a kind that an agent has used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Remembered {
    pub kind: String,
    pub names: u64,
    /// Had to go for others.
    pub forgotten: u64,
    /// How often a run uses something new, 0 to 1.
    pub novelty: f64,
}
