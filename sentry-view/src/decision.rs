//! What was decided about a run, and the outcome.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exact, Mode, type_of::type_of};

type_of!(
    /// `type` of a [`Decision`].
    DecisionType { Decision }
);
type_of!(
    /// `type` of an [`Outcome`].
    OutcomeType { Outcome }
);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Of a newer version.
    #[default]
    Unknown,
    /// Record only.
    Observe,
    /// Stop all processes; thaw undoes it.
    Freeze,
    /// Undo a freeze.
    Thaw,
    /// End all processes.
    Kill,
    /// Start the command again, as a new run.
    Restart,
}

impl Action {
    /// As it stands in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Observe => "observe",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Kill => "kill",
            Self::Restart => "restart",
        }
    }
}

/// A decision. It is in the ledger before anything acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    #[serde(rename = "type")]
    pub of: DecisionType,
    pub id: String,
    pub run: String,
    pub action: Action,
    pub mode: Mode,
    /// The finding that led to it; null where somebody asked.
    pub finding: Option<String>,
    /// Who asked: `detector:<rule>`, `user:<uid>`, `collector:<command key>`, `sensor:untag`.
    pub origin: String,
    pub reason: String,
    pub time: String,
    pub time_unix_ns: Exact,
    pub time_ms: u64,
}

/// The outcome of a decision, as the sensor verified it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Outcome {
    #[serde(rename = "type")]
    pub of: OutcomeType,
    /// Id of the decision.
    pub decision: String,
    pub run: String,
    pub action: Action,
    pub result: OutcomeResult,
    /// Why it was refused or failed, else empty.
    pub why: String,
    pub time: String,
    pub time_unix_ns: Exact,
    pub time_ms: u64,
    /// From the decision to the verified state, ns.
    pub took_ns: u64,
    /// Processes that the act reached.
    pub processes: u64,
    /// Processes that still live after a kill.
    pub survivors: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeResult {
    /// Of a newer version.
    #[default]
    Unknown,
    /// Done and verified.
    Applied,
    /// In observe mode: it would have been done.
    WouldApply,
    /// Not allowed, whoever asks: the sensor itself, pid 1, the root cgroup, what is in no run.
    Refused,
    /// Tried, and the state that it aims at was not reached.
    Failed,
}
