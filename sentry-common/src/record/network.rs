//! Sockets: destinations, connections, peers, and the packets that name them.

use super::text::ArgumentText;
use crate::abi::RecordHeader;

/// An act of an IPv4 or IPv6 socket; which fields are filled depends on the kind. Unset addresses
/// and ports are zero.
///
/// `CONNECT`: connect(2), before the kernel acts on it; `SEND`: a datagram with an address of its
/// own, or a packet of a raw or ICMP socket; `SOCKET`: a socket of any family was made;
/// `CONNECTED`: how a connect ended; `BIND`, `LISTEN`; `ACCEPT`; `SOCKET_RECEIVED`: a socket came
/// in as a descriptor.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct NetworkRecord {
    pub header: RecordHeader,
    /// The kernel's socket cookie, unique for the boot; 0 = unknown. Joins the acts of one socket.
    pub cookie: u64,
    /// `AF_INET` (2), `AF_INET6` (10); for `SOCKET` any family.
    pub family: u16,
    /// `SOCK_STREAM` (1), `SOCK_DGRAM` (2), …
    pub socket_type: u16,
    /// `IPPROTO_TCP` (6), `IPPROTO_UDP` (17), …
    pub protocol: u16,
    /// Of the other side; host byte order.
    pub port: u16,
    /// The other side: IPv6, or IPv4 in the first four bytes; network byte order.
    pub address: [u8; 16],
    /// This side, in the same form.
    pub local_address: [u8; 16],
    pub local_port: u16,
    pub reserved: u16,
    /// errno; 0 = done, or not yet known (`CONNECT`).
    pub error: u32,
}
const _: () = assert!(size_of::<NetworkRecord>() == 104);

/// The socket has a name in the abstract name space, without a file.
pub const ABSTRACT: u32 = 1;
/// The peer is a process of the same run.
pub const PEER_IN_RUN: u32 = 2;

/// A unix socket connected to a listening one (`UNIX_CONNECT`), or a datagram to one (`UNIX_SEND`).
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct UnixRecord {
    pub header: RecordHeader,
    /// The process that called listen(2) or bound the socket; zeroes where the kernel does not keep
    /// it.
    pub peer_start_boot_ns: u64,
    pub peer_cgroup: u64,
    pub peer_tgid: u32,
    pub peer_uid: u32,
    pub socket_type: u16,
    pub reserved: u16,
    pub flags: u32,
    /// errno of a refusal; 0 = not refused where it was seen.
    pub error: u32,
    pub reserved2: u32,
    /// The name the peer's socket was bound to.
    pub name: ArgumentText,
}
const _: () = assert!(size_of::<UnixRecord>() == 608);

/// Bytes of a packet that a record carries. A power of two.
pub const PAYLOAD_CAPACITY: usize = 2048;
/// The packet went out of the run; without it, it came in.
pub const OUTBOUND: u32 = 1;

/// The first bytes of a packet's payload: a DNS message, or the start of a TLS connection.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PayloadRecord {
    pub header: RecordHeader,
    pub cookie: u64,
    pub family: u16,
    pub protocol: u16,
    /// Of the other side and of this one; host byte order.
    pub port: u16,
    pub local_port: u16,
    /// As in [`NetworkRecord`].
    pub address: [u8; 16],
    pub local_address: [u8; 16],
    /// Bytes used, and bytes that the payload had.
    pub length: u32,
    pub full_length: u32,
    pub flags: u32,
    pub reserved: u32,
    pub bytes: [u8; PAYLOAD_CAPACITY],
}
const _: () = assert!(size_of::<PayloadRecord>() == 112 + PAYLOAD_CAPACITY);
