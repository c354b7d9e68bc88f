//! IPv4 and IPv6 packets as cgroup programs get them: the data begins with the network header.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_socket_cookie, bpf_sk_fullsock, bpf_skb_cgroup_id, bpf_skb_load_bytes},
    programs::SkBuffContext,
};
use sentry_common::record::network::{PAYLOAD_CAPACITY, PayloadRecord};

/// `AF_INET`, `AF_INET6`, `IPPROTO_TCP`, `IPPROTO_UDP`.
const IPV4: u16 = 2;
const IPV6: u16 = 10;
pub const TCP: u8 = 6;
const UDP: u8 = 17;
/// `IPPROTO_UDPLITE`; gone since 7.1.
const UDP_LITE: u8 = 136;

/// What the network header says.
#[derive(Clone, Copy)]
pub struct Header {
    pub family: u16,
    pub protocol: u8,
    /// A fragment other than the first: the transport header was in an earlier packet.
    pub later_fragment: bool,
    pub length: u32,
}

/// What the headers say.
#[derive(Clone, Copy)]
pub struct Packet {
    pub family: u16,
    pub protocol: u8,
    /// Host byte order; 0 for other protocols than TCP and UDP.
    pub source_port: u16,
    pub destination_port: u16,
    /// Where the payload begins, and how many bytes it has.
    pub payload: u32,
    pub length: u32,
}

/// Cookie of the socket that sends or receives the packet; 0 = none.
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

/// Whether only packets show the destinations of this socket: true for a raw socket and for one of
/// neither TCP nor UDP. Costs a call.
#[inline(always)]
pub fn is_of_rare_socket(ctx: &SkBuffContext) -> bool {
    const SOCK_RAW: u32 = 3;
    // SAFETY: the context is valid during the program; the field is one aligned read, and each
    // pointer is checked before it is used.
    unsafe {
        let socket = (&raw const (*ctx.skb.skb).__bindgen_anon_2.sk).read_volatile();
        if socket.is_null() {
            return false;
        }
        let socket = bpf_sk_fullsock(socket);
        if socket.is_null() {
            return false;
        }
        let (kind, protocol) =
            ((&raw const (*socket).type_).read_volatile(), (&raw const (*socket).protocol).read_volatile());
        kind == SOCK_RAW || !matches!(protocol as u8, TCP | UDP | UDP_LITE)
    }
}

/// Reads the network header. With IPv6 extension headers, the protocol is that of the first of
/// them.
#[inline(always)]
pub fn header(ctx: &SkBuffContext) -> Option<Header> {
    let first: u8 = ctx.load(0).ok()?;
    match first >> 4 {
        4 => {
            /// The fragment's offset, in `frag_off`.
            const OFFSET: u16 = 0x1fff;
            let fragment: u16 = ctx.load(6).ok()?;
            Some(Header {
                family: IPV4,
                protocol: ctx.load(9).ok()?,
                later_fragment: u16::from_be(fragment) & OFFSET != 0,
                length: u32::from(first & 15) * 4,
            })
        }
        6 => Some(Header { family: IPV6, protocol: ctx.load(6).ok()?, later_fragment: false, length: 40 }),
        _ => None,
    }
}

/// Reads the transport header. `None` for every fragment but the first, and where a TCP or UDP
/// header is cut off.
#[inline(always)]
pub fn parse(ctx: &SkBuffContext, header: &Header) -> Option<Packet> {
    if header.later_fragment {
        return None;
    }
    let (ports, length): ([u16; 2], u32) = match header.protocol {
        TCP => {
            let ports = ctx.load(header.length as usize).ok()?;
            (ports, u32::from(ctx.load::<u8>(header.length as usize + 12).ok()? >> 4) * 4)
        }
        UDP => (ctx.load(header.length as usize).ok()?, 8),
        _ => ([0; 2], 0),
    };
    let payload = header.length + length;
    let full = ctx.len();
    Some(Packet {
        family: header.family,
        protocol: header.protocol,
        source_port: u16::from_be(ports[0]),
        destination_port: u16::from_be(ports[1]),
        payload,
        length: full.saturating_sub(payload),
    })
}

/// Source and destination port; 0 where the packet has none.
#[inline(always)]
pub fn ports(ctx: &SkBuffContext, header: &Header) -> [u16; 2] {
    if header.later_fragment || !matches!(header.protocol, TCP | UDP) {
        return [0; 2];
    }
    ctx.load::<[u16; 2]>(header.length as usize).unwrap_or([0; 2]).map(u16::from_be)
}

/// Whether the payload starts a TLS connection: a handshake record with a ClientHello.
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

/// Address of the destination if `DESTINATION`, otherwise of the source.
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

/// Copies as much of the payload as fits.
#[inline(always)]
pub fn write_payload(ctx: &SkBuffContext, packet: &Packet, fields: &mut PayloadRecord) {
    fields.length = 0;
    fields.full_length = packet.length;
    let room = PAYLOAD_CAPACITY as u32;
    if packet.length == 0 {
        return;
    }
    let length = if packet.length > room { room } else { packet.length };
    // The compiler knows these bounds and would remove a plain check. The verifier needs one: it
    // has lost the upper bound by now (6.18) and learns none from a comparison with 0 (6.1). The
    // mask works because the room is a power of two.
    const { assert!(PAYLOAD_CAPACITY.is_power_of_two()) };
    let length = ((core::hint::black_box(u64::from(length)) - 1) & u64::from(room - 1)) + 1;
    let length = length as u32;
    let out = fields.bytes.as_mut_ptr().cast();
    // SAFETY: 0 < length ≤ the size of `bytes`; the helper checks the packet.
    if unsafe { bpf_skb_load_bytes(ctx.as_ptr().cast_const(), packet.payload, out, length) } == 0 {
        fields.length = length;
    }
}
