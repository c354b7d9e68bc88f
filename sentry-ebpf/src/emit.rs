//! Reserve → fill → submit, or count the loss.

use aya_ebpf::{
    helpers::generated::bpf_get_socket_cookie,
    programs::{SockAddrContext, SockContext},
};
use sentry_common::{abi::ring, record::network::NetworkRecord};

use crate::{count, kernel::clock::now_boot_ns, maps::BULK, record::critical_untold, share};

pub use crate::{
    record::Record,
    subject::{Actor, Run, current_tgid},
};

/// A record in the critical ring. This ring is not divided into shares: only births, execs and ends
/// go there, and it holds thousands of each.
#[inline(always)]
pub fn critical<T: 'static>(run: &Run, kind: u16, actor: Actor) -> Option<Record<T>> {
    let now = now_boot_ns();
    let record = critical_untold(run, kind, actor, now);
    if record.is_none() {
        share::missing(run, actor, now);
    }
    record
}

/// A record in the bulk ring, if the run's share of it allows.
#[inline(always)]
pub fn bulk<T: 'static>(run: &Run, kind: u16, actor: Actor) -> Option<Record<T>> {
    let now = now_boot_ns();
    let sequence = count::next(run, |block| &raw mut block.generated[ring::BULK]);
    if !share::has_room(run, now) {
        count::add(run, |block| &raw mut block.throttled[ring::BULK]);
        share::missing(run, actor, now);
        return None;
    }
    match BULK.reserve_untyped::<T>(0) {
        Some(entry) => {
            share::present(run, actor, now);
            Some(Record::start(entry, run, kind, ring::BULK, sequence, actor, now))
        }
        None => {
            count::add(run, |block| &raw mut block.lost[ring::BULK]);
            share::missing(run, actor, now);
            None
        }
    }
}

/// Cookie of the socket behind a cgroup program's context, or of a `struct sock` that is an
/// argument of a BTF program (5.12+).
///
/// # Safety
/// The verifier must know `socket` as one of these.
#[inline(always)]
unsafe fn cookie(socket: *const u8) -> u64 {
    // SAFETY: by contract.
    unsafe { bpf_get_socket_cookie(socket.cast_mut().cast()) }
}

/// Cookie of a `struct sock` that is an argument of a BTF program.
#[inline(always)]
pub fn cookie_of_argument(sock: *const u8) -> u64 {
    // SAFETY: callers pass arguments of BTF programs.
    unsafe { cookie(sock) }
}

/// Cookie of the socket that connects or sends.
#[inline(always)]
pub fn cookie_of_address(ctx: &SockAddrContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { cookie(ctx.sock_addr.cast_const().cast()) }
}

/// Cookie of the socket that is made or bound.
#[inline(always)]
pub fn cookie_of_socket(ctx: &SockContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { cookie(ctx.sock.cast_const().cast()) }
}

/// Copies what a socket was bound to from a `bpf_sock` context. As with the destination, the
/// verifier lets a program read only the address of its own family.
#[inline(always)]
pub fn write_bound<const IPV6: bool>(ctx: &SockContext, cookie: u64, fields: &mut NetworkRecord) {
    let sock = ctx.sock;
    // SAFETY: the context is valid during the program; each field is one aligned 4-byte read.
    unsafe {
        fields.cookie = cookie;
        fields.family = (&raw const (*sock).family).read_volatile() as u16;
        fields.socket_type = (&raw const (*sock).type_).read_volatile() as u16;
        fields.protocol = (&raw const (*sock).protocol).read_volatile() as u16;
        fields.port = 0;
        fields.address = [0; 16];
        let words = if IPV6 {
            [
                (&raw const (*sock).src_ip6[0]).read_volatile(),
                (&raw const (*sock).src_ip6[1]).read_volatile(),
                (&raw const (*sock).src_ip6[2]).read_volatile(),
                (&raw const (*sock).src_ip6[3]).read_volatile(),
            ]
        } else {
            [(&raw const (*sock).src_ip4).read_volatile(), 0, 0, 0]
        };
        fields.local_address.as_mut_ptr().cast::<[u32; 4]>().write_unaligned(words);
        fields.local_port = (&raw const (*sock).src_port).read_volatile() as u16;
        fields.reserved = 0;
        fields.error = 0;
    }
}

/// Copies the destination of a `bpf_sock_addr` context. The verifier lets an IPv4 program read only
/// the IPv4 address and an IPv6 program only the IPv6 one.
#[inline(always)]
pub fn write_destination<const IPV6: bool>(ctx: &SockAddrContext, cookie: u64, fields: &mut NetworkRecord) {
    let address = ctx.sock_addr;
    // SAFETY: the context is valid during the program; each field is one aligned 4-byte read.
    unsafe {
        fields.family = (&raw const (*address).user_family).read_volatile() as u16;
        fields.local_address = [0; 16];
        fields.local_port = 0;
        fields.reserved = 0;
        fields.error = 0;
        fields.socket_type = (&raw const (*address).type_).read_volatile() as u16;
        fields.protocol = (&raw const (*address).protocol).read_volatile() as u16;
        fields.port = u16::from_be((&raw const (*address).user_port).read_volatile() as u16);
        let words = if IPV6 {
            [
                (&raw const (*address).user_ip6[0]).read_volatile(),
                (&raw const (*address).user_ip6[1]).read_volatile(),
                (&raw const (*address).user_ip6[2]).read_volatile(),
                (&raw const (*address).user_ip6[3]).read_volatile(),
            ]
        } else {
            [(&raw const (*address).user_ip4).read_volatile(), 0, 0, 0]
        };
        fields.address.as_mut_ptr().cast::<[u32; 4]>().write_unaligned(words);
        fields.cookie = cookie;
    }
}
