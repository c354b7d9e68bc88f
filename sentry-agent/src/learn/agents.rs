//! The baselines of all agents: those of live runs in memory, the others on the shelf.
//!
//! One lock, which is held while a file is written: whoever sees a number here finds it on the disk
//! after a crash, or a moment before it. What is wrong has another one: who asks for that does not
//! wait for the disk.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use sentry_baseline::{Baseline, Bounds};
use sentry_kernel::clock::Clock;
use sentry_proto::v1;
use sentry_service::error_chain;

use super::{
    shelf::{Kept, Shelf},
    wire,
};
use crate::config::Baselines;

/// All agents.
pub struct Agents {
    /// Taken before `troubles`, where both are.
    held: Mutex<Held>,
    troubles: Mutex<Troubles>,
    config: Baselines,
    clock: Clock,
}

struct Held {
    shelf: Shelf,
    live: BTreeMap<String, Agent>,
}

struct Troubles {
    /// What was set aside in this sensor life.
    aside: Vec<String>,
    /// Why the last write failed, until one succeeds.
    unwritten: Option<String>,
}

struct Agent {
    baseline: Baseline,
    /// Live ones.
    runs: usize,
    changed: bool,
}

impl Agents {
    /// `troubles`: what the shelf said when it was opened.
    #[must_use]
    pub fn new((shelf, troubles): (Shelf, Vec<String>), config: Baselines, clock: Clock) -> Self {
        let troubles = Troubles { aside: troubles, unwritten: None };
        let held = Held { shelf, live: BTreeMap::new() };
        Self { held: Mutex::new(held), troubles: Mutex::new(troubles), config, clock }
    }

    /// When an agent is known.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        wire::bounds(&self.config)
    }

    #[must_use]
    pub fn config(&self) -> &Baselines {
        &self.config
    }

    /// A run of the agent begins; [`Self::ends`] has to follow.
    pub fn begins(&self, name: &str) {
        let now_unix_ns = self.clock.unix_ns();
        let mut held = self.held.lock();
        if let Some(agent) = held.live.get_mut(name) {
            agent.runs += 1;
            return;
        }
        let baseline = held.read(name, &self.troubles).unwrap_or_else(|| Baseline::new(name, now_unix_ns));
        held.live.insert(name.to_owned(), Agent { baseline, runs: 1, changed: false });
    }

    /// Changes the baseline of an agent with a live run.
    pub fn change<T>(&self, name: &str, change: impl FnOnce(&mut Baseline) -> T) -> Option<T> {
        let mut held = self.held.lock();
        let agent = held.live.get_mut(name)?;
        agent.changed = true;
        Some(change(&mut agent.baseline))
    }

    /// Runs have ended: of which agents, and what each changes last. Then what was learned is
    /// written, once for all.
    pub fn ends<C: FnOnce(&mut Baseline)>(&self, runs: impl IntoIterator<Item = (String, C)>) {
        let mut held = self.held.lock();
        for (name, change) in runs {
            let Some(agent) = held.live.get_mut(&name) else { continue };
            agent.runs = agent.runs.saturating_sub(1);
            agent.changed = true;
            change(&mut agent.baseline);
        }
        held.write_changed(&self.troubles);
    }

    /// Writes what has changed. What cannot be written is kept, and tried again.
    pub fn write_changed(&self) {
        self.held.lock().write_changed(&self.troubles);
    }

    /// What is wrong, one line each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let troubles = self.troubles.lock();
        troubles.aside.iter().chain(&troubles.unwritten).cloned().collect()
    }

    /// The standing of these agents, of those that something was learned of.
    #[must_use]
    pub fn standings(&self, names: &[String]) -> Vec<v1::Standing> {
        let now_unix_ns = self.clock.unix_ns();
        let mut standings = Vec::new();
        for name in names {
            let held = self.held.lock();
            let standing = match held.live.get(name) {
                Some(agent) => Some(wire::standing(&agent.baseline, &self.config, now_unix_ns)),
                None => {
                    let baseline = held.read(name, &self.troubles);
                    baseline.map(|baseline| wire::standing(&baseline, &self.config, now_unix_ns))
                }
            };
            standings.extend(standing);
        }
        standings
    }
}

impl Held {
    fn read(&self, name: &str, troubles: &Mutex<Troubles>) -> Option<Baseline> {
        match self.shelf.read(name) {
            Ok(Kept::Nothing) => None,
            Ok(Kept::Baseline(baseline)) => Some(*baseline),
            Ok(Kept::Aside(trouble)) => {
                tracing::error!(agent = name, trouble, "a baseline is set aside");
                troubles.lock().aside.push(trouble);
                None
            }
            Err(error) => {
                tracing::error!(agent = name, error = %error_chain(&error), "a baseline cannot be read");
                None
            }
        }
    }

    fn write_changed(&mut self, troubles: &Mutex<Troubles>) {
        let mut refused = None;
        for agent in self.live.values_mut().filter(|agent| agent.changed) {
            match self.shelf.write(&agent.baseline) {
                Ok(()) => agent.changed = false,
                Err(error) => refused = Some(format!("baselines wait for the disk: {}", error_chain(&error))),
            }
        }
        let mut troubles = troubles.lock();
        if let (Some(why), None) = (&refused, &troubles.unwritten) {
            tracing::error!(why, "a baseline cannot be written");
        }
        troubles.unwritten = refused;
        drop(troubles);
        self.live.retain(|_, agent| agent.runs > 0 || agent.changed);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn who_asks_what_is_wrong_does_not_wait_for_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open(dir.path()).unwrap();
        let config = Baselines {
            learn: true,
            window: Duration::from_secs(1),
            min_runs: 1,
            min_windows: 1,
            cool_down: Duration::ZERO,
        };
        let agents = Agents::new((shelf, vec!["torn".to_owned()]), config, Clock::real());
        let (says, said) = mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            // As while a file is written.
            let held = agents.held.lock();
            scope.spawn(|| says.send(agents.troubles()));
            let troubles = said.recv_timeout(Duration::from_secs(30));
            drop(held);
            assert_eq!(troubles, Ok(vec!["torn".to_owned()]));
        });
    }
}
