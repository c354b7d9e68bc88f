//! A task is born.

use sentry_common::{
    kind,
    record::{
        cgroup::{AT_BIRTH, CgroupRecord, MEMBER_BEFORE},
        process::ForkRecord,
    },
};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{cgroup, task, user},
};

/// Hook: `tp_btf/sched_process_fork(parent, child)`, before the child first runs (5.5+).
///
/// The child inherits the parent's tag; a child born into a run's cgroup from outside (`CLONE_INTO_CGROUP`) gets that
/// run's. Cost for untagged parents: tag miss + one look-up of the child's cgroup.
#[inline(always)]
pub fn sched_process_fork(parent: *const u8, child: *const u8) {
    let child_cgroup = cgroup::of_task(child);
    let cgroup_run = gate::of_cgroup(child_cgroup);
    let inherited = gate::of_task(parent);
    let Some(run) = inherited.or(cgroup_run) else { return };
    gate::tag_task(child, &run);
    count::add(&run, |block| &raw mut block.tasks_born);
    if !task::is_leader(child) {
        return;
    }
    let child_tgid = task::tgid(child);
    gate::tag_process(child_tgid, &run);
    if inherited.is_some() {
        count::add(&run, |block| &raw mut block.processes_born);
    } else {
        count::add(&run, |block| &raw mut block.processes_entered);
    }
    if let Some(mut record) = emit::critical::<ForkRecord>(&run, kind::FORK, Actor::current(parent)) {
        let fields = record.fields();
        fields.child_tgid = child_tgid;
        fields.reserved = 0;
        fields.child_start_boot_ns = task::process_start(child);
        fields.child_cgroup = child_cgroup;
        record.submit();
    }
    if inherited.is_some() && cgroup_run.is_none_or(|other| other.tag != run.tag) {
        report_birth_outside(&run, child, child_cgroup);
    }
}

/// Lineage says member, cgroup says otherwise: a fact of its own. Only for births that are moves
/// (`CLONE_INTO_CGROUP`): a child that shares its already departed parent's cgroup is no news.
#[inline(always)]
fn report_birth_outside(run: &gate::Run, child: *const u8, child_cgroup: u64) {
    if child_cgroup == cgroup::of_task(gate::current_task()) {
        return;
    }
    count::add(run, |block| &raw mut block.cgroup_moves);
    if let Some(mut record) = emit::critical::<CgroupRecord>(run, kind::CGROUP_MOVE, Actor::of(child)) {
        let fields = record.fields();
        fields.cgroup = child_cgroup;
        fields.flags = MEMBER_BEFORE | AT_BIRTH;
        fields.reserved = 0;
        user::write_no_argument(&mut fields.path);
        record.submit();
    }
}
