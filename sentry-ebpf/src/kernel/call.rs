//! The system call that a task is in.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_func_ret, bpf_task_pt_regs},
    programs::FExitContext,
};
use sentry_common::offset as o;

use super::{read, task};

/// Syscall numbers of this architecture.
#[cfg(bpf_target_arch = "aarch64")]
mod number {
    pub(super) const PTRACE: u64 = 117;
    pub(super) const RT_SIGQUEUEINFO: u64 = 138;
    pub(super) const EXECVE: u64 = 221;
    pub(super) const RT_TGSIGQUEUEINFO: u64 = 240;
    pub(super) const FANOTIFY_MARK: u64 = 263;
    pub(super) const FANOTIFY_MARK_32: u64 = 367;
    pub(super) const EXECVEAT: u64 = 281;
    pub(super) const PIDFD_SEND_SIGNAL: u64 = 424;
}
#[cfg(not(bpf_target_arch = "aarch64"))]
mod number {
    pub(super) const EXECVE: u64 = 59;
    pub(super) const PTRACE: u64 = 101;
    pub(super) const RT_SIGQUEUEINFO: u64 = 129;
    pub(super) const RT_TGSIGQUEUEINFO: u64 = 297;
    pub(super) const FANOTIFY_MARK: u64 = 301;
    /// Not a number of any 64-bit call.
    pub(super) const FANOTIFY_MARK_32: u64 = 339;
    pub(super) const EXECVEAT: u64 = 322;
    pub(super) const PIDFD_SEND_SIGNAL: u64 = 424;
}

/// Number of the current task's call, all ones outside of a call. In a 32-bit program the same
/// numbers mean other calls. Needs `bpf_task_pt_regs` (5.15+).
#[inline(always)]
fn current() -> u64 {
    // SAFETY: the argument is the trusted current task.
    let regs = unsafe { bpf_task_pt_regs(task::current().cast_mut().cast()) } as *const u8;
    read(regs, o::REGS_ORIG_AX)
}

/// ptrace(2).
#[inline(always)]
pub fn is_ptrace() -> bool {
    current() == number::PTRACE
}

/// The task replaces its program (execve).
#[inline(always)]
pub fn is_exec() -> bool {
    matches!(current(), number::EXECVE | number::EXECVEAT)
}

/// The task sends a signal whose `siginfo` it writes itself.
#[inline(always)]
pub fn queues_signal() -> bool {
    matches!(current(), number::RT_SIGQUEUEINFO | number::RT_TGSIGQUEUEINFO | number::PIDFD_SEND_SIGNAL)
}

/// fanotify_mark(2), of 32-bit programs too.
#[inline(always)]
pub fn is_fanotify_mark() -> bool {
    matches!(current(), number::FANOTIFY_MARK | number::FANOTIFY_MARK_32)
}

/// The return value of the traced function, all 64 bits of the register.
///
/// VERIFIER: the helper's status is not checked; in fexit it is always 0. Verifiers before 6.8
/// confuse two scalars that were once equal (fixed in d028f87517d6): with a default for a failure,
/// 6.1 confused the result of `kernel_clone` with the status and removed the code for refused
/// births.
#[inline(always)]
pub fn result(ctx: &FExitContext) -> i64 {
    let mut result = 0;
    // SAFETY: the program's own context, and a u64 on the stack.
    let _is_zero = unsafe { bpf_get_func_ret(ctx.as_ptr(), &raw mut result) };
    result.cast_signed()
}

/// errno of a call that returned `result`, which may be a pointer (`IS_ERR`); 0 if the call
/// succeeded.
#[inline(always)]
pub fn refusal(result: i64) -> u32 {
    /// `MAX_ERRNO`.
    const MAX: i64 = 4095;
    if (-MAX..0).contains(&result) { result.wrapping_neg() as u32 } else { 0 }
}
