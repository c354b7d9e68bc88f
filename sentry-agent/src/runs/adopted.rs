//! What an earlier sensor life knew of a run's processes, found again.

use sentry_detect::run::ProcessKey;

use super::{Registry, Run, RunError, run::Before};

impl Registry {
    /// Makes members of those outside of the cgroup that a freeze had stopped: no seed finds them,
    /// and nobody else would continue or kill them.
    pub(super) fn adopt_stopped(&self, run: &Run) -> Result<(), RunError> {
        let before = run.before.iter().flat_map(|before| &before.stopped);
        let stopped: Vec<ProcessKey> = before
            .map(|key| ProcessKey::from(*key))
            .filter(|process| !self.processes.is_gone(*process))
            .collect();
        for process in &stopped {
            self.tables().programs.add_member(run.tag, *process)?;
        }
        run.state().stopped = stopped;
        Ok(())
    }

    /// Tells those that the earlier life had counted from those that came since, by when they
    /// started.
    pub(super) fn know_again(&self, run: &Run) {
        let Some(before) = &run.before else { return };
        // The first reading, so that what has been found is in the counters when the run is next
        // reported.
        self.read(run);
        let members = self.members(run);
        let mut state = run.state();
        let older = members.iter().filter(|process| process.start_boot_ns <= before.counted_boot_ns);
        let lived = (before.processes_born + before.processes_entered).saturating_sub(before.processes_ended);
        // Beyond what was counted are some that were in no run then, and entered since.
        let found = lived.min(older.count() as u64);
        // The stopped ones were not counted again.
        let stopped = state.stopped.len() as u64;
        state.before = Before { found: found.saturating_sub(stopped), gone: lived - found };
    }
}
