//! Members whose end no program saw.
//!
//! A kernel that preempts programs skips a program that another task reaches meanwhile
//! ([`sentry_kernel::bpf::skipped`]; seen at `sched_process_exit` on 7.2). Then the row of an ended
//! process stays in the kernel's table, and the run would never be over. So processes that have
//! ended by the kernel's answer are removed here, and counted both as ended and as an act without a
//! record.

use sentry_common::table::RunTag;
use sentry_detect::run::{Input, ProcessKey};

use super::{Registry, Run};

impl Registry {
    /// Whether no member is left and none will come by itself: the run's own cgroup is empty, or
    /// the tagged one is gone. It is what the kernel says now, not what the counters add up to: one
    /// miscounted process must not keep a run for ever.
    #[must_use]
    pub fn is_empty(&self, run: &Run) -> bool {
        let empty = if run.owned {
            run.cgroup.populated().is_ok_and(|populated| !populated)
        } else {
            run.cgroup.events().is_err_and(|error| error.is_gone())
        };
        empty && !self.has_members(run)
    }

    /// Whether a process of the run is left, by its lineage.
    fn has_members(&self, run: &Run) -> bool {
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
            run.step(Input::UnseenEnd);
            tracing::debug!(
                run.id = %run.id,
                process.id = process.tgid,
                "the kernel did not report the end of a process"
            );
        }
        true
    }
}
