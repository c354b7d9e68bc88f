//! `struct sock` of the IPv4 and IPv6 families.

use sentry_common::{offset as o, record::network::NetworkRecord};

use super::{cgroup, file, read, read_behind, read_pointer, task};

/// `AF_INET6`.
const IPV6: u16 = 10;

/// IPv4 or IPv6: the only families whose sockets have these fields.
#[inline(always)]
pub fn is_inet(sock: *const u8) -> bool {
    matches!(family(sock), 2 | IPV6)
}

#[inline(always)]
pub fn family(sock: *const u8) -> u16 {
    read(sock, o::SK_FAMILY)
}

/// `SOCK_STREAM` and its like.
#[inline(always)]
pub fn socket_type(sock: *const u8) -> u16 {
    read(sock, o::SK_TYPE)
}

/// `sk_err`: an errno that the next call on the socket returns.
#[inline(always)]
pub fn error(sock: *const u8) -> u32 {
    read(sock, o::SK_ERROR)
}

/// The cookie, if the kernel has given the socket one.
#[inline(always)]
pub fn known_cookie(sock: *const u8) -> u64 {
    read(sock, o::SK_COOKIE)
}

/// Id of the cgroup of the process that made the socket. For an accepted one: that made the
/// listening socket.
#[inline(always)]
pub fn cgroup(sock: *const u8) -> u64 {
    match read_pointer(sock, o::SK_CGROUP) {
        Some(group) => cgroup::id(group),
        None => 0,
    }
}

/// The `struct sock` of a `struct socket`; null when it is closed.
#[inline(always)]
pub fn of_socket(socket: *const u8) -> *const u8 {
    read(socket, o::SOCKET_SK)
}

/// The IPv4 or IPv6 `struct sock` behind an open file; null when it is something else.
#[inline(always)]
pub fn of_file(opened: *const u8) -> *const u8 {
    if !file::is_socket(file::key(opened).mode) {
        return core::ptr::null();
    }
    let sock = of_socket(read(opened, o::FILE_PRIVATE));
    if is_inet(sock) { sock } else { core::ptr::null() }
}

/// The `struct sock` behind a descriptor of `task`; `None` when it is no socket (any more).
#[inline(always)]
pub fn of_descriptor(task: *const u8, descriptor: u32) -> Option<*const u8> {
    let opened = task::open_file(task, descriptor)?;
    if !file::is_socket(file::key(opened).mode) {
        return None;
    }
    read_pointer(read_pointer(opened, o::FILE_PRIVATE)?, o::SOCKET_SK)
}

/// Fills the fields that sockets of every family have, without addresses and error. The cookie is 0
/// until something asks the kernel for it.
#[inline(always)]
pub fn write_kind(sock: *const u8, fields: &mut NetworkRecord) {
    fields.cookie = known_cookie(sock);
    fields.family = family(sock);
    fields.socket_type = socket_type(sock);
    fields.protocol = read(sock, o::SK_PROTOCOL);
    fields.port = 0;
    fields.address = [0; 16];
    fields.local_address = [0; 16];
    fields.local_port = 0;
    fields.reserved = 0;
    fields.error = 0;
}

/// Fills both addresses as they are now, and no error.
#[inline(always)]
pub fn write(sock: *const u8, cookie: u64, fields: &mut NetworkRecord) {
    let family = family(sock);
    fields.cookie = cookie;
    fields.family = family;
    fields.socket_type = socket_type(sock);
    fields.protocol = read(sock, o::SK_PROTOCOL);
    fields.port = u16::from_be(read(sock, o::SK_REMOTE_PORT));
    // A socket that is being closed has released its port but still stores its number.
    fields.local_port = match read(sock, o::SK_LOCAL_PORT) {
        0 => u16::from_be(read(sock, o::INET_LOCAL_PORT)),
        port => port,
    };
    fields.reserved = 0;
    fields.error = 0;
    if family == IPV6 {
        write_address(v6(sock, o::SK_REMOTE_V6), &mut fields.address);
        write_address(v6(sock, o::SK_LOCAL_V6), &mut fields.local_address);
    } else {
        write_address(v4(sock, o::SK_REMOTE_V4), &mut fields.address);
        write_address(v4(sock, o::SK_LOCAL_V4), &mut fields.local_address);
    }
}

#[inline(always)]
fn v4(sock: *const u8, field: usize) -> [u64; 2] {
    // The first four bytes in memory; the other twelve are zero.
    [u64::from(read::<u32>(sock, field)), 0]
}

#[inline(always)]
fn v6(sock: *const u8, field: usize) -> [u64; 2] {
    [read(sock, field), read_behind(sock, field, size_of::<u64>())]
}

#[inline(always)]
fn write_address(words: [u64; 2], out: &mut [u8; 16]) {
    // SAFETY: both have 16 bytes.
    unsafe { out.as_mut_ptr().cast::<[u64; 2]>().write_unaligned(words) };
}
