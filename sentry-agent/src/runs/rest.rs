//! When the programs beside the core's are attached: with the first run, and for a while after the
//! last.

use std::time::Duration;

use sentry_common::table::RunTag;
use sentry_kernel::{
    bpf::{Links, LoadError},
    clock::Clock,
};

use super::{Registry, registry::Tables};

/// How long the programs stay attached after the last run: to attach and detach them all takes the
/// kernel longer than many a run lives, because each waits until no processor is in the code that
/// changes.
const REST_AFTER: Duration = Duration::from_secs(10);

impl Tables {
    /// What has to be detached, once nothing has run for [`REST_AFTER`].
    fn take_idle(&mut self, clock: &Clock) -> Option<Links> {
        if !self.slots.all_free() || clock.since(self.last_end?) < REST_AFTER {
            return None;
        }
        self.last_end = None;
        Some(self.programs.take_armed())
    }
}

impl Registry {
    /// Detaches the programs beside the core's when no run has existed for a while. Blocks for as
    /// long as the kernel takes; a run that starts meanwhile waits for the end of it.
    pub fn rest(&self) {
        let _attaching = self.attaching();
        let idle = self.tables().take_idle(&self.clock);
        if let Some(idle) = idle {
            let links = idle.len();
            drop(idle);
            tracing::info!(links, "programs are detached: nothing runs");
        }
    }

    /// Attaches the programs and enters a cgroup for the tag, whose slot has been taken.
    pub(super) fn watch(&self, cgroup: u64, tag: RunTag) -> Result<(), LoadError> {
        let _attaching = self.attaching();
        let programs = &mut self.tables().programs;
        programs.arm()?;
        programs.set_run(tag.slot, tag.generation)?;
        programs.add_cgroup(cgroup, tag)
    }
}
