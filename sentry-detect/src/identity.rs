//! Agents and their runs.

use serde::{Deserialize, Serialize};

/// One life of an agent: a tagged cgroup subtree and its lineage. A UUIDv7 in text form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The AI program under watch. OCSF `ai_agent.uid` and `ai_agent.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AgentIdentity {
    /// Stable over runs; by default the name.
    pub id: String,
    pub name: String,
}

/// What the sensor may do to a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decide and record, do not act.
    #[default]
    Observe,
    /// Decide, record and act.
    Enforce,
}

/// A process for ever: the boot it lived in, its tgid in the initial pid namespace, its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessKey {
    pub tgid: u32,
    /// `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
}
