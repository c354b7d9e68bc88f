//! Kill: the cgroup in one call, lineage members outside of it one by one, again and again until
//! none is alive.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use sentry_detect::run::{ProcessKey, RunId};
use sentry_kernel::kernel::Signal;
use sentry_service::error_chain;

use super::{
    ActError, Enforcer, Reach, Target, count,
    freeze::{Outside, inside},
    millis,
};

/// How long a freeze before the kill may take. It makes the count exact and keeps new members from
/// being born; a task that does not stop in time is killed all the same.
const HOLD: Duration = Duration::from_millis(250);

/// Between two looks at members that are ending.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A member outside may have made a child that the lineage table learns of a moment later. Where
/// any member was outside, the end is believed only when nobody new has turned up for this long.
const SETTLE: Duration = Duration::from_millis(20);

impl Enforcer {
    pub(super) fn kill(&self, run: &RunId, target: &Target, dry: bool) -> Result<Reach, ActError> {
        if dry {
            let inside = inside(target)?;
            let processes = count(&inside) + count(&Outside::of(target, &inside, &*self.processes).held);
            return Ok(Reach { processes, survivors: processes });
        }
        let start = self.clock.now();
        if let Err(error) = target.cgroup.freeze(HOLD)
            && !error.is_gone()
        {
            tracing::debug!(run.id = %run, error = error_chain(&error), "killing without a freeze before");
        }
        let mut reached = Reached { inside: inside(target)?.into_iter().collect(), outside: BTreeSet::new() };
        let left = self.kill_until_empty(target, &mut reached, start)?;
        let processes = (reached.inside.len() + reached.outside.len()) as u64;
        if left > 0 {
            let waited_ms = millis(self.clock.since(start));
            return Err(ActError::Survivors { processes, survivors: left, waited_ms });
        }
        // The group may be used again, by a service manager for example: it must not stay frozen.
        if let Err(error) = target.cgroup.thaw(self.limits.freeze) {
            tracing::warn!(run.id = %run, error = error_chain(&error), "emptied cgroup stays frozen");
        }
        self.forget(run);
        Ok(Reach { processes, survivors: 0 })
    }

    /// Returns how many are left when the time is up; 0 is verified twice.
    fn kill_until_empty(
        &self,
        target: &Target,
        reached: &mut Reached,
        start: Instant,
    ) -> Result<u64, ActError> {
        let mut clean_since: Option<Instant> = None;
        loop {
            target.cgroup.kill(self.limits.kill)?;
            let populated = target.cgroup.populated()?;
            let inside = if populated { inside(target)? } else { Vec::new() };
            reached.inside.extend(&inside);
            let outside = Outside::of(target, &inside, &*self.processes);
            for held in &outside.held {
                reached.note(held.key());
                if let Err(error) = held.signal(Signal::Kill) {
                    tracing::warn!(process.id = held.key().tgid, %error, "member could not be killed");
                }
            }
            let alive = outside.held.iter().filter(|held| self.processes.is_alive(held.key())).count() as u64;
            let left = alive + outside.fenced + if populated { count(&inside).max(1) } else { 0 };
            let now = self.clock.now();
            if left == 0 && outside.held.is_empty() {
                let since = *clean_since.get_or_insert(now);
                if reached.outside.is_empty() || now.duration_since(since) >= SETTLE {
                    return Ok(0);
                }
            } else {
                clean_since = None;
            }
            if now.duration_since(start) >= self.limits.kill {
                return Ok(left);
            }
            self.clock.sleep(LOOK_EVERY);
        }
    }
}

/// The killed processes: by number inside of the cgroup, by key outside.
struct Reached {
    inside: BTreeSet<u32>,
    outside: BTreeSet<ProcessKey>,
}

impl Reached {
    fn note(&mut self, key: ProcessKey) {
        // A member whose end is under way drops out of the cgroup's list before it is gone.
        if !self.inside.contains(&key.tgid) {
            self.outside.insert(key);
        }
    }
}
