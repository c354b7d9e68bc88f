//! What a collector adds: whose it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decision, Outcome, Run};

/// A run in a collector's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectedRun {
    #[serde(flatten)]
    pub run: Run,
    /// Id of the sensor that watches it.
    pub sensor: String,
    pub sensor_connected: bool,
    pub host: String,
    pub updated_ms: i64,
}

/// A decision in a collector's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectedDecision {
    #[serde(flatten)]
    pub decision: Decision,
    /// Id of the sensor that made it.
    pub sensor: String,
}

/// An outcome in a collector's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CollectedOutcome {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Id of the sensor that verified it.
    pub sensor: String,
}
