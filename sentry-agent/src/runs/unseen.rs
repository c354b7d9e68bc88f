//! Members whose end no program was called for.
//!
//! A kernel that preempts programs leaves out those that another task comes to meanwhile ([`sentry_kernel::bpf::skipped`]; seen at
//! `sched_process_exit` on 7.2). The process's row stays in the kernel's table, and without it going the run would never be
//! over. What the kernel says is gone is taken out, counted as ended, and as an act that was not told.

use sentry_common::table::RunTag;
use sentry_detect::run::ProcessKey;

use super::{Registry, Run};

impl Registry {
    /// Whether a process of the run is left, by its lineage.
    #[must_use]
    pub fn has_members(&self, run: &Run) -> bool {
        self.members(run).into_iter().any(|process| !self.take_out_if_gone(run.tag, process))
    }

    /// Live processes of all runs.
    #[must_use]
    pub fn all_members(&self) -> Vec<(RunTag, ProcessKey)> {
        self.tables().programs.all_members()
    }

    /// True when the process is gone.
    pub fn take_out_if_gone(&self, tag: RunTag, process: ProcessKey) -> bool {
        if !self.processes.is_gone(process) {
            return false;
        }
        // The program may have been called meanwhile, and has counted it then.
        if self.tables().programs.remove_member(tag, process)
            && let Some(run) = self.by_tag(tag)
        {
            run.state().unseen_ends += 1;
            tracing::debug!(run.id = %run.id, process.id = process.tgid, "the kernel did not tell of the end of a process");
        }
        true
    }
}
