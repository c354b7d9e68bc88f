//! What an earlier sensor life knew of a run's processes, found again.

use sentry_detect::run::{Account, Input, ProcessKey, machine::Recovered};

use super::{Registry, Run, RunError};

impl Registry {
    /// Makes members of those outside of the cgroup that a freeze had stopped, and that live: no
    /// seed finds them, and nobody else would continue or kill them.
    pub(super) fn adopt_stopped(
        &self,
        run: &Run,
        stopped: &[ProcessKey],
    ) -> Result<Vec<ProcessKey>, RunError> {
        let stopped: Vec<ProcessKey> =
            stopped.iter().copied().filter(|process| !self.processes.is_gone(*process)).collect();
        for process in &stopped {
            self.tables().programs.add_member(run.tag, *process)?;
        }
        Ok(stopped)
    }

    /// Distinguishes the processes that the earlier life had counted from those that came since, by
    /// their start.
    pub(super) fn know_again(&self, run: &Run, before: &Account, stopped: Vec<ProcessKey>, frozen: bool) {
        // The first reading, so that what has been found is in the counters when the run is next
        // reported.
        self.read(run);
        let members = self.members(run);
        let older = members.iter().filter(|process| process.start_boot_ns <= before.counted_boot_ns);
        let recovered = Recovered { frozen, stopped, older: older.count() as u64 };
        run.step(Input::Recovered(recovered));
    }
}
