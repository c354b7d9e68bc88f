//! What a collector adds: whose it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Run;

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

/// A decision or an outcome in a collector's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Collected<T> {
    #[serde(flatten)]
    pub view: T,
    /// Id of the sensor that it comes from.
    pub sensor: String,
}
