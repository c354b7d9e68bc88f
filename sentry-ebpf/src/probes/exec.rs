//! A new program image starts.

use sentry_common::{kind, record::process::ExecRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::{cgroup, file, path, task, user},
    offsets::of,
};

/// Hook: `tp_btf/sched_process_exec(task, old_pid, bprm)`: the new memory image is in place, its first instruction has
/// not run (5.5+). argv is read from the new image, where no other thread of the run can have changed it.
#[inline(always)]
pub fn sched_process_exec(current: *const u8, bprm: *const u8) {
    let Some(run) = gate::of_task(current) else { return };
    count::add(&run, |block| &raw mut block.execs);
    let Some(mut record) = emit::critical::<ExecRecord>(&run, kind::EXEC, Actor::current(current)) else {
        return;
    };
    let opened = crate::kernel::read_pointer(bprm, of(sentry_common::offset::BPRM_FILE));
    fill(current, opened, record.fields());
    user::write_argv(task::argv_range(current), &mut record.fields().argv);
    record.submit();
}

/// Everything but argv, which can be read only from the process itself.
#[inline(always)]
pub(crate) fn fill(member: *const u8, opened: Option<*const u8>, fields: &mut ExecRecord) {
    let (parent_tgid, parent_start_boot_ns) = task::parent(member);
    let (uid, gid, euid) = task::credentials(member);
    fields.parent_tgid = parent_tgid;
    fields.parent_start_boot_ns = parent_start_boot_ns;
    fields.uid = uid;
    fields.gid = gid;
    fields.euid = euid;
    fields.cgroup = cgroup::of_task(member);
    match opened {
        Some(opened) => {
            fields.file = file::key(opened);
            path::write(file::path(opened), &mut fields.path);
        }
        None => {
            fields.file = Default::default();
            path::write_none(&mut fields.path);
        }
    }
    match task::working_directory(member) {
        Some(directory) => path::write(directory, &mut fields.cwd),
        None => path::write_none(&mut fields.cwd),
    }
}
