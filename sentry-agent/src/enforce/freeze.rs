//! Freeze and thaw: the cgroup as a whole, and lineage members outside of it by SIGSTOP and
//! SIGCONT.

use std::{collections::BTreeSet, time::Duration};

use sentry_detect::run::{ProcessKey, RunId};
use sentry_kernel::{
    cgroup::CgroupError,
    kernel::{HeldProcess, Processes, Signal},
};

use super::{ActError, Enforcer, Reach, Target, count, fence, millis};

/// Between two looks at members that were asked to stop.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Live members outside of the cgroup that may be signalled, and how many may not.
pub(super) struct Outside {
    pub(super) held: Vec<Box<dyn HeldProcess>>,
    pub(super) fenced: u64,
}

impl Outside {
    /// `inside`: the processes of the cgroup, sorted.
    pub(super) fn of(target: &Target, inside: &[u32], processes: &dyn Processes) -> Self {
        let mut outside = Self { held: Vec::new(), fenced: 0 };
        for key in (target.members)() {
            if inside.binary_search(&key.tgid).is_ok() {
                continue;
            }
            let Some(held) = processes.hold(key) else { continue };
            if fence::may_signal(&*held) {
                outside.held.push(held);
            } else {
                tracing::warn!(process.id = key.tgid, "fenced process in a run's lineage is left alone");
                outside.fenced += 1;
            }
        }
        outside
    }
}

/// Processes of the cgroup; none where it is gone.
pub(super) fn inside(target: &Target) -> Result<Vec<u32>, CgroupError> {
    or_gone(Vec::new(), target.cgroup.procs())
}

/// A group that is gone holds nothing, but lineage members may live on outside of it.
fn or_gone<T>(value: T, result: Result<T, CgroupError>) -> Result<T, CgroupError> {
    match result {
        Err(error) if error.is_gone() => Ok(value),
        other => other,
    }
}

impl Enforcer {
    pub(super) fn freeze(&self, run: &RunId, target: &Target, dry: bool) -> Result<Reach, ActError> {
        let end = self.clock.now() + self.limits.freeze;
        if !dry {
            or_gone((), target.cgroup.freeze(self.limits.freeze))?;
        }
        let mut inside = inside(target)?;
        let mut touched = BTreeSet::new();
        loop {
            let outside = Outside::of(target, &inside, &*self.processes);
            if dry {
                return Ok(Reach { processes: count(&inside) + count(&outside.held), survivors: 0 });
            }
            let fresh: Vec<ProcessKey> =
                outside.held.iter().map(|held| held.key()).filter(|key| !touched.contains(key)).collect();
            for held in outside.held.iter().filter(|held| !self.processes.is_stopped(held.key())) {
                stop(&**held);
                self.remember(run, held.key());
            }
            touched.extend(fresh.iter().copied());
            // A stopped process makes no children, so a look that finds nobody new and nobody
            // moving is the last one.
            let left = touched.iter().filter(|key| !self.processes.is_stopped(**key)).count() as u64;
            let processes = count(&inside) + touched.len() as u64;
            if fresh.is_empty() && left == 0 && or_gone(true, target.cgroup.is_frozen())? {
                return Ok(Reach { processes, survivors: 0 });
            }
            if self.clock.now() >= end {
                return Err(ActError::NotStopped { processes, left, waited_ms: millis(self.limits.freeze) });
            }
            self.clock.sleep(LOOK_EVERY);
            inside = self::inside(target)?;
        }
    }

    pub(super) fn thaw(&self, run: &RunId, target: &Target, dry: bool) -> Result<Reach, ActError> {
        let inside = inside(target)?;
        let stopped = self.stopped_of(run);
        if dry {
            return Ok(Reach { processes: count(&inside) + count(&stopped), survivors: 0 });
        }
        target.cgroup.thaw(self.limits.freeze)?;
        let mut processes = count(&inside);
        for held in stopped.into_iter().filter_map(|key| self.processes.hold(key)) {
            if inside.binary_search(&held.key().tgid).is_err() {
                processes += 1;
            }
            if let Err(error) = held.signal(Signal::Continue) {
                tracing::warn!(process.id = held.key().tgid, %error, "stopped member could not be continued");
            }
        }
        self.forget(run);
        Ok(Reach { processes, survivors: 0 })
    }

    pub(super) fn remember(&self, run: &RunId, key: ProcessKey) {
        let mut stopped = self.stopped.lock();
        stopped.entry(run.clone()).or_default().insert(key);
    }

    pub(super) fn stopped_of(&self, run: &RunId) -> Vec<ProcessKey> {
        let stopped = self.stopped.lock();
        stopped.get(run).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }
}

fn stop(held: &dyn HeldProcess) {
    if let Err(error) = held.signal(Signal::Stop) {
        tracing::warn!(
            process.id = held.key().tgid,
            %error,
            "member outside of the cgroup could not be stopped"
        );
    }
}
