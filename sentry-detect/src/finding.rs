//! What we report.

use serde::{Deserialize, Serialize};

use crate::{
    identity::{AgentIdentity, RunId},
    runaway::{RuleId, RunawaySignal, Severity},
};

/// The rule of [`Departed`].
pub const DEPARTURE: RuleId = RuleId::new("departure");

/// A runaway signal tied to a run, with its evidence. OCSF Detection Finding (2004).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `<run>-f-<n>`.
    pub id: String,
    pub run: RunId,
    pub agent: AgentIdentity,
    pub time_unix_ns: u64,
    /// When the counted behaviour began (start of the first window that counted).
    pub since_unix_ns: u64,
    pub signal: RunawaySignal,
    /// Ids of events that show it, newest last; at most 32.
    pub evidence: Vec<String>,
    /// ATT&CK / ATLAS / OWASP-ASI tags, e.g. `attack:T1499`, `owasp-asi:ASI08`.
    pub tags: Vec<String>,
    /// False when records of this run were lost before the finding.
    pub complete: bool,
}

/// What a finding of a departure from the agent's baseline says. The baseline is learned elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Departed {
    pub signal: RunawaySignal,
    pub since_unix_ns: u64,
    /// Id of the event that it is about; `None`: the newest of that time show it.
    pub event: Option<String>,
    pub tags: Vec<String>,
}

/// What a finding of a rule of somebody's own says. The rule is judged elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruled {
    pub signal: RunawaySignal,
    pub since_unix_ns: u64,
    /// Ids of the events that match; at most 20.
    pub evidence: Vec<String>,
    pub tags: Vec<String>,
    pub reach: Reach,
}

/// How far the acts on a finding go, where it is severe and sure enough for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    Observe,
    Freeze,
    Kill,
}

impl Finding {
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.signal.severity
    }
}
