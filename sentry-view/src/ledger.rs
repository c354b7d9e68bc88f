//! Bodies of ledger entries about runs, their archives, and the configuration that holds for them.
//!
//! They have names of their own, because entries are signed and stay as they were written. A line
//! of the ledger holds 1 MiB: lists that can be longer, as the executed files, are not in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Agent, Container, Counters, Flow, KeyChange, Mode, RingBooks, number::number_or_text};

/// Body of a `run-start` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunStart {
    /// Id of the run.
    pub run: String,
    pub agent: Option<Agent>,
    pub mode: Mode,
    pub uid: u32,
    pub command: Vec<String>,
    pub command_truncated: bool,
    pub cgroup_path: String,
    /// Decimal text where it is larger than 2^53.
    #[serde(deserialize_with = "number_or_text")]
    pub cgroup_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selected_by: String,
}

/// Body of a `run-end` entry: totals, the books of the rings, and what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunEnd {
    /// Id of the run.
    pub run: String,
    pub critical: Option<RingBooks>,
    pub bulk: Option<RingBooks>,
    #[serde(flatten)]
    pub counters: Counters,
    pub end_unseen: bool,
    pub interruptions: u32,
    pub untold: u64,
    pub skipped: u64,
    pub complete: bool,
    /// What is missing where it is not complete, one sentence each.
    pub missing: Vec<String>,
    pub flows: Vec<Flow>,
    pub executed_unlisted: u64,
}

/// Body of a `config-changed` entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConfigChanged {
    /// What holds from then on, also for runs that were under way.
    pub changed: Vec<KeyChange>,
    /// Keys that differ from those of the start, and hold only after a restart.
    pub needs_restart: Vec<String>,
}

/// Body of an `exported` entry: an archive of a run was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Exported {
    /// Id of the run.
    pub run: String,
    /// Who made it: `user:<uid>`.
    pub origin: String,
    /// SHA-256 of the archive's `manifest.json`, hex.
    pub manifest_sha256: String,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_earlier_versions_are_read() {
        let start = r#"{"agent":{"id":"a","name":"a"},"cgroup_id":"9007199254740993","cgroup_path":"/c",
            "command":["sh"],"command_truncated":false,"mode":"enforce","run":"r","uid":7}"#;
        let expected = RunStart {
            run: "r".into(),
            agent: Some(Agent { id: "a".into(), name: "a".into() }),
            mode: Mode::Enforce,
            uid: 7,
            command: vec!["sh".into()],
            cgroup_path: "/c".into(),
            cgroup_id: 9_007_199_254_740_993,
            ..RunStart::default()
        };
        assert_eq!(serde_json::from_str::<RunStart>(start).unwrap(), expected);
        let end = r#"{"run":"r","execs":3,"bulk":null,"critical":{"generated":2,"delivered":2,"lost":0}}"#;
        let expected = RunEnd {
            run: "r".into(),
            critical: Some(RingBooks { generated: 2, delivered: 2, ..RingBooks::default() }),
            counters: Counters { execs: 3, ..Counters::default() },
            ..RunEnd::default()
        };
        assert_eq!(serde_json::from_str::<RunEnd>(end).unwrap(), expected);
    }
}
