//! Programs that do nothing, for `cargo xtask bench`: they measure what the hooks cost without the
//! sensor's work. The sensor never loads them. The benchmark loads the object once per hook and
//! names the hook.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, cgroup_sock, cgroup_sock_addr, fentry, fexit, lsm},
    programs::{
        BtfTracePointContext, FEntryContext, FExitContext, LsmContext, SkBuffContext, SockAddrContext,
        SockContext,
    },
};

/// The return value by which a cgroup program allows the operation.
const ALLOW: i32 = 1;

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[btf_tracepoint(function = "sys_exit")]
pub fn tracepoint(_: BtfTracePointContext) -> i32 {
    0
}

#[lsm(hook = "file_open")]
pub fn security(_: LsmContext) -> i32 {
    0
}

#[fentry(function = "security_file_open")]
pub fn before(_: FEntryContext) -> i32 {
    0
}

#[fexit(function = "security_file_open")]
pub fn after(_: FExitContext) -> i32 {
    0
}

#[cgroup_sock_addr(connect4)]
pub fn connect4(_: SockAddrContext) -> i32 {
    ALLOW
}

#[cgroup_sock_addr(connect6)]
pub fn connect6(_: SockAddrContext) -> i32 {
    ALLOW
}

#[cgroup_sock_addr(sendmsg4)]
pub fn sendmsg4(_: SockAddrContext) -> i32 {
    ALLOW
}

#[cgroup_sock_addr(sendmsg6)]
pub fn sendmsg6(_: SockAddrContext) -> i32 {
    ALLOW
}

#[cgroup_sock(post_bind4)]
pub fn post_bind4(_: SockContext) -> i32 {
    ALLOW
}

#[cgroup_sock(post_bind6)]
pub fn post_bind6(_: SockContext) -> i32 {
    ALLOW
}

#[cgroup_sock(sock_create)]
pub fn sock_create(_: SockContext) -> i32 {
    ALLOW
}

#[cgroup_skb(egress)]
pub fn egress(_: SkBuffContext) -> i32 {
    ALLOW
}

#[cgroup_skb(ingress)]
pub fn ingress(_: SkBuffContext) -> i32 {
    ALLOW
}

// A panic handler of its own: the one in the library brings the sensor's maps along.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
