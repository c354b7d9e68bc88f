//! A process ends.

use sentry_common::{kind, record::process::ExitRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::task,
    probes::fork,
};

/// Hook: `tp_btf/sched_process_exit(task, …)` (5.5+; from 6.16 with a further argument that is not
/// used here). Reports the last thread only. Two threads that end at once can both see that no
/// thread is left (seen on 6.12): the one that removes the process's row reports the end.
#[inline(always)]
pub fn sched_process_exit(current: *const u8) {
    let Some(run) = gate::of_member(current).or_else(|| fork::missed(current)) else { return };
    if task::live_threads(current) > 0 {
        return;
    }
    let actor = Actor::current(current);
    if !gate::untag_process(actor.tgid, &run) {
        return;
    }
    count::add(&run, |block| &raw mut block.counts.processes_ended);
    if let Some(mut record) = emit::critical::<ExitRecord>(&run, kind::EXIT, actor) {
        let fields = record.fields();
        fields.status = task::exit_status(current);
        fields.reserved = 0;
        record.submit();
    }
}
