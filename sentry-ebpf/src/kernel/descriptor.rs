//! Sockets behind descriptors, as the kernel holds them after a call.

use sentry_common::{
    offset as o,
    record::{
        network::NetworkRecord,
        text::{ARGUMENT_CAPACITY, ArgumentText, UNREADABLE},
    },
};

use super::{file, read, read_pointer, task, user};
use crate::offsets::of;

/// The `struct sock` behind a descriptor of `task`; `None` when it is no socket (any more).
#[inline(always)]
pub fn of_descriptor(task: *const u8, descriptor: u32) -> Option<*const u8> {
    let opened = task::open_file(task, descriptor)?;
    if !file::is_socket(file::key(opened).mode) {
        return None;
    }
    read_pointer(read_pointer(opened, of(o::FILE_PRIVATE))?, of(o::SOCKET_SK))
}

#[inline(always)]
pub fn family(sock: *const u8) -> u16 {
    read(sock, of(o::SK_FAMILY)).unwrap_or(0)
}

/// `SOCK_*`.
#[inline(always)]
pub fn kind(sock: *const u8) -> u16 {
    read(sock, of(o::SK_TYPE)).unwrap_or(0)
}

/// Family, type, protocol and cookie. The cookie is 0 until somebody asked for it.
#[inline(always)]
pub fn describe(sock: *const u8, fields: &mut NetworkRecord) {
    fields.family = family(sock);
    fields.socket_type = kind(sock);
    fields.protocol = read(sock, of(o::SK_PROTOCOL)).unwrap_or(0);
    fields.cookie = read(sock, of(o::SK_COOKIE)).unwrap_or(0);
}

/// Both ends of an IP connection; nothing for other families.
#[inline(always)]
pub fn write_sides(sock: *const u8, fields: &mut NetworkRecord) {
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;
    write_no_sides(fields);
    if fields.family == AF_INET {
        let remote: [u8; 4] = read(sock, of(o::SK_REMOTE_V4)).unwrap_or([0; 4]);
        let local: [u8; 4] = read(sock, of(o::SK_LOCAL_V4)).unwrap_or([0; 4]);
        fields.address[..4].copy_from_slice(&remote);
        fields.local_address[..4].copy_from_slice(&local);
    } else if fields.family == AF_INET6 {
        fields.address = read(sock, of(o::SK_REMOTE_V6)).unwrap_or([0; 16]);
        fields.local_address = read(sock, of(o::SK_LOCAL_V6)).unwrap_or([0; 16]);
    } else {
        return;
    }
    fields.port = u16::from_be(read(sock, of(o::SK_REMOTE_PORT)).unwrap_or(0));
    fields.local_port = read(sock, of(o::SK_LOCAL_PORT)).unwrap_or(0);
}

#[inline(always)]
pub fn write_no_sides(fields: &mut NetworkRecord) {
    fields.address = [0; 16];
    fields.local_address = [0; 16];
    fields.port = 0;
    fields.local_port = 0;
}

/// The socket at the other end of a unix socket.
#[inline(always)]
pub fn unix_peer(sock: *const u8) -> Option<*const u8> {
    read_pointer(sock, of(o::UNIX_PEER))
}

/// `struct pid` of the process at the other end (`SO_PEERCRED`), or null: datagram sockets have none.
#[inline(always)]
pub fn peer_pid(sock: *const u8) -> *const u8 {
    match read_pointer(sock, of(o::SK_PEER_PID)) {
        Some(pid) => pid,
        None => core::ptr::null(),
    }
}

/// Its uid, or `u32::MAX`.
#[inline(always)]
pub fn peer_uid(sock: *const u8) -> u32 {
    match read_pointer(sock, of(o::SK_PEER_CRED)) {
        Some(cred) => read(cred, of(o::CRED_UID)).unwrap_or(u32::MAX),
        None => u32::MAX,
    }
}

/// The name that a unix socket is bound to; empty when it has none. True for an abstract one, without its leading NUL.
#[inline(always)]
pub fn write_unix_name(sock: *const u8, out: &mut ArgumentText) -> bool {
    /// Bytes of `sun_family`.
    const FAMILY: usize = 2;
    user::write_no_argument(out);
    let Some(address) = read_pointer(sock, of(o::UNIX_ADDRESS)) else { return false };
    let length: u32 = read(address, of(o::ADDRESS_LENGTH)).unwrap_or(0);
    let path = address.wrapping_add(of(o::ADDRESS_NAME) + FAMILY);
    if read::<u8>(path, 0).unwrap_or(1) != 0 {
        user::write_kernel_text(path, out);
        return false;
    }
    // An abstract name has a length and no end; bytes of zero may be part of it.
    let length = length.saturating_sub(FAMILY as u32 + 1);
    if length as usize >= ARGUMENT_CAPACITY || !user::copy_kernel(path.wrapping_add(1), length, out) {
        out.flags = UNREADABLE;
    }
    true
}
