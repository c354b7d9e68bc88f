//! Packets of a run's sockets.

use aya_ebpf::programs::SkBuffContext;
use sentry_common::{
    kind,
    record::network::{NetworkRecord, OUTBOUND, PayloadRecord},
    table::FlowKey,
};

use crate::{
    count,
    emit::{self, Actor},
    gate,
    kernel::packet::{self, Header, Packet},
};

/// The run of a packet whose socket is known by its cgroup alone.
const NOBODY: Actor = Actor { tgid: 0, tid: 0, start_boot_ns: 0 };
/// The port of DNS.
const DNS: u16 = 53;

/// Programs: `cgroup_skb/egress` and `cgroup_skb/ingress` (4.10+), at the root of the hierarchy.
/// Returns 1 (allow).
///
/// The socket's owner is looked up by its cookie. A socket that no process of a run has used since
/// the run began is known by its cgroup alone. That second look-up is made only for packets that
/// carry a name.
#[inline(always)]
pub fn pass<const OUT: bool>(ctx: &SkBuffContext) -> i32 {
    see::<OUT>(ctx);
    1
}

/// VERIFIER: each arm reads the headers itself. An absent owner, kept over those branches, would be
/// a register that the verifier considers unset (6.18).
#[inline(always)]
fn see<const OUT: bool>(ctx: &SkBuffContext) {
    let cookie = packet::cookie(ctx);
    match gate::of_socket(cookie) {
        Some((run, actor)) => {
            let Some(header) = packet::header(ctx) else { return };
            if OUT && packet::is_of_rare_socket(ctx) {
                sent(ctx, &run, actor, cookie, &header);
            }
            let Some(packet) = packet::parse(ctx, &header) else { return };
            count_flow::<OUT>(ctx, &run, &packet);
            if is_name::<OUT>(ctx, &packet) {
                tell::<OUT>(ctx, &run, actor, cookie, &packet);
            }
        }
        None => {
            let Some(header) = packet::header(ctx) else { return };
            let Some(packet) = packet::parse(ctx, &header) else { return };
            if !is_name::<OUT>(ctx, &packet) {
                return;
            }
            let Some(run) = gate::of_cgroup(packet::cgroup(ctx)) else { return };
            tell::<OUT>(ctx, &run, NOBODY, cookie, &packet);
        }
    }
}

/// A packet of a raw or ICMP socket: only here is its destination seen. It is sent within the
/// sender's call, so the current process is the sender; another may have made the socket.
#[inline(always)]
fn sent(ctx: &SkBuffContext, run: &gate::Run, owner: Actor, cookie: u64, header: &Header) {
    match sender() {
        Some((run, actor)) => report(ctx, &run, actor, cookie, header),
        None => report(ctx, run, owner, cookie, header),
    }
}

#[inline(always)]
fn sender() -> Option<(gate::Run, Actor)> {
    let actor = Actor::current_in_packet_program();
    Some((gate::of_process(actor)?, actor))
}

#[inline(always)]
fn report(ctx: &SkBuffContext, run: &gate::Run, actor: Actor, cookie: u64, header: &Header) {
    count::add(run, |block| &raw mut block.counts.sends);
    let Some(mut record) = emit::bulk::<NetworkRecord>(run, kind::SEND, actor) else { return };
    let fields = record.fields();
    let [local_port, port] = packet::ports(ctx, header);
    fields.cookie = cookie;
    fields.family = header.family;
    fields.socket_type = 0;
    fields.protocol = u16::from(header.protocol);
    fields.port = port;
    fields.local_port = local_port;
    fields.reserved = 0;
    fields.error = 0;
    packet::write_addresses(ctx, header.family, &mut fields.local_address, &mut fields.address);
    record.submit();
}

#[inline(always)]
fn count_flow<const OUT: bool>(ctx: &SkBuffContext, run: &gate::Run, packet: &Packet) {
    let key = FlowKey {
        tag: run.tag,
        family: packet.family,
        protocol: u16::from(packet.protocol),
        port: if OUT { packet.destination_port } else { packet.source_port },
        reserved: 0,
        address: packet::address::<OUT>(ctx, packet.family),
    };
    count::flow::<OUT>(run, &key, u64::from(packet.length));
}

#[inline(always)]
fn is_name<const OUT: bool>(ctx: &SkBuffContext, packet: &Packet) -> bool {
    if packet.length == 0 {
        return false;
    }
    let remote = if OUT { packet.destination_port } else { packet.source_port };
    remote == DNS || (OUT && packet.protocol == packet::TCP && packet::is_tls_hello(ctx, packet))
}

#[inline(always)]
fn tell<const OUT: bool>(ctx: &SkBuffContext, run: &gate::Run, actor: Actor, cookie: u64, packet: &Packet) {
    let Some(mut record) = emit::bulk::<PayloadRecord>(run, kind::PAYLOAD, actor) else { return };
    let fields = record.fields();
    fields.cookie = cookie;
    fields.family = packet.family;
    fields.protocol = u16::from(packet.protocol);
    fields.reserved = 0;
    if OUT {
        fields.flags = OUTBOUND;
        fields.port = packet.destination_port;
        fields.local_port = packet.source_port;
        packet::write_addresses(ctx, packet.family, &mut fields.local_address, &mut fields.address);
    } else {
        fields.flags = 0;
        fields.port = packet.source_port;
        fields.local_port = packet.destination_port;
        packet::write_addresses(ctx, packet.family, &mut fields.address, &mut fields.local_address);
    }
    packet::write_payload(ctx, packet, fields);
    record.submit();
}
