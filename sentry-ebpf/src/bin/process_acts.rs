//! Acts on processes and on the kernel, by trampolines. Tiers A and B.
//!
//! A helper gives the result. Reading it as the last argument would not do: kernel versions differ
//! in the number of arguments.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use sentry_ebpf::{
    kernel::call,
    probes::{fork, standing, system, target},
};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// errno of a refusal, for functions that return an `int`.
#[inline(always)]
fn error(ctx: &FExitContext) -> u32 {
    call::refusal((call::result(ctx) as i32).into())
}

#[fexit(function = "kernel_clone")]
pub fn birth_refused(ctx: FExitContext) -> i32 {
    fork::refused(error(&ctx));
    0
}

#[fexit(function = "create_io_thread")]
pub fn worker_refused(ctx: FExitContext) -> i32 {
    fork::refused(call::refusal(call::result(&ctx)));
    0
}

#[fexit(function = "security_ptrace_access_check")]
pub fn access_check(ctx: FExitContext) -> i32 {
    target::access_check(ctx.arg(0), ctx.arg(1), error(&ctx));
    0
}

#[fexit(function = "security_ptrace_traceme")]
pub fn trace_me(ctx: FExitContext) -> i32 {
    target::trace_me(ctx.arg(0), error(&ctx));
    0
}

#[fexit(function = "security_bpf")]
pub fn bpf_call(ctx: FExitContext) -> i32 {
    system::bpf(ctx.arg(0), error(&ctx));
    0
}

#[fexit(function = "__x64_sys_perf_event_open")]
pub fn perf_open(ctx: FExitContext) -> i32 {
    system::perf_open(ctx.arg(0), call::result(&ctx));
    0
}

#[fexit(function = "security_sb_mount")]
pub fn mount(ctx: FExitContext) -> i32 {
    system::mount(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), error(&ctx));
    0
}

#[fexit(function = "security_move_mount")]
pub fn move_mount(ctx: FExitContext) -> i32 {
    system::move_mount(ctx.arg(1), error(&ctx));
    0
}

#[fexit(function = "security_sb_umount")]
pub fn unmount(ctx: FExitContext) -> i32 {
    system::unmount(ctx.arg(0), ctx.arg(1), error(&ctx));
    0
}

#[fexit(function = "security_path_chroot")]
pub fn change_root(ctx: FExitContext) -> i32 {
    system::change_root(0, ctx.arg(0), error(&ctx));
    0
}

#[fexit(function = "security_sb_pivotroot")]
pub fn pivot_root(ctx: FExitContext) -> i32 {
    system::change_root(1, ctx.arg(1), error(&ctx));
    0
}

#[fexit(function = "security_path_notify")]
pub fn watch(ctx: FExitContext) -> i32 {
    system::watch(ctx.arg(0), ctx.arg(1), error(&ctx));
    0
}

#[fexit(function = "ksys_unshare")]
pub fn unshare(ctx: FExitContext) -> i32 {
    standing::unshare(ctx.arg(0), call::result(&ctx) as i32);
    0
}

#[fexit(function = "__x64_sys_setns")]
pub fn setns(ctx: FExitContext) -> i32 {
    standing::setns(ctx.arg(0), call::result(&ctx));
    0
}

#[fentry(function = "commit_creds")]
pub fn commit_creds(ctx: FEntryContext) -> i32 {
    standing::commit_creds(ctx.arg(0));
    0
}
