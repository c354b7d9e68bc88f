//! `struct file` and inodes.

use sentry_common::{offset as o, record::process::FileKey};

use super::{read, read_pointer};
use crate::offsets::of;

/// `FMODE_CREATED`: the open made the file (same bit on 5.10–6.18).
pub const MODE_CREATED: u32 = 1 << 20;
/// `__O_TMPFILE` in `f_flags`: the open made a file without a name.
pub const FLAG_NAMELESS: u32 = 0o20_000_000;
/// `__FMODE_EXEC` in `f_flags`: opened by execve, not by the program.
pub const FLAG_EXEC: u32 = 1 << 5;

/// The file's `struct path`.
#[inline(always)]
pub fn path(file: *const u8) -> *const u8 {
    file.wrapping_add(of(o::FILE_PATH))
}

#[inline(always)]
pub fn flags(file: *const u8) -> u32 {
    read(file, o::FILE_FLAGS)
}

#[inline(always)]
pub fn mode(file: *const u8) -> u32 {
    read(file, o::FILE_MODE)
}

/// Identity of an open file.
#[inline(always)]
pub fn key(file: *const u8) -> FileKey {
    match read_pointer(file, o::FILE_INODE) {
        Some(inode) => inode_key(inode),
        None => FileKey::default(),
    }
}

/// Identity of the file behind a name; zeroes for a negative dentry.
#[inline(always)]
pub fn dentry_key(dentry: *const u8) -> FileKey {
    match read_pointer(dentry, o::DENTRY_INODE) {
        Some(inode) => inode_key(inode),
        None => FileKey::default(),
    }
}

/// Address of the inode of an open file, or 0.
#[inline(always)]
pub fn inode(file: *const u8) -> u64 {
    read(file, o::FILE_INODE)
}

/// Address of the inode behind a `struct path`, or 0.
#[inline(always)]
pub fn inode_at(path: *const u8) -> u64 {
    let dentry = read::<u64>(path, o::PATH_DENTRY);
    read(dentry as *const u8, o::DENTRY_INODE)
}

/// True for a file of a lower layer that a stacked file system opened under the upper file's name
/// (`open_with_fake_path`; overlayfs, seen on 6.1, not on 6.12). Its inode is not the inode of its
/// path.
#[inline(always)]
pub fn is_below(file: *const u8) -> bool {
    let named = inode_at(path(file));
    named != 0 && named != inode(file)
}

/// Size of a file in bytes.
#[inline(always)]
pub fn size(inode: u64) -> u64 {
    read(inode as *const u8, o::INODE_SIZE)
}

/// Whether the inode at this address is a plain file's.
#[inline(always)]
pub fn is_regular(inode: u64) -> bool {
    read::<u16>(inode as *const u8, o::INODE_MODE) & 0o170_000 == 0o100_000
}

/// Identity of the file of an inode.
#[inline(always)]
pub fn inode_key(inode: *const u8) -> FileKey {
    let device = match read_pointer(inode, o::INODE_SB) {
        Some(sb) => read(sb, o::SB_DEVICE),
        None => 0,
    };
    FileKey {
        inode: read(inode, o::INODE_NUMBER),
        device,
        generation: read(inode, o::INODE_GENERATION),
        links: read(inode, o::INODE_LINKS),
        mode: u32::from(read::<u16>(inode, o::INODE_MODE)),
    }
}

/// File type in `i_mode`.
const TYPE: u32 = 0o17_0000;

#[inline(always)]
pub fn is_regular_mode(mode: u32) -> bool {
    mode & TYPE == 0o10_0000
}

#[inline(always)]
pub fn is_socket(mode: u32) -> bool {
    mode & TYPE == 0o14_0000
}
