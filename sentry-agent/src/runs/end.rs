//! How a run ends: released, or closed and off the list.

use sentry_common::table::RunTag;
use sentry_detect::run::Input;

use super::{Registry, error::RunError, flows, run::Run};

impl Registry {
    /// Ends the watch over a run whose processes live on: no record of it is made from now on.
    /// Those that were made are still on their way; [`Registry::close`] comes after them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn release(&self, run: &Run) -> Result<(), RunError> {
        let mut tables = self.tables();
        tables.programs.forget(run.tag);
        let block = tables.programs.stop_run(run.tag.slot)?;
        drop(tables);
        self.mark(run, None);
        run.counted(&block, self.clock.boot_ns());
        Ok(())
    }

    /// Takes the run out of the kernel's tables: its tags are void, its slot is free, its cgroup
    /// (if ours) is removed.
    pub fn close(&self, run: &Run) {
        // The last reading, before the slot is cleared for the next run.
        self.read(run);
        let flows = flows::of_kernel(self.tables().programs.take_flows(run.tag));
        let skipped = self.skipped().unwrap_or(0).saturating_sub(run.skipped_before);
        run.set_flows(flows);
        run.step(Input::Closed { skipped });
        self.free(run.tag);
        if run.owned
            && let Err(error) = run.cgroup.remove()
            && !error.is_gone()
        {
            tracing::warn!(
                error = %sentry_service::error_chain(&error),
                run.id = %run.id,
                "cannot remove run cgroup"
            );
        }
    }

    /// Voids the tag in the kernel's tables and gives its slot back.
    pub(super) fn free(&self, tag: RunTag) {
        let mut tables = self.tables();
        tables.programs.forget(tag);
        match tables.programs.set_run(tag.slot, 0) {
            Ok(()) => tables.slots.give_back(tag),
            Err(error) => {
                tracing::error!(
                    error = %sentry_service::error_chain(&error),
                    slot = tag.slot,
                    "cannot free run slot"
                );
            }
        }
        tables.last_end = Some(self.clock.now());
    }

    /// Takes the run off the list of live runs. Only after its last state is in the journal: until
    /// then it is found here, from then on there.
    pub fn retire(&self, run: &Run) {
        self.lists().retire(run);
    }
}
