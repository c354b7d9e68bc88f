//! Unix sockets: their names and their processes.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use sentry_common::{
    offset as o,
    record::{
        network::{ABSTRACT, UnixRecord},
        text::{ArgumentText, UNREADABLE},
    },
};

use super::{cgroup, copy, read, read_behind, read_pointer, task};
use crate::offsets::of;

/// `sizeof(sa_family_t)`: where `sun_path` begins.
const FAMILY: u32 = 2;
/// `sizeof(sun_path)`.
const NAME_CAPACITY: u32 = 108;
/// `PIDTYPE_TGID`, the same on 5.10–7.2, and the size of one of `task_struct.pid_links`, an
/// `hlist_node`.
const TGID: usize = 1;
const LINK: usize = 16;

/// The `struct sock` at the other end of a connected unix socket; null when there is none.
#[inline(always)]
pub fn peer(sock: *const u8) -> *const u8 {
    pointer(sock, o::UNIX_PEER)
}

/// Fills everything of the record but `socket_type`, `error` and whether the peer is in the run:
/// the name that the peer's `struct sock` was bound to, and the process that called listen(2) on
/// it. For a datagram socket that was only bound the kernel keeps no process, but the uid of its
/// maker.
#[inline(always)]
pub fn write_peer(peer: *const u8, fields: &mut UnixRecord) {
    fields.reserved = 0;
    fields.reserved2 = 0;
    fields.flags = write_name(pointer(peer, o::UNIX_ADDRESS), &mut fields.name);
    let credentials = pointer(peer, o::SK_PEER_CRED);
    fields.peer_uid = match (peer.is_null(), credentials.is_null()) {
        (_, false) => read(credentials, o::CRED_EUID),
        (false, true) => read(peer, o::SK_UID),
        (true, true) => u32::MAX,
    };
    let pid = pointer(peer, o::SK_PEER_PID);
    fields.peer_tgid = read(pid, o::PID_NUMBERS);
    fields.peer_start_boot_ns = 0;
    fields.peer_cgroup = 0;
    let link: u64 = read_behind(pid, o::PID_TASKS, TGID * size_of::<u64>());
    if link != 0 {
        let leader = (link as *const u8).wrapping_sub(of(o::TASK_PID_LINKS) + TGID * LINK);
        fields.peer_start_boot_ns = task::start(leader);
        fields.peer_cgroup = cgroup::of_task(leader);
    }
}

/// `struct pid` of the process at the other end of a connected socket (`SO_PEERCRED`), null for
/// none.
#[inline(always)]
pub fn other_end(sock: *const u8) -> *const u8 {
    pointer(sock, o::SK_PEER_PID)
}

/// Its uid, or `u32::MAX`.
#[inline(always)]
pub fn other_end_uid(sock: *const u8) -> u32 {
    match read_pointer(sock, o::SK_PEER_CRED) {
        Some(credentials) => read(credentials, o::CRED_UID),
        None => u32::MAX,
    }
}

/// Copies the name that a socket was bound to. Returns the flags of the record.
#[inline(always)]
pub fn write_bound_name(sock: *const u8, out: &mut ArgumentText) -> u32 {
    write_name(pointer(sock, o::UNIX_ADDRESS), out)
}

/// Whether a socket has the name by which systemd itself takes orders (`systemctl`, `systemd-run`).
#[inline(always)]
pub fn is_systemds_own(sock: *const u8) -> bool {
    const WORDS: [u64; 3] = [
        u64::from_ne_bytes(*b"/run/sys"),
        u64::from_ne_bytes(*b"temd/pri"),
        u64::from_ne_bytes(*b"vate\0\0\0\0"),
    ];
    /// The name ends with a NUL in its third word.
    const USED: u64 = u64::from_ne_bytes([255, 255, 255, 255, 255, 0, 0, 0]);
    let path = pointer(sock, o::UNIX_ADDRESS).wrapping_add(of(o::ADDRESS_NAME) + FAMILY as usize);
    let word = |index: usize| copy::<u64>(path.wrapping_add(index * size_of::<u64>()));
    word(0) == WORDS[0] && word(1) == WORDS[1] && word(2) & USED == WORDS[2]
}

/// The pointer in a field, null where it cannot be read. Not an `Option`: kept over branches it
/// would become a register that the verifier considers unset.
#[inline(always)]
fn pointer(base: *const u8, field: usize) -> *const u8 {
    read(base, field)
}

/// Copies `struct unix_address`: a path ended by NUL, or an abstract name, which begins with NUL.
/// Returns the flags of the record. A socket without a name has no such struct.
#[inline(always)]
fn write_name(address: *const u8, out: &mut ArgumentText) -> u32 {
    out.length = 0;
    out.flags = 0;
    let length: u32 = read(address, o::ADDRESS_LENGTH);
    if length <= FAMILY {
        return 0;
    }
    let path = address.wrapping_add(of(o::ADDRESS_NAME) + FAMILY as usize);
    let first: u8 = copy(path);
    // The length counts the family, and the NUL after a path or before an abstract name.
    let used = length - FAMILY - 1;
    let used = if used > NAME_CAPACITY { NAME_CAPACITY } else { used };
    let (from, flags) = if first == 0 { (path.wrapping_add(1), ABSTRACT) } else { (path, 0) };
    // SAFETY: `used` ≤ NAME_CAPACITY, less than the buffer; the helper checks the source.
    if unsafe { bpf_probe_read_kernel(out.bytes.as_mut_ptr().cast(), used, from.cast_mut().cast()) } == 0 {
        out.length = used;
    } else {
        out.flags = UNREADABLE;
    }
    flags
}
