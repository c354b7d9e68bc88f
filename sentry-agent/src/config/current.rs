//! The configuration that holds now, and what of it can change while the sensor runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, Sensor};

/// The configuration that holds now. Whoever depends on a part that can change asks for it each
/// time, or waits for a change.
#[derive(Clone, Debug)]
pub struct Current(watch::Receiver<Arc<Config>>);

/// Where the configuration is replaced.
#[derive(Debug)]
pub struct Holder(watch::Sender<Arc<Config>>);

/// What a new configuration changes, by keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Holds from now on.
    pub applied: Vec<&'static str>,
    /// Differs, and holds only after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Current {
    /// The configuration, as it is at this moment.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until the configuration is another one than this value knows. `false`: there will be
    /// no other one.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl Holder {
    /// Holds the configuration that the sensor starts with.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(watch::Sender::new(Arc::new(config)))
    }

    #[must_use]
    pub fn current(&self) -> Current {
        Current(self.0.subscribe())
    }

    /// Applies what of `new` can change.
    pub fn replace(&self, new: Config) -> Change {
        let old = Arc::clone(&self.0.borrow());
        let (merged, change) = apply(&old, new);
        if !change.applied.is_empty() {
            self.0.send_replace(Arc::new(merged));
        }
        change
    }
}

/// What holds after a change from `old` to `new`, and which keys it is about. The agents' modes and
/// the thresholds hold for runs that start from now on; everything else is opened, or started with
/// its size, when the sensor starts.
#[must_use]
fn apply(old: &Config, new: Config) -> (Config, Change) {
    // Without `..`: whoever adds a key decides here what a change of it means.
    let Config {
        sensor,
        journal,
        rings,
        evidence,
        collector,
        export_file,
        detect,
        containers,
        agents,
        labelled_pods,
        discover,
    } = new;
    let Sensor { id, state_dir, socket, group } = sensor;
    let differs = |parts: &[(&'static str, bool)]| {
        parts.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
    };
    let change = Change {
        applied: differs(&[
            ("detect", detect != old.detect),
            ("agents", agents != old.agents),
            ("pods.labelled", labelled_pods != old.labelled_pods),
            ("discover", discover != old.discover),
        ]),
        needs_restart: differs(&[
            ("sensor.id", id != old.sensor.id),
            ("sensor.state_dir", state_dir != old.sensor.state_dir),
            ("sensor.socket", socket != old.sensor.socket),
            ("sensor.group", group != old.sensor.group),
            ("journal", journal != old.journal),
            ("rings", rings != old.rings),
            ("evidence", evidence != old.evidence),
            ("collector", collector != old.collector),
            ("export.file", export_file != old.export_file),
            ("containers", containers != old.containers),
        ]),
    };
    let old = old.clone();
    let merged = Config {
        sensor: old.sensor,
        journal: old.journal,
        rings: old.rings,
        evidence: old.evidence,
        collector: old.collector,
        export_file: old.export_file,
        containers: old.containers,
        detect,
        agents,
        labelled_pods,
        discover,
    };
    (merged, change)
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

    #[test]
    fn the_same_file_changes_nothing() {
        let holder = Holder::new(config("agents: [{name: claude, mode: enforce}]"));
        let change = holder.replace(config("agents: [{name: claude, mode: enforce}]"));
        assert_eq!(change, Change::default());
        assert!(!holder.current().0.has_changed().unwrap());
    }

    #[test]
    fn agents_and_thresholds_change_and_the_rest_is_kept_until_a_restart() {
        let old = config("sensor: {id: old}\ndetect: {cpu_min_cores: 2}");
        let holder = Holder::new(old.clone());
        let current = holder.current();
        let new = config(
            "sensor: {id: new, state_dir: /s, socket: /s/x, group: g}
journal: {spool_bytes: 2 MiB}
rings: {bulk_bytes: 1 MiB}
evidence: {hash_executed: true}
collector: {endpoint: 'unix:/c'}
detect: {cpu_min_cores: 3}
agents: [{name: codex}]",
        );
        let change = holder.replace(new.clone());
        assert_eq!(change.applied, ["detect", "agents"]);
        let kept = ["id", "state_dir", "socket", "group"].map(|key| format!("sensor.{key}"));
        let kept: Vec<_> = kept.iter().map(String::as_str).collect();
        assert_eq!(change.needs_restart, [kept, vec!["journal", "rings", "evidence", "collector"]].concat());
        assert_eq!(*current.get(), Config { detect: new.detect, agents: new.agents, ..old });
    }
}
