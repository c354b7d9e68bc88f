//! Outgoing destinations.

use aya_ebpf::programs::SockAddrContext;
use sentry_common::{kind, record::network::NetworkRecord};

use crate::{
    count,
    emit::{self, Actor},
    gate::{self, Run},
};

/// Programs: `cgroup/connect4`, `cgroup/connect6` (4.17+): connect(2) and TCP Fast Open, before the kernel acts. The
/// address is the kernel's copy. Returns 1 (allow).
#[inline(always)]
pub fn connect<const IPV6: bool>(ctx: &SockAddrContext) -> i32 {
    if let Some((run, actor)) = member() {
        count::add(&run, |block| &raw mut block.connects);
        report::<IPV6>(&run, actor, kind::CONNECT, ctx);
    }
    1
}

/// Programs: `cgroup/sendmsg4`, `cgroup/sendmsg6` (4.18+): a UDP datagram with an address of its own. Returns 1.
#[inline(always)]
pub fn send<const IPV6: bool>(ctx: &SockAddrContext) -> i32 {
    if let Some((run, actor)) = member() {
        count::add(&run, |block| &raw mut block.sends);
        report::<IPV6>(&run, actor, kind::SEND, ctx);
    }
    1
}

#[inline(always)]
fn member() -> Option<(Run, Actor)> {
    let actor = Actor::current_in_cgroup_program()?;
    Some((gate::of_process(actor)?, actor))
}

#[inline(always)]
fn report<const IPV6: bool>(run: &Run, actor: Actor, kind: u16, ctx: &SockAddrContext) {
    let Some(mut record) = emit::bulk::<NetworkRecord>(run, kind, actor) else { return };
    emit::write_destination::<IPV6>(ctx, record.fields());
    record.submit();
}
