//! Processes that were in a cgroup before it was tagged.

use sentry_common::{kind, record::process::ExecRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{cgroup, task, user},
    probes::exec,
};

/// Program: `iter/task`, run by the sensor after a cgroup was tagged (5.8+). Tags every task that sits in a run's
/// cgroup and has no tag yet, and reports each such process once.
#[inline(always)]
pub fn iter_task(member: *const u8) {
    let Some(run) = gate::of_cgroup(cgroup::of_task(member)) else { return };
    if gate::of_task(member).is_some() {
        return;
    }
    gate::tag_task(member, &run);
    if !task::is_leader(member) {
        return;
    }
    let actor = Actor::of(member);
    if !gate::tag_process(actor, &run) {
        return;
    }
    count::add(&run, |block| &raw mut block.processes_entered);
    let Some(mut record) = emit::critical::<ExecRecord>(&run, kind::SEED, actor) else { return };
    exec::fill(member, task::exe_file(member), record.fields());
    user::write_no_argv(&mut record.fields().argv);
    record.submit();
}
