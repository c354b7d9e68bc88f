//! A new program image starts.

use sentry_common::{
    fault, kind, offset as o,
    record::process::{BY_THREAD, ExecRecord, SCRIPT},
    table::Asked,
};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{cgroup, file, path, read, task, user},
    maps::EXEC_FILES,
    probes::{fork, outside, select},
};

/// Hook: `tp_btf/sched_process_exec(task, old_pid, bprm)`: the new memory image is in place, its
/// first instruction has not run (5.5+). argv is read from the new image, where no other thread of
/// the run can have changed it. Also reports tasks outside of all runs that descend from a process
/// that a run connected to ([`outside`]). Cost for the others: one look-up more.
#[inline(always)]
pub fn sched_process_exec(current: *const u8, old_tid: u32, bprm: *const u8) {
    let member = gate::of_member(current).or_else(|| fork::missed(current));
    if let Some(run) = member.or_else(|| select::executed(current, bprm)) {
        count::add(&run, |block| &raw mut block.counts.execs);
        if let Some(mut record) = emit::critical::<ExecRecord>(&run, kind::EXEC, Actor::current(current)) {
            image(current, old_tid, bprm, record.fields());
            record.submit();
        }
        return;
    }
    let mut asked = Asked::default();
    let Some(run) = outside::of(current, &mut asked) else { return };
    // The bulk ring: nothing bounds how many processes an outside process starts.
    if let Some(mut record) = emit::bulk::<ExecRecord>(&run, kind::STARTED_OUTSIDE, Actor::current(current)) {
        image(current, old_tid, bprm, record.fields());
        record.fields().asked_tgid = asked.tgid;
        record.fields().asked_start_boot_ns = asked.start_boot_ns;
        record.submit();
    }
}

#[inline(always)]
fn image(current: *const u8, old_tid: u32, bprm: *const u8, fields: &mut ExecRecord) {
    // Plain addresses: an absent `Option<*const u8>` is a register that was never written, and the
    // verifier (6.18) refuses to store it.
    let address = |field| read::<u64>(bprm, field);
    fill(current, address(o::BPRM_FILE), fields);
    let asked = address(o::BPRM_FILENAME);
    // Each interpreter on the way replaces `interp`; `filename` keeps the name that was asked for.
    let script = if asked == address(o::BPRM_INTERP) { 0 } else { SCRIPT };
    if script != 0 {
        // SAFETY: the tracepoint's argument.
        let stored = unsafe { EXEC_FILES.get(current) };
        if !stored.is_null() {
            // SAFETY: not null, points to a map value that only this task writes.
            fields.script = unsafe { *stored };
        }
    }
    let by_thread = if old_tid == task::tgid(current) { 0 } else { BY_THREAD };
    fields.flags = script | by_thread;
    fields.old_tid = old_tid;
    user::write_kernel_text(asked as *const u8, &mut fields.requested);
    user::write_argv(task::argv_range(current), &mut fields.argv);
}

/// Hook: fexit on `security_bprm_check(bprm)` (tiers A and B). The kernel calls it for each file
/// from the one that was asked for to the interpreter that is executed; the first is kept.
#[inline(always)]
pub fn bprm_check(bprm: *const u8) {
    if gate::current().is_none() {
        return;
    }
    let address = |field| read::<u64>(bprm, field);
    if address(o::BPRM_FILENAME) != address(o::BPRM_INTERP) {
        return;
    }
    let mut key = file::key(address(o::BPRM_FILE) as *const u8);
    // SAFETY: the current task is trusted.
    let stored = unsafe { EXEC_FILES.get_or_insert(gate::current_task(), &mut key) };
    if stored.is_null() {
        count::fault(fault::TASK_STORAGE_FULL);
        return;
    }
    // Replaces the file of an earlier exec. SAFETY: not null, points to a map value that only this
    // task writes.
    unsafe { *stored = key };
}

/// Everything but argv, which can be read only from the process itself. `opened` is the address of
/// the program's `struct file`, or 0.
#[inline(always)]
pub(crate) fn fill(member: *const u8, opened: u64, fields: &mut ExecRecord) {
    let (parent_tgid, parent_start_boot_ns) = task::parent(member);
    let (uid, gid, euid) = task::credentials(member);
    fields.parent_tgid = parent_tgid;
    fields.parent_start_boot_ns = parent_start_boot_ns;
    fields.uid = uid;
    fields.gid = gid;
    fields.euid = euid;
    fields.cgroup = cgroup::of_task(member);
    fields.script = Default::default();
    fields.flags = 0;
    fields.old_tid = 0;
    fields.asked_start_boot_ns = 0;
    fields.asked_tgid = 0;
    fields.reserved = 0;
    let opened = opened as *const u8;
    fields.file = file::key(opened);
    path::write(file::path(opened), &mut fields.path);
    match task::working_directory(member) {
        Some(directory) => path::write(directory, &mut fields.cwd),
        None => path::write_none(&mut fields.cwd),
    }
}
