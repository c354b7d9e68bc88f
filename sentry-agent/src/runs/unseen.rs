//! Members whose end no program was called for.
//!
//! A kernel that preempts programs leaves out those that another task comes to meanwhile ([`crate::bpf::skipped`]; seen at
//! `sched_process_exit` on 7.2). The process's row stays in the kernel's table, and without it going the run would never be
//! over. What procfs says is gone is taken out, counted as ended, and as an act that was not told.

use sentry_common::table::RunTag;
use sentry_detect::run::ProcessKey;

use super::{Registry, Run};
use crate::enforce::is_gone;

impl Registry {
    /// Whether a process of the run is left, by its lineage.
    #[must_use]
    pub fn has_members(&self, run: &Run) -> bool {
        let members = self.members(run);
        let gone = self.take_out(members.iter().map(|process| (run.tag, *process)));
        members.len() > gone
    }

    /// Looks at the processes of all runs.
    pub fn take_out_gone(&self) {
        let members = self.kernel().programs.tables.all_members();
        self.take_out(members.into_iter());
    }

    /// How many are gone.
    fn take_out(&self, members: impl Iterator<Item = (RunTag, ProcessKey)>) -> usize {
        let mut gone = 0;
        for (tag, process) in members.filter(|(_, process)| is_gone(*process)) {
            gone += 1;
            // The program may have been called meanwhile, and has counted it then.
            if !self.kernel().programs.tables.remove_member(tag, process) {
                continue;
            }
            if let Some(run) = self.by_tag(tag) {
                run.state().unseen_ends += 1;
                tracing::warn!(run.id = %run.id, process.id = process.tgid, "the kernel did not tell of the end of a process");
            }
        }
        gone
    }
}
