//! A task is born.

use sentry_common::{
    counter::RunBlock,
    kind,
    record::{
        cgroup::{AT_BIRTH, CgroupRecord, MEMBER_BEFORE},
        process::ForkRecord,
    },
};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{cgroup, task, user},
    probes::{outside, standing},
};

/// Hook: `tp_btf/task_newtask(child, clone_flags)` in the parent, before the child first runs.
/// Unlike `sched_process_fork` it also fires for the kernel's io_uring workers, which act for the
/// process (seen on 6.1–6.18).
///
/// The child inherits the parent's tag; a child born into a run's cgroup from outside
/// (`CLONE_INTO_CGROUP`) gets that run's. Cost for untagged parents: tag miss, one look-up of the
/// child's cgroup, and those of [`outside::born`].
#[inline(always)]
pub fn task_newtask(child: *const u8, clone_flags: u64) {
    let parent = gate::current_task();
    let child_cgroup = cgroup::of_task(child);
    if let Some(run) = gate::of_member(parent) {
        let is_process =
            born(&run, parent, child, child_cgroup, |block| &raw mut block.counts.processes_born);
        if is_process && !gate::owns_cgroup(&run, child_cgroup) {
            report_birth_outside(&run, child, child_cgroup);
        }
        if is_process {
            standing::born(&run, Actor::of(child), clone_flags);
        }
    } else if let Some(run) = gate::of_cgroup(child_cgroup) {
        born(&run, parent, child, child_cgroup, |block| &raw mut block.counts.processes_entered);
    } else {
        outside::born(parent, child);
    }
}

/// Hook: fexit `kernel_clone(args)`, and `create_io_thread(function, argument, node)` for the
/// workers of a ring. A refused birth can cost the parent its tag ([`gate`]).
#[inline(always)]
pub fn refused(error: u32) {
    // The parent's task storage may be gone by now, so this asks by process.
    if error != 0 && gate::of_member(gate::current_task()).is_some() {
        gate::tag_may_be_missing();
    }
}

/// Makes the child a member and counts it in `counter` if it is a process. True for a process,
/// false for a thread.
#[inline(always)]
fn born(
    run: &Run,
    parent: *const u8,
    child: *const u8,
    child_cgroup: u64,
    counter: impl FnOnce(&mut RunBlock) -> *mut u64,
) -> bool {
    gate::tag_task(child, run);
    count::add(run, |block| &raw mut block.counts.tasks_born);
    if !task::is_leader(child) {
        return false;
    }
    let process = Actor::of(child);
    if gate::tag_process(process, run) {
        count::add(run, counter);
    }
    report(run, Actor::current(parent), process, child_cgroup);
    true
}

#[inline(always)]
fn report(run: &Run, parent: Actor, child: Actor, child_cgroup: u64) {
    if let Some(mut record) = emit::critical::<ForkRecord>(run, kind::FORK, parent) {
        let fields = record.fields();
        fields.child_tgid = child.tgid;
        fields.reserved = 0;
        fields.child_start_boot_ns = child.start_boot_ns;
        fields.child_cgroup = child_cgroup;
        record.submit();
    }
}

/// Adds `leader` to the run if its parent is a member and it sits in the run's cgroup. Then the
/// kernel skipped the program for its birth, as a kernel that preempts programs does (7.2). The
/// birth is reported late.
///
/// Cost for tasks that lead no process: two reads; for others outside of every run: one look-up
/// more.
#[inline(always)]
pub(crate) fn missed(leader: *const u8) -> Option<Run> {
    // Threads do not count: while one ends, another may just have removed the process.
    if !task::is_leader(leader) {
        return None;
    }
    let cgroup = cgroup::of_task(leader);
    let run = gate::of_cgroup(cgroup)?;
    let (tgid, start_boot_ns) = task::parent(leader);
    if !gate::owns_process(&run, tgid, start_boot_ns) {
        // It was probably there before its cgroup was tagged: the task iterator reports it.
        return None;
    }
    let process = Actor::of(leader);
    gate::tag_task(leader, &run);
    if gate::tag_process(process, &run) {
        count::add(&run, |block| &raw mut block.counts.tasks_born);
        count::add(&run, |block| &raw mut block.counts.processes_born);
        report(&run, Actor { tgid, tid: tgid, start_boot_ns }, process, cgroup);
    }
    Some(run)
}

/// Reports a member born outside of the run's cgroups. Only births by `CLONE_INTO_CGROUP` count: a
/// child that merely shares the cgroup of a parent that left earlier is not reported again.
#[inline(always)]
fn report_birth_outside(run: &Run, child: *const u8, child_cgroup: u64) {
    if child_cgroup == cgroup::of_task(gate::current_task()) {
        return;
    }
    count::add(run, |block| &raw mut block.counts.cgroup_moves);
    if let Some(mut record) = emit::critical::<CgroupRecord>(run, kind::CGROUP_MOVE, Actor::of(child)) {
        let fields = record.fields();
        fields.cgroup = child_cgroup;
        fields.flags = MEMBER_BEFORE | AT_BIRTH;
        fields.reserved = 0;
        user::write_no_argument(&mut fields.path);
        record.submit();
    }
}
