//! How connects end, and who listens. Tiers A, B and C.
#![no_std]
#![no_main]

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use sentry_ebpf::probes::socket_state;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn socket_state(ctx: BtfTracePointContext) -> i32 {
    socket_state::inet_sock_set_state(ctx.arg(0), ctx.arg(1), ctx.arg(2));
    0
}
