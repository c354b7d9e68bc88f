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

/// `RENAME` that swapped two names (`RENAME_EXCHANGE`).
pub const EXCHANGE: u32 = 4;

/// One act on one file object; the path is the object's, resolved in the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileRecord {
    pub header: RecordHeader,
    /// Zeroes where the act has no file (memory made executable).
    pub file: FileKey,
    /// By kind: `OPEN`: `f_flags`; `TRUNCATE`, `CLOSE_WRITTEN`: size in bytes; `CHANGE_MODE`: mode;
    /// `CHANGE_OWNER`: uid << 32 | gid; `MAP_*`, `PROTECT_EXECUTE`: `PROT_*` bits; `COPY`: bytes
    /// asked for; `ALLOCATE`: mode.
    pub detail: u64,
    pub flags: u32,
    /// errno of a refusal; 0 = not refused where it was seen.
    pub error: u32,
    pub path: PathText,
}
const _: () = assert!(size_of::<FileRecord>() == 1376);

/// The same acts (`TRUNCATE`, `CHANGE_MODE`, `CHANGE_OWNER`) where only the syscall's path argument
/// is left of the file. The length distinguishes it from a [`FileRecord`].
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileArgumentRecord {
    pub header: RecordHeader,
    /// As in [`FileRecord`].
    pub detail: u64,
    pub flags: u32,
    pub error: u32,
    /// The directory that a relative argument starts at.
    pub directory: PathText,
    pub argument: ArgumentText,
}
const _: () = assert!(size_of::<FileArgumentRecord>() == 1872);

/// A name was removed (`UNLINK`), changed (`RENAME`: `path` → `new_path`), added to a file (`LINK`:
/// `path` is the file, `new_path` its new name) or made (`SYMLINK`, `MAKE_DIRECTORY`, `MAKE_NODE`),
/// or a named attribute changed (`XATTR_*`), resolved in the kernel from directory and dentry (LSM,
/// fentry, fexit). `argument` is then the target of a symlink or the name of an attribute, else
/// empty.
///
/// Also an execve that failed (`EXEC_FAILED`), always from the argument.
///
/// On kernels without those hooks the syscall's own arguments stand in `argument`/`new_argument`,
/// relative to `directory`/`new_directory` (the `*at` descriptor's or working directory's path),
/// and `path` fields are empty.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct NameRecord {
    pub header: RecordHeader,
    /// Zeroes where it is unknown: with [`FROM_ARGUMENT`] only a descriptor identifies it.
    pub file: FileKey,
    pub flags: u32,
    /// [`FROM_HOOK`] or [`FROM_ARGUMENT`].
    pub source: u32,
    /// errno of a refusal; 0 = not refused where it was seen.
    pub error: u32,
    /// `MAKE_*`: mode.
    pub mode: u32,
    /// The file's path, or (from an argument) the directory that a relative argument starts at.
    pub path: PathText,
    /// Only for `RENAME` and `LINK`.
    pub new_path: PathText,
    /// With [`FROM_ARGUMENT`]; with [`FROM_HOOK`] the text that belongs to the act.
    pub argument: ArgumentText,
    /// Only with [`FROM_ARGUMENT`]: the new name of `RENAME` and `LINK`, the target of a symlink,
    /// the name of an attribute.
    pub new_argument: ArgumentText,
}
const _: () = assert!(size_of::<NameRecord>() == 3704);

/// `path` is the object's.
pub const FROM_HOOK: u32 = 1;
/// `path` is the start directory, `argument` what the program passed.
pub const FROM_ARGUMENT: u32 = 2;
