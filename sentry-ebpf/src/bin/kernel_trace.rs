//! Signals, modules and io_uring, by tracepoints. Tiers A, B and C.
#![no_std]
#![no_main]

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use sentry_ebpf::probes::{system, target, uring};

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[btf_tracepoint(function = "signal_generate")]
pub fn send_signal(ctx: BtfTracePointContext) -> i32 {
    target::signal_generate(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}

#[btf_tracepoint(function = "module_load")]
pub fn load_module(ctx: BtfTracePointContext) -> i32 {
    system::module_load(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "io_uring_create")]
pub fn make_ring(ctx: BtfTracePointContext) -> i32 {
    uring::create(ctx.arg(2), ctx.arg(4));
    0
}

#[btf_tracepoint(function = "io_uring_submit_req")]
pub fn submit_request(ctx: BtfTracePointContext) -> i32 {
    uring::submit(ctx.arg(0));
    0
}
