//! Decision → act → verified outcome.
//!
//! Shape: [`Enforcer::act`] takes a [`Decision`] and a [`Target`], passes the fence (`fence`), acts
//! (`freeze`, `kill`) and returns an [`Outcome`] that says what the kernel confirmed, how long it
//! took and how many processes it reached. Observe mode takes the same path and stops before the
//! call that would change something.
//!
//! A run is its cgroup and its lineage. Members that left the cgroup are reached one by one through
//! pidfds: opened first, identified second, signalled third, so that a reused process id is never
//! hit.
//!
//! Limits: freezing a member outside of the cgroup is SIGSTOP, which it cannot refuse but a parent
//! can see. Who was stopped is part of the run's state, at most [`STOPPED`] members of a run, so
//! that a later sensor life continues them. One that waits for a vfork child, or stands in a frozen
//! group of its own, gets to the stop only afterwards: that freeze is reported as not done. Restart
//! is not done here; the supervisor of the command does it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    run::{Mode, ProcessKey, RunId},
};
use sentry_kernel::{cgroup::CgroupError, clock::Clock, kernel::Processes};
use sentry_service::error_chain;

mod target;

mod fence;

mod freeze;

mod kill;

pub use target::{Members, Target};

/// How long an act may wait for the kernel's confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub freeze: Duration,
    pub kill: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { freeze: Duration::from_secs(2), kill: Duration::from_secs(5) }
    }
}

/// Most stopped members of one run that a later sensor life is to know: what fits into the run's
/// state.
pub const STOPPED: usize = 4_096;

/// Turns decisions into outcomes. Blocking; one value serves all runs.
pub struct Enforcer {
    limits: Limits,
    processes: Arc<dyn Processes>,
    clock: Clock,
    /// Members outside of their cgroup that a freeze stopped, and a thaw has to continue.
    stopped: Mutex<HashMap<RunId, BTreeSet<ProcessKey>>>,
}

/// What an act reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reach {
    processes: u64,
    survivors: u64,
}

/// Why an act did not reach its aim.
#[derive(Debug, thiserror::Error)]
enum ActError {
    #[error(transparent)]
    Refused(#[from] fence::Refusal),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("{survivors} of {processes} processes are still alive after {waited_ms} ms; kill again")]
    Survivors { processes: u64, survivors: u64, waited_ms: u64 },
    #[error("{left} members outside of the cgroup did not stop within {waited_ms} ms; kill the run instead")]
    NotStopped { processes: u64, left: u64, waited_ms: u64 },
}

impl Enforcer {
    #[must_use]
    pub fn new(limits: Limits, processes: Arc<dyn Processes>, clock: Clock) -> Self {
        Self { limits, processes, clock, stopped: Mutex::default() }
    }

    /// Acts on the decision, or in observe mode does everything but the act.
    #[must_use]
    pub fn act(&self, decision: &Decision, target: &Target) -> Outcome {
        let queued = Duration::from_nanos(self.clock.unix_ns().saturating_sub(decision.time_unix_ns));
        let start = self.clock.now();
        let result = self.try_act(decision, target);
        let took = queued + self.clock.since(start);
        let (result, reach) = match result {
            Ok(reach) if decision.mode == Mode::Observe => (OutcomeKind::WouldApply, reach),
            Ok(reach) => (OutcomeKind::Applied, reach),
            Err(ActError::Refused(refusal)) => {
                (OutcomeKind::Refused { why: refusal.to_string() }, Reach::default())
            }
            Err(error) => (OutcomeKind::Failed { why: error_chain(&error) }, error.reach()),
        };
        Outcome {
            decision: decision.id.clone(),
            run: decision.run.clone(),
            action: decision.action,
            result,
            time_unix_ns: self.clock.unix_ns(),
            took_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            processes: reach.processes,
            survivors: reach.survivors,
        }
    }

    /// Takes over from an earlier sensor life what was stopped.
    pub fn remember_all(&self, run: &RunId, stopped: &[ProcessKey]) {
        stopped.iter().for_each(|key| self.remember(run, *key));
    }

    /// What is stopped outside of the run's cgroup, at most [`STOPPED`] members.
    #[must_use]
    pub fn stopped(&self, run: &RunId) -> Vec<ProcessKey> {
        let mut stopped = self.stopped_of(run);
        if stopped.len() > STOPPED {
            tracing::warn!(
                run.id = %run,
                members = stopped.len(),
                most = STOPPED,
                "not all stopped members can be written down"
            );
            stopped.truncate(STOPPED);
        }
        stopped
    }

    /// Forgets what was stopped for a run that has ended.
    pub fn forget(&self, run: &RunId) {
        self.stopped.lock().remove(run);
    }

    fn try_act(&self, decision: &Decision, target: &Target) -> Result<Reach, ActError> {
        fence::target(target)?;
        let dry = decision.mode == Mode::Observe;
        match decision.action {
            Action::Observe => Ok(Reach::default()),
            Action::Freeze => self.freeze(&decision.run, target, dry),
            Action::Thaw => self.thaw(&decision.run, target, dry),
            Action::Kill => self.kill(&decision.run, target, dry),
            Action::Restart => Err(fence::Refusal::Restart.into()),
        }
    }
}

impl ActError {
    fn reach(&self) -> Reach {
        match *self {
            Self::Survivors { processes, survivors, .. } => Reach { processes, survivors },
            Self::NotStopped { processes, .. } => Reach { processes, survivors: 0 },
            Self::Refused(_) | Self::Cgroup(_) => Reach::default(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn count<T>(items: &[T]) -> u64 {
    items.len() as u64
}

#[cfg(test)]
mod tests;
