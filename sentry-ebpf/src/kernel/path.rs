//! Paths as the kernel knows them: from a dentry to the root, through mounts.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sentry_common::{
    offset as o,
    record::text::{DETACHED, PATH_CAPACITY, PATH_SLACK, PathText, TRUNCATED, UNREADABLE},
};

use super::{copy, is_typed, read, read_behind, read_pointer, store};
use crate::offsets::of;

/// Most components and mount crossings of one walk. A longer path is marked as truncated. VERIFIER:
/// 6.1 accepts this bound; the walk is most of a program's instruction count.
const STEPS: usize = 48;

/// Writes the path of a `struct path` (mount, dentry).
#[inline(always)]
pub fn write(path: *const u8, out: &mut PathText) {
    write_child(path, read_pointer(path, o::PATH_DENTRY), out);
}

/// The same, with the dentry as a plain number. Null ends the walk at once.
///
/// VERIFIER: 6.1 needs ten times fewer steps than for [`write`].
#[inline(always)]
pub fn write_plain(path: *const u8, out: &mut PathText) {
    let dentry = read::<u64>(path, o::PATH_DENTRY);
    write_child(path, Some(dentry as *const u8), out);
}

/// Writes the path of `dentry` on the mount of the `struct path` `directory`.
#[inline(always)]
pub fn write_child(directory: *const u8, dentry: Option<*const u8>, out: &mut PathText) {
    out.length = 0;
    out.flags = match (read_pointer(directory, o::PATH_MNT), dentry) {
        (Some(mount), Some(dentry)) => walk(mount, dentry, out),
        _ => UNREADABLE,
    };
}

/// Writes the path of `dentry` within its file system. Where the file system is mounted is unknown,
/// so the path is marked as truncated.
#[inline(always)]
pub fn write_below_mount(mut dentry: *const u8, out: &mut PathText) {
    out.length = 0;
    out.flags = TRUNCATED;
    for _ in 0..STEPS {
        let Some((parent, name)) = parent_and_name(dentry) else { return };
        // The root is called "/" and ends the path.
        if append(dentry, name, out).is_err() || parent == dentry {
            return;
        }
        dentry = parent;
    }
}

/// Writes the place that a `struct vfsmount` is mounted at.
#[inline(always)]
pub fn write_mount(mount: *const u8, out: &mut PathText) {
    out.length = 0;
    out.flags = match read_pointer(mount, o::VFSMOUNT_ROOT) {
        Some(root) => walk(mount, root, out),
        None => UNREADABLE,
    };
}

/// An empty path.
#[inline(always)]
pub fn write_none(out: &mut PathText) {
    out.length = 0;
    out.flags = 0;
}

/// Appends components until the root; returns the path's flags.
#[inline(always)]
fn walk(mut mount: *const u8, mut dentry: *const u8, out: &mut PathText) -> u32 {
    let Some(mut root) = read_pointer(mount, o::VFSMOUNT_ROOT) else { return UNREADABLE };
    for _ in 0..STEPS {
        if root == dentry {
            let this = mount.wrapping_sub(of(o::MOUNT_MNT));
            let Some(parent) = read_pointer(this, o::MOUNT_PARENT) else { return UNREADABLE };
            if parent == this {
                return 0;
            }
            let Some(mountpoint) = read_pointer(this, o::MOUNT_MOUNTPOINT) else { return UNREADABLE };
            dentry = mountpoint;
            mount = parent.wrapping_add(of(o::MOUNT_MNT));
            let Some(next) = read_pointer(mount, o::VFSMOUNT_ROOT) else { return UNREADABLE };
            root = next;
            continue;
        }
        let Some((parent, name)) = parent_and_name(dentry) else { return UNREADABLE };
        if let Err(flags) = append(dentry, name, out) {
            return flags;
        }
        if parent == dentry {
            return DETACHED;
        }
        dentry = parent;
    }
    TRUNCATED
}

/// Reads where a dentry's parent and name are. Without typed loads one read takes both, if the
/// parent, hash, length and name follow each other, as in every kernel seen (6.1 to 7.2). The
/// verifier knows the constants and skips the other branches.
#[inline(always)]
fn parent_and_name(dentry: *const u8) -> Option<(*const u8, *const u8)> {
    let offset = of(o::DENTRY_PARENT);
    let (parent, name) = if is_typed(o::DENTRY_PARENT) || of(o::DENTRY_NAME) != offset + 16 {
        (read(dentry, o::DENTRY_PARENT), read(dentry, o::DENTRY_NAME))
    } else {
        let [parent, _hash_and_length, name]: [*const u8; 3] = copy(dentry.wrapping_add(offset));
        (parent, name)
    };
    if parent.is_null() || name.is_null() { None } else { Some((parent, name)) }
}

/// Appends the name of `dentry`, which is at `name`.
#[inline(always)]
fn append(dentry: *const u8, name: *const u8, out: &mut PathText) -> Result<(), u32> {
    // VERIFIER: each step reads the length so far back from the record, as an unknown number. In a
    // register its range would differ on every path through the loop, and 6.18 would give up after
    // a million instructions. SAFETY: a reference is readable.
    let length = unsafe { (&raw const out.length).read_volatile() } as usize;
    if length >= PATH_CAPACITY {
        return Err(TRUNCATED);
    }
    // SAFETY: length < PATH_CAPACITY, and PATH_SLACK bytes stand behind it.
    let room = unsafe { out.bytes.as_mut_ptr().add(length) };
    let added = match short_name(dentry, name, room) {
        0 => text(name, room)?,
        added => added,
    };
    // SAFETY: as above.
    unsafe { (&raw mut out.length).write_volatile((length + added) as u32) };
    Ok(())
}

/// Copies a name that is stored in its dentry, as most are, by loads. Returns the bytes written,
/// NUL included; 0 for a name that is stored elsewhere, or where loads cannot read it.
#[inline(always)]
fn short_name(dentry: *const u8, name: *const u8, room: *mut u8) -> usize {
    /// A dentry has room for 32 to 40 bytes of the name: the smallest, which every kernel has.
    const WORDS: usize = 4;
    const WORD: usize = size_of::<u64>();
    if !is_typed(o::DENTRY_INLINE_NAME) || name != dentry.wrapping_add(of(o::DENTRY_INLINE_NAME)) {
        return 0;
    }
    let length = read::<u32>(dentry, o::DENTRY_LENGTH) as usize;
    if length == 0 || length >= WORDS * WORD {
        return 0;
    }
    // Copies all words: a branch at each would triple the verifier's work.
    for index in 0..WORDS {
        let word = read_behind(dentry, o::DENTRY_INLINE_NAME, index * WORD);
        // SAFETY: PATH_SLACK bytes stand at `room`.
        unsafe { store(room.add(index * WORD), word) };
    }
    // The NUL is elsewhere if the name was just being changed. SAFETY: as above.
    unsafe { room.add(length).write_volatile(0) };
    length + 1
}

/// Copies a name that ends with NUL. Returns the bytes written, NUL included.
#[inline(always)]
fn text(name: *const u8, room: *mut u8) -> Result<usize, u32> {
    // SAFETY: PATH_SLACK bytes stand at `room`; the helper checks the source.
    let read = unsafe { bpf_probe_read_kernel_str(room.cast(), PATH_SLACK as u32, name.cast_mut().cast()) };
    if read > 0 { Ok(read as usize) } else { Err(UNREADABLE) }
}
