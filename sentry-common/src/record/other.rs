//! Acts on other processes and on the kernel itself.

use super::text::{ArgumentText, PathText};
use crate::abi::RecordHeader;

/// The target is a process of the same run.
pub const TARGET_IN_RUN: u32 = 1;
/// Only asked for; whether it was granted was not seen.
pub const ASKED: u32 = 2;

/// An act on another process: `SIGNAL`, `TRACE`, `PROCESS_ACCESS`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TargetRecord {
    pub header: RecordHeader,
    pub target_start_boot_ns: u64,
    pub target_tgid: u32,
    /// `SIGNAL`: its number. `TRACE`, `PROCESS_ACCESS`: one of [`access`].
    pub code: u32,
    pub flags: u32,
    /// errno of a refusal; 0 = not refused where it was seen.
    pub error: u32,
}
const _: () = assert!(size_of::<TargetRecord>() == 72);

/// How another process was reached.
pub mod access {
    /// The kernel's check for any access to another process, to read (`PTRACE_MODE_READ`).
    pub const READ: u32 = 1;
    /// The same to change (`PTRACE_MODE_ATTACH`): ptrace, `process_vm_writev`, `/proc/PID/mem`,
    /// `pidfd_getfd`.
    pub const ATTACH: u32 = 2;
    /// The process asked to be traced (`PTRACE_TRACEME`).
    pub const TRACE_ME: u32 = 3;
    /// By system call, where the check itself is not seen.
    pub const PTRACE_CALL: u32 = 4;
    pub const READ_MEMORY_CALL: u32 = 5;
    pub const WRITE_MEMORY_CALL: u32 = 6;
    pub const TAKE_DESCRIPTOR_CALL: u32 = 7;
}

/// An act on the kernel, or on the acting process's own standing in it.
///
/// | kind | `code` | `detail` | `path` | `text` |
/// |---|---|---|---|---|
/// | `CREDENTIALS` | uid before | uid << 32 \| gid after | | |
/// | `NAMESPACES` | changed: `CLONE_NEW*` bits | | | |
/// | `BPF` | command | | | |
/// | `PERF_OPEN` | event type | config | | |
/// | `MODULE` | | | | name |
/// | `MOUNT` | | flags | where | what |
/// | `UNMOUNT` | | flags | where | |
/// | `CHANGE_ROOT` | 0 chroot, 1 `pivot_root` | | new root | |
/// | `IO_RING` | entries | setup flags | | |
/// | `WATCH` | | mask (`FAN_*`) | what is watched | |
/// | `IO_OPERATION` | opcode | user data | where a relative argument starts | path argument, if it has one |
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct KernelRecord {
    pub header: RecordHeader,
    pub detail: u64,
    pub code: u32,
    pub flags: u32,
    /// errno of a refusal; 0 = not refused where it was seen.
    pub error: u32,
    pub reserved: u32,
    pub path: PathText,
    pub text: ArgumentText,
}
const _: () = assert!(size_of::<KernelRecord>() == 1880);

/// `MOUNT`, `UNMOUNT`, `CHANGE_ROOT` and `WATCH` where only the syscall's arguments are left. The
/// length distinguishes it from a [`KernelRecord`].
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct KernelArgumentRecord {
    pub header: RecordHeader,
    /// These four as in [`KernelRecord`].
    pub detail: u64,
    pub code: u32,
    pub flags: u32,
    pub error: u32,
    pub reserved: u32,
    /// The directory that a relative `argument` starts at.
    pub directory: PathText,
    /// What `path` is in [`KernelRecord`].
    pub argument: ArgumentText,
    pub text: ArgumentText,
}
const _: () = assert!(size_of::<KernelArgumentRecord>() == 2400);
