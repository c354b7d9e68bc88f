//! Processes that were in a cgroup before it was tagged.

use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};
use sentry_common::{kind, record::process::ExecRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{cgroup, task, user},
    probes::exec,
};

/// Program: `iter/task`, run by the sensor after a cgroup was tagged (5.8+). Tags every task that
/// sits in a run's cgroup and has no tag yet, and reports each such process once.
///
/// A newborn is left to its fork record, which may still come. Its start (u64) goes to the reader
/// of the iterator, which iterates again if the fork was over before the cgroup was tagged.
#[inline(always)]
pub fn iter_task(output: *mut seq_file, member: *const u8) {
    let Some(run) = gate::of_cgroup(cgroup::of_task(member)) else { return };
    if gate::has_tag(member) {
        return;
    }
    // A zombie does nothing more, and it ended before the tag.
    if task::live_threads(member) <= 0 {
        return;
    }
    if task::is_newborn(member) {
        let start = task::start(member);
        // SAFETY: the iterator's own file, and a value on the stack with its size. A full buffer
        // makes the kernel call again for this task.
        let _retried_by_the_kernel =
            unsafe { bpf_seq_write(output, (&raw const start).cast(), size_of_val(&start) as u32) };
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
    count::add(&run, |block| &raw mut block.counts.processes_entered);
    let Some(mut record) = emit::critical::<ExecRecord>(&run, kind::SEED, actor) else { return };
    exec::fill(member, task::exe_file(member).map_or(0, |file| file as u64), record.fields());
    user::write_no_argv(&mut record.fields().argv);
    user::write_no_argument(&mut record.fields().requested);
    record.submit();
}
