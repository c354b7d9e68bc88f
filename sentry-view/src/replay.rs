//! What a recorded run comes to when it is judged again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exact, type_of::type_of};

type_of!(
    /// `type` of a [`Replay`].
    ReplayType { Replay }
);

/// A recording, judged again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    #[serde(rename = "type")]
    pub of: ReplayType,
    /// Id of the run.
    pub run: String,
    /// Name of the agent.
    pub agent: String,
    /// Of the sensor that made the recording.
    pub version: String,
    /// By other limits, or other rules of somebody's own, than those of then.
    pub other_limits: bool,
    pub began_unix_ns: Exact,
    /// Between the beginning and the last reading of the counters.
    pub lasted_ms: u64,
    pub readings: u64,
    pub events: u64,
    /// What the recording lacks: then a replay may differ.
    pub missing: ReplayMissing,
    /// What the sensor found and decided.
    pub then: Judgement,
    /// What the replay did.
    pub now: Judgement,
    /// By the limits of then: what is not byte for byte the same. Ids of findings and decisions.
    pub differences: Vec<ReplayDifference>,
}

/// What is missing of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayMissing {
    /// Events that detection saw and that are not kept.
    pub events: u64,
    /// Stretches of the readings.
    pub parts: u64,
    /// Lives of the sensor whose beginning or end is not kept.
    pub lives: u64,
}

/// Findings and decisions, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    pub findings: u64,
    /// Of those, of high and critical severity.
    pub severe: u64,
    pub freezes: u64,
    pub kills: u64,
}

/// A finding or decision that is not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayDifference {
    pub id: String,
    pub how: ReplayHow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayHow {
    /// The sensor had made it, the replay has not.
    OnlyThen,
    /// The replay has made it, the sensor had not.
    OnlyNow,
    /// Both have, and it says something else.
    #[default]
    Other,
}
