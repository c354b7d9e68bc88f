//! Process and cgroup life: what every run needs. Tiers A, B and C.
#![no_std]
#![no_main]

use aya_ebpf::{bindings::seq_file, macros::btf_tracepoint, programs::BtfTracePointContext};
use sentry_ebpf::probes;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[btf_tracepoint(function = "task_newtask")]
pub fn fork(ctx: BtfTracePointContext) -> i32 {
    probes::fork::task_newtask(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "sched_process_exec")]
pub fn exec(ctx: BtfTracePointContext) -> i32 {
    probes::exec::sched_process_exec(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
pub fn exit(ctx: BtfTracePointContext) -> i32 {
    probes::exit::sched_process_exit(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "cgroup_attach_task")]
pub fn cgroup_attach(ctx: BtfTracePointContext) -> i32 {
    probes::cgroup::cgroup_attach_task(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn cgroup_make(ctx: BtfTracePointContext) -> i32 {
    probes::cgroup::cgroup_mkdir(ctx.arg(0), ctx.arg(1));
    0
}

#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn cgroup_remove(ctx: BtfTracePointContext) -> i32 {
    probes::cgroup::cgroup_rmdir(ctx.arg(0), ctx.arg(1));
    0
}

/// `struct bpf_iter__task { meta; task; }`. The first field of `meta` is the output. In the last
/// call `task` is null. aya-ebpf 0.2 has no macro for iterators.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn seed(ctx: *mut core::ffi::c_void) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    let (meta, task): (*const *mut seq_file, *const u8) = (ctx.arg(0), ctx.arg(1));
    if !task.is_null() {
        // SAFETY: the kernel passes both; the verifier knows the type of `meta` and of its first
        // field.
        probes::seed::iter_task(unsafe { *meta }, task);
    }
    0
}
