//! The policy that holds now, and how a configuration that is read again replaces it.

use std::sync::Arc;

use sentry_view::KeyChange;
use tokio::sync::{oneshot, watch};

use super::{Config, Policy, Sensor};

/// The policy that holds now. Whoever depends on it asks for it each time.
#[derive(Clone, Debug)]
pub struct Current(watch::Receiver<Arc<Policy>>);

/// Where the policy is replaced.
#[derive(Debug)]
pub struct Holder {
    policy: watch::Sender<Arc<Policy>>,
    /// As at the start: what of it is no policy is opened, or started with its size, then.
    start: Config,
}

/// What a new configuration changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Holds from now on.
    pub changed: Vec<KeyChange>,
    /// Keys that differ from those of the start, and hold only after a restart.
    pub needs_restart: Vec<&'static str>,
}

/// Somebody asks for the configuration to be read again, and waits for what that changed, or for
/// all that is wrong with it.
pub type Asked = oneshot::Sender<Result<Change, Vec<String>>>;

impl Current {
    /// The policy, as it is at this moment.
    #[must_use]
    pub fn get(&self) -> Arc<Policy> {
        Arc::clone(&self.0.borrow())
    }
}

impl Holder {
    /// Holds the configuration that the sensor starts with.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { policy: watch::Sender::new(Arc::new(config.policy.clone())), start: config }
    }

    #[must_use]
    pub fn current(&self) -> Current {
        Current(self.policy.subscribe())
    }

    /// Has the policy of `new` hold from now on.
    pub fn replace(&self, new: Config) -> Change {
        let needs_restart = left_for_a_restart(&self.start, &new);
        let old = self.policy.send_replace(Arc::new(new.policy));
        let changed = self.policy.borrow().changes_since(&old);
        Change { changed, needs_restart }
    }
}

/// Keys outside of the policy that differ.
fn left_for_a_restart(start: &Config, new: &Config) -> Vec<&'static str> {
    // Without `..`: whoever adds a key decides here what a change of it means.
    let Config {
        sensor: Sensor { id, state_dir, socket, group },
        journal,
        rings,
        evidence,
        baselines,
        collector,
        export,
        metrics,
        containers,
        policy: _,
    } = new;
    let keys = [
        ("sensor.id", *id != start.sensor.id),
        ("sensor.state_dir", *state_dir != start.sensor.state_dir),
        ("sensor.socket", *socket != start.sensor.socket),
        ("sensor.group", *group != start.sensor.group),
        ("journal", *journal != start.journal),
        ("rings", *rings != start.rings),
        ("evidence", *evidence != start.evidence),
        ("baselines", *baselines != start.baselines),
        ("collector", *collector != start.collector),
        ("export", *export != start.export),
        ("metrics", *metrics != start.metrics),
        ("containers", *containers != start.containers),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Flags;

    fn config(rest: &str) -> Config {
        let text = format!("version: 1\n{rest}");
        Config::parse(Path::new("c.yaml"), Some(&text), &Flags::default()).unwrap()
    }

    /// `key: before → after`, `-` where there is none.
    fn changes(change: &Change) -> Vec<String> {
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let line = |KeyChange { key, before, after }: &KeyChange| {
            format!("{key}: {} → {}", or_none(before), or_none(after))
        };
        change.changed.iter().map(line).collect()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let holder = Holder::new(config("agents: [{name: claude, mode: enforce}]"));
        let change = holder.replace(config("agents: [{name: claude, mode: enforce}]"));
        assert_eq!(change, Change::default());
    }

    #[test]
    fn agents_and_thresholds_change_and_the_rest_is_kept_until_a_restart() {
        let holder = Holder::new(config("sensor: {id: old}\ndetect: {cpu_min_cores: 2}"));
        let current = holder.current();
        let new = config(
            "sensor: {id: new, state_dir: /s, socket: /s/x, group: g}
journal: {spool_bytes: 2 MiB}
rings: {bulk_bytes: 1 MiB}
evidence: {hash_executed: true}
baselines: {learn: false}
collector: {endpoint: 'unix:/c'}
detect: {cpu_min_cores: 3}
agents: [{name: codex}]",
        );
        let change = holder.replace(new.clone());
        assert_eq!(changes(&change), ["detect.cpu_min_cores: 2.0 → 3.0", "agents.codex: - → observe"]);
        let kept = ["id", "state_dir", "socket", "group"].map(|key| format!("sensor.{key}"));
        let kept: Vec<_> = kept.iter().map(String::as_str).collect();
        assert_eq!(
            change.needs_restart,
            [kept, vec!["journal", "rings", "evidence", "baselines", "collector"]].concat()
        );
        assert_eq!(*current.get(), new.policy);
    }

    #[test]
    fn each_value_of_the_policy_that_is_another_one_is_named() {
        let holder = Holder::new(config(
            "detect: {cool_down_ms: 2000}
agents: [{name: a, limits: {exec_loop_hold_ms: 3000}}, {name: gone, mode: enforce}]",
        ));
        let change = holder.replace(config(
            "detect: {cool_down_ms: 3000}
agents: [{name: a, mode: enforce, limits: {exec_loop_hold_ms: 4000}, match: [{unit: a.service}]}]
pods: {labelled: true}
discover: tag",
        ));
        let expected = [
            "detect.cool_down_ms: 2000 → 3000",
            "agents.a.mode: observe → enforce",
            "agents.a.limits.exec_loop_hold_ms: 3000 → 4000",
            "agents.a.match:  → unit a.service",
            "agents.gone: enforce → -",
            "pods.labelled: false → true",
            "discover: report → tag",
        ];
        assert_eq!(changes(&change), expected);
    }

    #[test]
    fn other_sensitive_files_hold_for_every_agent_and_are_named() {
        let holder = Holder::new(config("agents: [{name: a, limits: {cool_down_ms: 2000}}]"));
        let current = holder.current();
        let change = holder.replace(config(
            "sensitive: [{name: customers, severity: high, paths: [/srv/c/**], except: ['*.md']}]
agents: [{name: a, limits: {cool_down_ms: 2000}}]",
        ));
        assert_eq!(changes(&change), ["sensitive:  → customers (customers, High): /srv/c/** but *.md"]);
        assert!(current.get().settings_of("a").sensitive().number_of("/srv/c/1.csv").is_some());
        assert!(current.get().detect.sensitive().number_of("/srv/c/README.md").is_none());
    }

    #[test]
    fn what_a_restart_is_needed_for_is_named_until_it_is_taken_back() {
        let holder = Holder::new(config(""));
        for _ in 0..2 {
            assert_eq!(holder.replace(config("rings: {bulk_bytes: 1 MiB}")).needs_restart, ["rings"]);
        }
        assert_eq!(holder.replace(config("")), Change::default());
    }
}
