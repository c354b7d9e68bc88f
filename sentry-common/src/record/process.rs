//! Process life: fork, exec, exit, and processes found when a cgroup was tagged.

use super::text::{ArgumentText, ArgvText, PathText};
use crate::abi::RecordHeader;

/// A file as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileKey {
    pub inode: u64,
    /// Kernel-internal device number: major << 20 | minor.
    pub device: u32,
    pub generation: u32,
    /// Link count when the record was made; 0 = the file has no name any more.
    pub links: u32,
    /// File type and permission bits (`i_mode`).
    pub mode: u32,
}
const _: () = assert!(size_of::<FileKey>() == 24);

/// A new task that is the first of its process. The header names the parent (the caller of fork).
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ForkRecord {
    pub header: RecordHeader,
    pub child_tgid: u32,
    pub reserved: u32,
    pub child_start_boot_ns: u64,
    pub child_cgroup: u64,
}
const _: () = assert!(size_of::<ForkRecord>() == 72);

/// What was asked for is a script (or a file of `binfmt_misc`), and `file` its interpreter.
pub const SCRIPT: u32 = 1;
/// Called by a thread that was not the first of its process.
pub const BY_THREAD: u32 = 2;

/// A new program image (`EXEC`; `STARTED_OUTSIDE` where the process is no member), or a process
/// that was there before the tag (`SEED`).
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ExecRecord {
    pub header: RecordHeader,
    pub parent_tgid: u32,
    pub uid: u32,
    pub parent_start_boot_ns: u64,
    pub cgroup: u64,
    pub gid: u32,
    /// `euid` after the exec.
    pub euid: u32,
    pub file: FileKey,
    /// The script that an interpreter runs; zeroes where it was not seen, or for a binary.
    pub script: FileKey,
    /// [`SCRIPT`], [`BY_THREAD`].
    pub flags: u32,
    /// Thread id of the caller before the exec, which took over the process's id.
    pub old_tid: u32,
    /// The process that the run asked and that started this one, or whose descendants did; zeroes
    /// for a member.
    pub asked_start_boot_ns: u64,
    pub asked_tgid: u32,
    pub reserved: u32,
    pub path: PathText,
    pub cwd: PathText,
    pub argv: ArgvText,
    /// The kernel's copy of the path that execve was given: a link, a script, `/dev/fd/N`.
    pub requested: ArgumentText,
}
const _: () = assert!(size_of::<ExecRecord>() == 4744 + 24 + 8 + 16 + 520);

/// The last thread of a process ended.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ExitRecord {
    pub header: RecordHeader,
    /// As `wait(2)` encodes it: code << 8 | signal.
    pub status: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<ExitRecord>() == 56);
