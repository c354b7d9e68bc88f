//! The form of a scenario file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use super::member::is_member;

include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// One scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short and unique; the table of coverage is sorted by it.
    pub id: String,
    pub title: String,
    /// Rows of `tests/rows.toml` that it is a variant of.
    #[serde(default)]
    pub rows: Vec<String>,
    /// Capabilities without which it is left out (`ipv6`).
    #[serde(default)]
    pub needs: Vec<String>,
    /// Acts of `workload_scene`, one after the other, in one process.
    #[serde(default)]
    pub steps: Vec<Vec<String>>,
    /// A command line of its own, in place of steps.
    #[serde(default)]
    pub program: Vec<String>,
    /// What `sentry run` ends with.
    #[serde(default)]
    pub exit: i32,
    /// Not done a second time beside the run: it needs something that there is only one of.
    #[serde(default)]
    pub alone: bool,
    pub see: Vec<See>,
}

/// An event that must be seen.
#[derive(Clone, Debug, Deserialize)]
pub struct See {
    /// Name of the act.
    pub act: String,
    /// How often exactly; absent: at least once. 0: never.
    pub count: Option<usize>,
    /// Only on these tiers (`"AB"`); absent: on all.
    pub tiers: Option<String>,
    /// Tiers on which it is not seen, with the reason. That is checked too.
    #[serde(default)]
    pub limit: BTreeMap<String, String>,
    /// Members of the event: a short name or a JSON pointer, and what must be there.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
}

impl Scenario {
    fn read(name: &str, text: &str) -> Self {
        let scenario: Self = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            scenario.steps.is_empty() != scenario.program.is_empty(),
            "{name}: either steps or a program"
        );
        assert!(!scenario.see.is_empty(), "{name}: nothing to see");
        for see in &scenario.see {
            let limits = see.limit.keys().flat_map(|tiers| tiers.chars());
            let tiers = see.tiers.iter().flat_map(|tiers| tiers.chars());
            assert!(limits.chain(tiers).all(|tier| "ABC".contains(tier)), "{name}: a tier is A, B or C");
            assert!(see.limit.values().all(|reason| reason.contains(' ')), "{name}: a limit has a reason");
            for member in see.members.keys() {
                assert!(is_member(member), "{name}: no member {member}");
            }
        }
        scenario
    }
}

impl See {
    #[must_use]
    pub fn is_for(&self, tier: &str) -> bool {
        self.tiers.as_ref().is_none_or(|tiers| tiers.contains(tier))
    }

    /// Why it is not seen on this tier, if it is not.
    #[must_use]
    pub fn limit_on(&self, tier: &str) -> Option<&str> {
        self.limit.iter().find(|(tiers, _)| tiers.contains(tier)).map(|(_, reason)| reason.as_str())
    }
}

/// The scenarios that must hold.
///
/// # Panics
/// When a file cannot be read, or two have the same id.
#[must_use]
pub fn to_run() -> Vec<Scenario> {
    sorted(RUN)
}

/// Scenarios whose facts the sensor does not report yet.
///
/// # Panics
/// When a file cannot be read, or two have the same id.
#[must_use]
pub fn pending() -> Vec<Scenario> {
    sorted(PENDING)
}

fn sorted(files: &[(&str, &str)]) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = files.iter().map(|(name, text)| Scenario::read(name, text)).collect();
    scenarios.sort_by(|one, other| one.id.cmp(&other.id));
    for pair in scenarios.windows(2) {
        assert_ne!(pair[0].id, pair[1].id, "two scenarios have the same id");
    }
    scenarios
}
