//! Outgoing destinations; sockets made and bound. Tiers A, B and C.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{cgroup_sock, cgroup_sock_addr},
    programs::{SockAddrContext, SockContext},
};
use sentry_ebpf::probes::network;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cgroup_sock_addr(connect4)]
pub fn connect_ipv4(ctx: SockAddrContext) -> i32 {
    network::connect::<false>(&ctx)
}

#[cgroup_sock_addr(connect6)]
pub fn connect_ipv6(ctx: SockAddrContext) -> i32 {
    network::connect::<true>(&ctx)
}

#[cgroup_sock_addr(sendmsg4)]
pub fn send_ipv4(ctx: SockAddrContext) -> i32 {
    network::send::<false>(&ctx)
}

#[cgroup_sock_addr(sendmsg6)]
pub fn send_ipv6(ctx: SockAddrContext) -> i32 {
    network::send::<true>(&ctx)
}

#[cgroup_sock(post_bind4)]
pub fn bound_ipv4(ctx: SockContext) -> i32 {
    network::bound::<false>(&ctx)
}

#[cgroup_sock(post_bind6)]
pub fn bound_ipv6(ctx: SockContext) -> i32 {
    network::bound::<true>(&ctx)
}

#[cgroup_sock(sock_create)]
pub fn socket_created(ctx: SockContext) -> i32 {
    network::created(&ctx)
}
