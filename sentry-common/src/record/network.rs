//! Outgoing connection attempts and datagrams with a destination of their own.

use crate::abi::RecordHeader;

/// `CONNECT`: connect(2) on an IPv4 or IPv6 socket, before the kernel acts on it.
/// `SEND`: sendto/sendmsg with an address on an unconnected UDP socket.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct NetworkRecord {
    pub header: RecordHeader,
    /// `AF_INET` (2) or `AF_INET6` (10).
    pub family: u16,
    /// `SOCK_STREAM` (1), `SOCK_DGRAM` (2), …
    pub socket_type: u16,
    /// `IPPROTO_TCP` (6), `IPPROTO_UDP` (17), …
    pub protocol: u16,
    /// Host byte order.
    pub port: u16,
    /// IPv6, or IPv4 in the first four bytes; network byte order.
    pub address: [u8; 16],
}
shared!(NetworkRecord);
const _: () = assert!(size_of::<NetworkRecord>() == 72);
