//! The baselines of all agents: those of live runs in memory, the others on the shelf.
//!
//! One lock, which is held while a file is written: whoever sees a number here finds it on the disk
//! after a crash, or a moment before it.

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
    held: Mutex<Held>,
    config: Baselines,
    clock: Clock,
}

struct Held {
    shelf: Shelf,
    live: BTreeMap<String, Agent>,
    /// What was set aside in this sensor life.
    troubles: Vec<String>,
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
        let held = Held { shelf, live: BTreeMap::new(), troubles, unwritten: None };
        Self { held: Mutex::new(held), config, clock }
    }

    /// When an agent is known.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        bounds(&self.config)
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
        let baseline = held.read(name).unwrap_or_else(|| Baseline::new(name, now_unix_ns));
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
        held.write_changed();
    }

    /// Writes what has changed. What cannot be written is kept, and tried again.
    pub fn write_changed(&self) {
        self.held.lock().write_changed();
    }

    /// What is wrong, one line each.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let held = self.held.lock();
        held.troubles.iter().chain(&held.unwritten).cloned().collect()
    }

    /// The standing of these agents, of those that something was learned of.
    #[must_use]
    pub fn standings(&self, names: &[String]) -> Vec<v1::Standing> {
        let now_unix_ns = self.clock.unix_ns();
        let mut held = self.held.lock();
        let mut standings = Vec::new();
        for name in names {
            let standing = match held.live.get(name) {
                Some(agent) => Some(wire::standing(&agent.baseline, &self.config, now_unix_ns)),
                None => held.read(name).map(|baseline| wire::standing(&baseline, &self.config, now_unix_ns)),
            };
            standings.extend(standing);
        }
        standings
    }
}

/// When an agent is known.
pub(super) fn bounds(config: &Baselines) -> Bounds {
    Bounds { min_runs: config.min_runs.into(), min_windows: config.min_windows.into() }
}

impl Held {
    fn read(&mut self, name: &str) -> Option<Baseline> {
        match self.shelf.read(name) {
            Ok(Kept::Nothing) => None,
            Ok(Kept::Baseline(baseline)) => Some(*baseline),
            Ok(Kept::Aside(trouble)) => {
                tracing::error!(agent = name, trouble, "a baseline is set aside");
                self.troubles.push(trouble);
                None
            }
            Err(error) => {
                tracing::error!(agent = name, error = %error_chain(&error), "a baseline cannot be read");
                None
            }
        }
    }

    fn write_changed(&mut self) {
        let mut refused = None;
        for agent in self.live.values_mut().filter(|agent| agent.changed) {
            match self.shelf.write(&agent.baseline) {
                Ok(()) => agent.changed = false,
                Err(error) => refused = Some(format!("baselines wait for the disk: {}", error_chain(&error))),
            }
        }
        if let (Some(why), None) = (&refused, &self.unwritten) {
            tracing::error!(why, "a baseline cannot be written");
        }
        self.unwritten = refused;
        self.live.retain(|_, agent| agent.runs > 0 || agent.changed);
    }
}
