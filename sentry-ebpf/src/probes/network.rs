//! Destinations of connects and sends, and sockets that are made and bound.

use aya_ebpf::programs::{SockAddrContext, SockContext};
use sentry_common::{kind, record::network::NetworkRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
};

/// Programs: `cgroup/connect4`, `cgroup/connect6` (4.17+): connect(2) and TCP Fast Open, before the
/// kernel acts. The address is the kernel's copy. Returns 1 (allow).
#[inline(always)]
pub fn connect<const IPV6: bool>(ctx: &SockAddrContext) -> i32 {
    if let Some((run, actor)) = member() {
        count::add(&run, |block| &raw mut block.counts.connects);
        report::<IPV6>(&run, actor, kind::CONNECT, ctx);
    }
    1
}

/// Programs: `cgroup/sendmsg4`, `cgroup/sendmsg6` (4.18+): a UDP datagram with an address of its
/// own. Returns 1.
#[inline(always)]
pub fn send<const IPV6: bool>(ctx: &SockAddrContext) -> i32 {
    if let Some((run, actor)) = member() {
        count::add(&run, |block| &raw mut block.counts.sends);
        report::<IPV6>(&run, actor, kind::SEND, ctx);
    }
    1
}

/// Programs: `cgroup/post_bind4`, `cgroup/post_bind6` (4.17+): after bind(2) succeeded, with the
/// port that the kernel chose. Returns 1.
#[inline(always)]
pub fn bound<const IPV6: bool>(ctx: &SockContext) -> i32 {
    if let Some((run, actor)) = member() {
        let cookie = emit::cookie_of_socket(ctx);
        gate::tag_socket(cookie, &run, actor);
        if let Some(mut record) = emit::bulk::<NetworkRecord>(&run, kind::BIND, actor) {
            emit::write_bound::<IPV6>(ctx, cookie, record.fields());
            record.submit();
        }
    }
    1
}

/// Program: `cgroup/sock_create` (4.10+): an IPv4 or IPv6 socket was made. Only notes the socket's
/// run and process. Returns 1.
#[inline(always)]
pub fn created(ctx: &SockContext) -> i32 {
    if let Some((run, actor)) = member() {
        gate::tag_socket(emit::cookie_of_socket(ctx), &run, actor);
    }
    1
}

#[inline(always)]
fn member() -> Option<(Run, Actor)> {
    // Most are in no run: nothing else is read of them.
    gate::member(emit::current_tgid())?;
    let actor = Actor::current_in_cgroup_program()?;
    Some((gate::of_process(actor)?, actor))
}

#[inline(always)]
fn report<const IPV6: bool>(run: &Run, actor: Actor, kind: u16, ctx: &SockAddrContext) {
    let cookie = emit::cookie_of_address(ctx);
    gate::tag_socket(cookie, run, actor);
    let Some(mut record) = emit::bulk::<NetworkRecord>(run, kind, actor) else { return };
    emit::write_destination::<IPV6>(ctx, cookie, record.fields());
    record.submit();
}
