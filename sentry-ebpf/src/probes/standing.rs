//! What a process is to the kernel: its namespaces and credentials.

use sentry_common::{kind, offset as o, record::other::KernelRecord};

use crate::{
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{call, read, task},
    probes::system,
};

/// `CLONE_NEW*`.
const NEW_TIME: u64 = 0x80;
const NEW_MOUNT: u64 = 0x0002_0000;
const NEW_CGROUP: u64 = 0x0200_0000;
const NEW_UTS: u64 = 0x0400_0000;
const NEW_IPC: u64 = 0x0800_0000;
const NEW_USER: u64 = 0x1000_0000;
const NEW_PID: u64 = 0x2000_0000;
const NEW_NET: u64 = 0x4000_0000;
const NAMESPACES: u64 = NEW_TIME | NEW_MOUNT | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET;

/// A process was born with namespaces of its own; `child` names it.
#[inline(always)]
pub fn born(run: &Run, child: Actor, clone_flags: u64) {
    if clone_flags & NAMESPACES != 0 {
        report(run, kind::NAMESPACES, child, (clone_flags & NAMESPACES) as u32, 0, 0);
    }
}

/// Hook: fexit `ksys_unshare(flags)`.
#[inline(always)]
pub fn unshare(flags: u64, result: i32) {
    let Some(run) = gate::current() else { return };
    if flags & NAMESPACES != 0 {
        namespaces(&run, (flags & NAMESPACES) as u32, call::refusal(result.into()));
    }
}

/// Hook: fexit `__x64_sys_setns(regs)`. The caller may pass no bit: then the descriptor determines
/// the kind of namespace.
#[inline(always)]
pub fn setns(regs: *const u8, result: i64) {
    let Some(run) = gate::current() else { return };
    let wanted: u64 = read(regs, o::REGS_SI);
    namespaces(&run, (wanted & NAMESPACES) as u32, call::refusal(result));
}

#[inline(always)]
fn namespaces(run: &Run, bits: u32, error: u32) {
    report(run, kind::NAMESPACES, Actor::current(gate::current_task()), bits, 0, error);
}

/// Hook: fentry `commit_creds(new)`. Reports a change of the ids and a growth of the effective
/// capabilities. Not reported: changes by an exec, whose record has the ids, and capabilities that
/// come with another user namespace, because they hold only there.
#[inline(always)]
pub fn commit_creds(new: *const u8) {
    let Some(run) = gate::current() else { return };
    let current = gate::current_task();
    let Some(old) = crate::kernel::read_pointer(current, o::TASK_CRED) else { return };
    let (before, after) = (task::ids(old), task::ids(new));
    let ((old_space, old_powers), (new_space, new_powers)) = (task::powers(old), task::powers(new));
    let grows = old_space == new_space && new_powers & !old_powers != 0;
    if (before == after && !grows) || call::is_exec() {
        return;
    }
    let detail = u64::from(after.0) << 32 | u64::from(after.1);
    report(&run, kind::CREDENTIALS, Actor::current(current), before.0, detail, 0);
}

#[inline(always)]
fn report(run: &Run, kind: u16, actor: Actor, code: u32, detail: u64, error: u32) {
    let Some(mut record) = emit::critical::<KernelRecord>(run, kind, actor) else { return };
    system::fill(record.fields(), code, detail, error);
    record.submit();
}
