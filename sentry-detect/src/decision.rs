//! What to do about a finding, and the outcome, as values; the act is the sensor's. Which
//! decisions a run gets is for [`crate::run::fate`] to say.

use serde::{Deserialize, Serialize};

use crate::identity::{Mode, RunId};

/// One step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Record only.
    Observe,
    /// Stop all tasks; can be undone by thaw.
    Freeze,
    /// Undo a freeze.
    Thaw,
    /// End every member; cannot be undone.
    Kill,
    /// Start the command again. Never decided: the supervisor does it, as a new run.
    Restart,
}

/// A decision about a run. It goes into the ledger before anything acts on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// `<run>-d-<n>`, or `<run>.<life>-d-<n>` where a later sensor life took the run up; also the
    /// idempotency key of the act.
    pub id: String,
    pub run: RunId,
    pub action: Action,
    pub mode: Mode,
    /// Finding that led to it, or `None` when a person asked.
    pub finding: Option<String>,
    /// Who asked: `detector:<rule>`, `user:<uid>`, `collector:<command id>`, `sensor:untag` (the
    /// thaw before it lets go).
    pub origin: String,
    pub reason: String,
    pub time_unix_ns: u64,
}

/// What really happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Id of the decision.
    pub decision: String,
    pub run: RunId,
    pub action: Action,
    pub result: OutcomeKind,
    pub time_unix_ns: u64,
    /// From the decision to the verified state, ns.
    pub took_ns: u64,
    /// Processes the action reached (killed, frozen).
    pub processes: u64,
    /// Members still alive after a kill; 0 is the only success.
    pub survivors: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutcomeKind {
    /// Done and verified.
    Applied,
    /// Observe mode: it would have been done.
    WouldApply,
    /// A fence forbade it (self, pid 1, root cgroup, untagged).
    Refused { why: String },
    /// Tried, and the state it aims at was not reached.
    Failed { why: String },
}
