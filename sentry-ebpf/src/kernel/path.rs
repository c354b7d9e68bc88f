//! Paths as the kernel knows them: from a dentry to the root, through mounts.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use sentry_common::{
    offset as o,
    record::text::{DETACHED, PATH_CAPACITY, PATH_SLACK, PathText, TRUNCATED, UNREADABLE},
};

use super::read_pointer;
use crate::offsets::of;

/// Most components and mount crossings of one walk; beyond it the path is marked truncated.
/// VERIFIER: 6.1 accepts this bound; the walk is most of a program's instruction count.
const STEPS: usize = 48;

/// Writes the path of a `struct path` (mount, dentry).
#[inline(always)]
pub fn write(path: *const u8, out: &mut PathText) {
    write_child(path, read_pointer(path, of(o::PATH_DENTRY)), out);
}

/// Writes the path of `dentry` on the mount of the `struct path` `directory`.
#[inline(always)]
pub fn write_child(directory: *const u8, dentry: Option<*const u8>, out: &mut PathText) {
    out.length = 0;
    out.flags = 0;
    let (Some(mount), Some(dentry)) = (read_pointer(directory, of(o::PATH_MNT)), dentry) else {
        out.flags = UNREADABLE;
        return;
    };
    let (length, flags) = walk(mount, dentry, &mut out.bytes);
    out.length = length as u32;
    out.flags = flags;
}

/// An empty path.
#[inline(always)]
pub fn write_none(out: &mut PathText) {
    out.length = 0;
    out.flags = 0;
}

#[inline(always)]
fn walk(
    mut mount: *const u8,
    mut dentry: *const u8,
    bytes: &mut [u8; PATH_CAPACITY + PATH_SLACK],
) -> (usize, u32) {
    let mut length = 0usize;
    for _ in 0..STEPS {
        let Some(root) = read_pointer(mount, of(o::VFSMOUNT_ROOT)) else { return (length, UNREADABLE) };
        if root == dentry {
            let this = mount.wrapping_sub(of(o::MOUNT_MNT));
            let Some(parent) = read_pointer(this, of(o::MOUNT_PARENT)) else { return (length, UNREADABLE) };
            if parent == this {
                return (length, 0);
            }
            let Some(mountpoint) = read_pointer(this, of(o::MOUNT_MOUNTPOINT)) else {
                return (length, UNREADABLE);
            };
            dentry = mountpoint;
            mount = parent.wrapping_add(of(o::MOUNT_MNT));
            continue;
        }
        let Some(parent) = read_pointer(dentry, of(o::DENTRY_PARENT)) else { return (length, UNREADABLE) };
        let Some(name) = read_pointer(dentry, of(o::DENTRY_NAME) + of(o::QSTR_NAME)) else {
            return (length, UNREADABLE);
        };
        if length >= PATH_CAPACITY {
            return (length, TRUNCATED);
        }
        // SAFETY: length < PATH_CAPACITY, and PATH_SLACK bytes stand behind it.
        let read = unsafe {
            bpf_probe_read_kernel_str(
                bytes.as_mut_ptr().add(length).cast(),
                PATH_SLACK as u32,
                name.cast_mut().cast(),
            )
        };
        if read <= 0 {
            return (length, UNREADABLE);
        }
        length += read as usize;
        if parent == dentry {
            return (length, DETACHED);
        }
        dentry = parent;
    }
    (length, TRUNCATED)
}
