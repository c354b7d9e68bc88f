//! Acts on other processes.

use sentry_common::{
    kind,
    record::other::{TARGET_IN_RUN, TargetRecord, access},
};

use crate::{
    emit::{self, Actor},
    gate::{self, Run},
    kernel::{call, copy, task},
};

/// `SEND_SIG_PRIV`: the kernel itself sends. 0 is `SEND_SIG_NOINFO`; larger values are addresses of
/// a `kernel_siginfo`.
const BY_KERNEL: u64 = 1;
/// `si_code` of a timer and of a completed request: sent from an interrupt, so the current task is
/// not the sender.
const SI_TIMER: i32 = -2;
const SI_ASYNCIO: i32 = -4;
/// Offset of `si_code` behind `si_signo` and `si_errno`: the same in user and kernel, a part of the
/// system call ABI.
const SI_CODE: usize = 8;

/// Hook: `tp_btf/signal_generate(signal, info, task, group, result)`, in the sender. Neither signal
/// 0 nor a refused signal reaches the hook.
#[inline(always)]
pub fn signal_generate(signal: i32, info: u64, target: *const u8) {
    let Some(run) = gate::current() else { return };
    if info <= BY_KERNEL {
        return;
    }
    let code: i32 = copy((info as *const u8).wrapping_add(SI_CODE));
    if code > 0 || ((code == SI_TIMER || code == SI_ASYNCIO) && !call::queues_signal()) {
        return;
    }
    let actor = Actor::current(gate::current_task());
    if task::tgid(target) == actor.tgid {
        return;
    }
    report(&run, kind::SIGNAL, actor, target, signal as u32, 0);
}

/// `PTRACE_MODE_*`.
const MODE_READ: u32 = 1;
const MODE_ATTACH: u32 = 2;
const MODE_NO_AUDIT: u32 = 4;

/// Hook: fexit `security_ptrace_access_check(child, mode)`: the last check of any access to another
/// process, after those of owner and capabilities. Threads of one process are not checked.
///
/// A read check without audit is no access: it only decides how much `/proc/PID/stat` shows.
#[inline(always)]
pub fn access_check(child: *const u8, mode: u32, error: u32) {
    let Some(run) = gate::current() else { return };
    let attaches = mode & MODE_ATTACH != 0;
    if !attaches && (mode & MODE_READ == 0 || mode & MODE_NO_AUDIT != 0 || is_member(&run, Actor::of(child)))
    {
        return;
    }
    let (kind, code) = match (attaches, call::is_ptrace()) {
        (true, true) => (kind::TRACE, access::ATTACH),
        (true, false) => (kind::PROCESS_ACCESS, access::ATTACH),
        _ => (kind::PROCESS_ACCESS, access::READ),
    };
    report(&run, kind, Actor::current(gate::current_task()), child, code, error);
}

/// Hook: fexit `security_ptrace_traceme(parent)`.
#[inline(always)]
pub fn trace_me(parent: *const u8, error: u32) {
    let Some(run) = gate::current() else { return };
    report(&run, kind::TRACE, Actor::current(gate::current_task()), parent, access::TRACE_ME, error);
}

#[inline(always)]
fn report(run: &Run, kind: u16, actor: Actor, target: *const u8, code: u32, error: u32) {
    let target = Actor::of(target);
    let flags = if is_member(run, target) { TARGET_IN_RUN } else { 0 };
    let Some(mut record) = emit::bulk::<TargetRecord>(run, kind, actor) else { return };
    let fields = record.fields();
    fields.target_start_boot_ns = target.start_boot_ns;
    fields.target_tgid = target.tgid;
    fields.code = code;
    fields.flags = flags;
    fields.error = error;
    record.submit();
}

#[inline(always)]
fn is_member(run: &Run, process: Actor) -> bool {
    match gate::of_process(process) {
        Some(other) => other.tag == run.tag,
        None => false,
    }
}
