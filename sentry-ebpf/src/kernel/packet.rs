//! IPv4 and IPv6 packets of TCP and UDP, as a cgroup program gets them: the data begins with the network header.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_cgroup_id, bpf_skb_load_bytes},
    programs::SkBuffContext,
};
use sentry_common::record::network::{PAYLOAD_CAPACITY, PayloadRecord};

/// `AF_INET`, `AF_INET6`, `IPPROTO_TCP`, `IPPROTO_UDP`.
const IPV4: u16 = 2;
const IPV6: u16 = 10;
pub const TCP: u8 = 6;
const UDP: u8 = 17;

/// What the headers say.
#[derive(Clone, Copy)]
pub struct Packet {
    pub family: u16,
    pub protocol: u8,
    /// Host byte order.
    pub source_port: u16,
    pub destination_port: u16,
    /// Where the payload begins, and how many bytes it has.
    pub payload: u32,
    pub length: u32,
}

/// Cookie of the socket that sent the packet or is to get it; 0 = none.
#[inline(always)]
pub fn cookie(ctx: &SkBuffContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { bpf_get_socket_cookie(ctx.as_ptr()) }
}

/// Id of the socket's cgroup; 0 = no socket.
#[inline(always)]
pub fn cgroup(ctx: &SkBuffContext) -> u64 {
    // SAFETY: the context is valid during the program.
    unsafe { bpf_skb_cgroup_id(ctx.skb.skb) }
}

/// Reads the headers. `None` for other protocols, for fragments but the first, and behind IPv6 extension headers.
#[inline(always)]
pub fn parse(ctx: &SkBuffContext) -> Option<Packet> {
    let first: u8 = ctx.load(0).ok()?;
    let (family, protocol, transport) = match first >> 4 {
        4 => {
            /// The fragment's offset, in `frag_off`.
            const OFFSET: u16 = 0x1fff;
            let fragment: u16 = ctx.load(6).ok()?;
            if u16::from_be(fragment) & OFFSET != 0 {
                return None;
            }
            (IPV4, ctx.load::<u8>(9).ok()?, u32::from(first & 15) * 4)
        }
        6 => (IPV6, ctx.load::<u8>(6).ok()?, 40),
        _ => return None,
    };
    let ports: [u16; 2] = ctx.load(transport as usize).ok()?;
    let header = match protocol {
        TCP => u32::from(ctx.load::<u8>(transport as usize + 12).ok()? >> 4) * 4,
        UDP => 8,
        _ => return None,
    };
    let payload = transport + header;
    let full = ctx.len();
    Some(Packet {
        family,
        protocol,
        source_port: u16::from_be(ports[0]),
        destination_port: u16::from_be(ports[1]),
        payload,
        length: if full > payload { full - payload } else { 0 },
    })
}

/// True when the payload is the start of a TLS connection: a handshake record with a client's hello.
#[inline(always)]
pub fn is_tls_hello(ctx: &SkBuffContext, packet: &Packet) -> bool {
    match ctx.load::<[u8; 6]>(packet.payload as usize) {
        Ok(bytes) => bytes[0] == 0x16 && bytes[1] == 3 && bytes[5] == 1,
        Err(_) => false,
    }
}

/// Copies source and destination address.
#[inline(always)]
pub fn write_addresses(ctx: &SkBuffContext, family: u16, source: &mut [u8; 16], destination: &mut [u8; 16]) {
    if family == IPV6 {
        copy::<16>(ctx, 8, source);
        copy::<16>(ctx, 24, destination);
    } else {
        *source = [0; 16];
        *destination = [0; 16];
        copy::<4>(ctx, 12, source);
        copy::<4>(ctx, 16, destination);
    }
}

/// Address of the destination, or else of the source.
#[inline(always)]
pub fn address<const DESTINATION: bool>(ctx: &SkBuffContext, family: u16) -> [u8; 16] {
    let mut out = [0; 16];
    if family == IPV6 {
        copy::<16>(ctx, if DESTINATION { 24 } else { 8 }, &mut out);
    } else {
        copy::<4>(ctx, if DESTINATION { 16 } else { 12 }, &mut out);
    }
    out
}

#[inline(always)]
fn copy<const N: u32>(ctx: &SkBuffContext, offset: u32, out: &mut [u8; 16]) {
    // The headers were read before, so these bytes are there.
    // SAFETY: N ≤ 16.
    unsafe { bpf_skb_load_bytes(ctx.as_ptr().cast_const(), offset, out.as_mut_ptr().cast(), N) };
}

/// Copies the payload, or as much as there is room for.
#[inline(always)]
pub fn write_payload(ctx: &SkBuffContext, packet: &Packet, fields: &mut PayloadRecord) {
    fields.length = 0;
    fields.full_length = packet.length;
    let room = PAYLOAD_CAPACITY as u32;
    if packet.length == 0 {
        return;
    }
    let length = if packet.length > room { room } else { packet.length };
    // The compiler knows these bounds and would drop a check; the verifier has lost the upper one by now (6.18), and learns
    // none from a comparison with 0 (6.1). The room is a power of two.
    const { assert!(PAYLOAD_CAPACITY.is_power_of_two()) };
    let length = ((core::hint::black_box(u64::from(length)) - 1) & u64::from(room - 1)) + 1;
    let length = length as u32;
    let out = fields.bytes.as_mut_ptr().cast();
    // SAFETY: 0 < length ≤ the size of `bytes`; the helper checks the packet.
    if unsafe { bpf_skb_load_bytes(ctx.as_ptr().cast_const(), packet.payload, out, length) } == 0 {
        fields.length = length;
    }
}
