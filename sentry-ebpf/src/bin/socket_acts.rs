//! Sockets of every family, by trampolines on the security calls. Tiers A and B.
#![no_std]
#![no_main]

use aya_ebpf::{macros::fexit, programs::FExitContext};
use sentry_ebpf::probes::socket_acts;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

// The function's return value follows its arguments.

#[fexit(function = "security_socket_post_create")]
pub fn socket_made(ctx: FExitContext) -> i32 {
    socket_acts::created(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4), ctx.arg(5));
    0
}

#[fexit(function = "security_sock_graft")]
pub fn accepted(ctx: FExitContext) -> i32 {
    socket_acts::accepted(ctx.arg(0));
    0
}

#[fexit(function = "security_unix_stream_connect")]
pub fn unix_connected(ctx: FExitContext) -> i32 {
    socket_acts::unix_connected(ctx.arg(1), ctx.arg(3));
    0
}

#[fexit(function = "security_unix_may_send")]
pub fn unix_sent(ctx: FExitContext) -> i32 {
    socket_acts::unix_sent(ctx.arg(1), ctx.arg(2));
    0
}

#[fexit(function = "security_file_receive")]
pub fn received(ctx: FExitContext) -> i32 {
    socket_acts::received(ctx.arg(0), ctx.arg(1));
    0
}
