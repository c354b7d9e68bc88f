//! Acts from syscall results. Tier C.
#![no_std]
#![no_main]

use aya_ebpf::{
    btf_maps::ProgramArray,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use sentry_common::family;
use sentry_ebpf::probes::syscall::{
    self, attribute, exec, file, kernel, memory, mount, name, socket, target,
};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Family of a call → its program. The sensor fills it.
#[btf_map]
static CALLS: ProgramArray<{ family::COUNT }> = ProgramArray::new();

#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    if let Some(family) = syscall::sys_exit(ctx.arg(0), ctx.arg(1)) {
        // SAFETY: nothing is held that would have to be dropped. For a family without a program the
        // call returns.
        unsafe { CALLS.tail_call(&ctx, family) };
    }
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_open(ctx: BtfTracePointContext) -> i32 {
    syscall::opened(ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_name(ctx: BtfTracePointContext) -> i32 {
    name::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_file(ctx: BtfTracePointContext) -> i32 {
    file::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_memory(ctx: BtfTracePointContext) -> i32 {
    memory::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_attribute(ctx: BtfTracePointContext) -> i32 {
    attribute::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_exec(ctx: BtfTracePointContext) -> i32 {
    exec::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_socket(ctx: BtfTracePointContext) -> i32 {
    socket::made(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_unix(ctx: BtfTracePointContext) -> i32 {
    socket::connected(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_target(ctx: BtfTracePointContext) -> i32 {
    target::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_kernel(ctx: BtfTracePointContext) -> i32 {
    kernel::called(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sys_exit")]
pub fn call_mount(ctx: BtfTracePointContext) -> i32 {
    mount::called(ctx.arg(0), ctx.arg(1));
    0
}
