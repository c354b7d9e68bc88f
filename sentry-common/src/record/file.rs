//! File activity.

use super::{
    process::FileKey,
    text::{ArgumentText, PathText},
};
use crate::abi::RecordHeader;

/// The open made the file (`FMODE_CREATED`).
pub const CREATED: u32 = 1;
/// Seen before the kernel's last checks (LSM, fentry): the call may still have failed.
pub const ATTEMPT: u32 = 2;

/// A file was opened; the path is the opened object's, resolved in the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct OpenRecord {
    pub header: RecordHeader,
    pub file: FileKey,
    /// `f_flags`: O_ACCMODE, O_TRUNC, O_APPEND, …
    pub open_flags: u32,
    pub flags: u32,
    pub path: PathText,
}
shared!(OpenRecord);
const _: () = assert!(size_of::<OpenRecord>() == 1368);

/// A name was removed (`UNLINK`; `path` = the name) or changed (`RENAME`; `path` → `new_path`), resolved in the
/// kernel from directory and dentry (LSM, fentry). `argument` fields are then empty.
///
/// On kernels without those hooks the syscall's own arguments stand in `argument`/`new_argument`, relative to
/// `directory`/`new_directory` (the `*at` descriptor's or working directory's path), and `path` fields are empty.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct NameRecord {
    pub header: RecordHeader,
    pub file: FileKey,
    pub flags: u32,
    /// [`FROM_HOOK`] or [`FROM_ARGUMENT`].
    pub source: u32,
    /// The file's path, or (from an argument) the directory that a relative argument starts at.
    pub path: PathText,
    /// Only for `RENAME`.
    pub new_path: PathText,
    /// Only with [`FROM_ARGUMENT`].
    pub argument: ArgumentText,
    /// Only for `RENAME` with [`FROM_ARGUMENT`].
    pub new_argument: ArgumentText,
}
shared!(NameRecord);
const _: () = assert!(size_of::<NameRecord>() == 3696);

/// `path` is the object's.
pub const FROM_HOOK: u32 = 1;
/// `path` is the start directory, `argument` what the program passed.
pub const FROM_ARGUMENT: u32 = 2;
