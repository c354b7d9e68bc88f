//! Cgroups around a run.

use aya_ebpf::bindings::BPF_ANY;
use sentry_common::{
    fault, kind,
    record::cgroup::{CANDIDATE, CgroupRecord, DESTINATION_IN_RUN, MEMBER_BEFORE},
};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{cgroup, task, user},
    maps::RUN_CGROUPS,
    probes::select,
};

/// Hook: `tp_btf/cgroup_attach_task(dst_cgrp, path, task, threadgroup)`, after the move. Fires for
/// every hierarchy, but the table has only v2 ids: the destination is compared with the task's v2
/// cgroup.
///
/// A process that enters becomes a member. One that leaves stays a member. Both are reported.
#[inline(always)]
pub fn cgroup_attach_task(destination: *const u8, path: *const u8, member: *const u8) {
    let id = cgroup::id(destination);
    if let Some(run) = gate::of_task(member) {
        if cgroup::of_task(member) == id {
            let inside = if gate::owns_cgroup(&run, id) { DESTINATION_IN_RUN } else { 0 };
            moved(&run, member, id, MEMBER_BEFORE | inside, path);
        }
    } else if let Some(run) = gate::of_cgroup(id)
        && cgroup::of_task(member) == id
    {
        gate::tag_task(member, &run);
        if task::is_leader(member) && gate::tag_process(Actor::of(member), &run) {
            count::add(&run, |block| &raw mut block.counts.processes_entered);
        }
        moved(&run, member, id, DESTINATION_IN_RUN, path);
    }
}

#[inline(always)]
fn moved(run: &Run, member: *const u8, cgroup: u64, flags: u32, path: *const u8) {
    count::add(run, |block| &raw mut block.counts.cgroup_moves);
    report(run, kind::CGROUP_MOVE, Actor::of(member), cgroup, flags, path);
}

/// Hook: `tp_btf/cgroup_mkdir(cgrp, path)`. A cgroup made below a run's cgroup belongs to the run.
/// Any other may belong to an agent ([`select::made`]).
#[inline(always)]
pub fn cgroup_mkdir(made: *const u8, path: *const u8) {
    let id = cgroup::id(made);
    let Some(run) = gate::of_cgroup(cgroup::parent_id(made)) else {
        if let Some(run) = select::made(made, id) {
            let actor = Actor::current(gate::current_task());
            report(&run, kind::CGROUP_MAKE, actor, id, DESTINATION_IN_RUN | CANDIDATE, path);
        }
        return;
    };
    if RUN_CGROUPS.insert(id, run.tag, BPF_ANY.into()).is_err() {
        count::untold(&run, fault::RUN_CGROUPS_FULL);
    }
    count::add(&run, |block| &raw mut block.counts.cgroups_made);
    report(&run, kind::CGROUP_MAKE, Actor::current(gate::current_task()), id, DESTINATION_IN_RUN, path);
}

/// Hook: `tp_btf/cgroup_rmdir(cgrp, path)`. The row is removed at once, because ids can be reused.
#[inline(always)]
pub fn cgroup_rmdir(removed: *const u8, path: *const u8) {
    let id = cgroup::id(removed);
    let Some(run) = gate::of_cgroup(id) else { return };
    // Absent is fine: the sensor may have removed the row.
    let _absent_is_fine = RUN_CGROUPS.remove(id);
    report(&run, kind::CGROUP_REMOVE, Actor::current(gate::current_task()), id, DESTINATION_IN_RUN, path);
}

#[inline(always)]
fn report(run: &Run, kind: u16, actor: Actor, cgroup: u64, flags: u32, path: *const u8) {
    if let Some(mut record) = emit::critical::<CgroupRecord>(run, kind, actor) {
        let fields = record.fields();
        fields.cgroup = cgroup;
        fields.flags = flags;
        fields.reserved = 0;
        user::write_kernel_text(path, &mut fields.path);
        record.submit();
    }
}
