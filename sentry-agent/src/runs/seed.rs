//! Tasks that sit in a run's cgroup and that no program was called for when they came there: they
//! are looked for among all tasks of the machine, and tagged.

use std::{sync::atomic::Ordering, time::Duration};

use sentry_kernel::bpf::LoadError;

use super::Registry;

/// Between two passes, for those who are forking to get on with it.
const BETWEEN_PASSES: Duration = Duration::from_millis(1);

impl Registry {
    /// Asks for a pass over all tasks: a process with several threads entered a run, and the kernel
    /// reported its leader alone; or programs were left out.
    pub fn want_seed(&self) {
        self.seed_wanted.store(true, Ordering::Release);
    }

    /// Makes the pass if one was asked for.
    ///
    /// # Errors
    /// When the iterator fails.
    pub fn seed_if_wanted(&self) -> Result<(), LoadError> {
        if !self.seed_wanted.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // One that failed is still wanted.
        self.seed().inspect_err(|_error| self.want_seed())
    }

    /// Tags tasks that already sit in the cgroups of runs, each reported as a seed record. Passes
    /// again for tasks that were being forked when it began: their fork may have been over before
    /// the cgroup was tagged. The tables are not locked meanwhile: a pass takes as long as there
    /// are tasks.
    pub(super) fn seed(&self) -> Result<(), LoadError> {
        let began = self.clock.boot_ns();
        loop {
            let pass = self.tables().programs.seed_pass()?;
            if pass()?.into_iter().all(|newborn| newborn > began) {
                return Ok(());
            }
            self.clock.sleep(BETWEEN_PASSES);
        }
    }
}
