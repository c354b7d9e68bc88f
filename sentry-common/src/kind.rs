//! Record kinds. Numbers are never reused; each family has a range.
//!
//! Retired numbers: none.

/// 1–31: process life. Critical ring.
pub const FORK: u16 = 1;
pub const EXEC: u16 = 2;
pub const EXIT: u16 = 3;
/// A process that was already in the cgroup when it was tagged.
pub const SEED: u16 = 4;
/// An execve that did not happen.
pub const EXEC_FAILED: u16 = 5;
/// Credentials or namespaces of the acting process changed.
pub const CREDENTIALS: u16 = 6;
pub const NAMESPACES: u16 = 7;

/// 32–63: cgroups. Critical ring.
pub const CGROUP_MOVE: u16 = 32;
pub const CGROUP_MAKE: u16 = 33;
pub const CGROUP_REMOVE: u16 = 34;
/// Records of the run begin to be missing, or are whole again. Critical ring.
pub const COMPLETENESS: u16 = 35;

/// 64–95: network. Bulk ring.
pub const CONNECT: u16 = 64;
pub const SEND: u16 = 65;
pub const SOCKET: u16 = 66;
/// How a connect ended.
pub const CONNECTED: u16 = 67;
pub const BIND: u16 = 68;
pub const LISTEN: u16 = 69;
pub const ACCEPT: u16 = 70;
pub const UNIX_CONNECT: u16 = 71;
pub const UNIX_SEND: u16 = 72;
/// First bytes of a packet that names something: DNS, TLS hello.
pub const PAYLOAD: u16 = 73;
/// A socket made outside of the run came in as a descriptor.
pub const SOCKET_RECEIVED: u16 = 74;

/// 96–127: files. Bulk ring.
pub const OPEN: u16 = 96;
pub const UNLINK: u16 = 97;
pub const RENAME: u16 = 98;
pub const LINK: u16 = 99;
pub const SYMLINK: u16 = 100;
pub const MAKE_DIRECTORY: u16 = 101;
pub const MAKE_NODE: u16 = 102;
pub const TRUNCATE: u16 = 103;
pub const CHANGE_MODE: u16 = 104;
pub const CHANGE_OWNER: u16 = 105;
pub const XATTR_SET: u16 = 106;
pub const XATTR_REMOVE: u16 = 107;
/// A shared mapping through which the file can be written.
pub const MAP_WRITE: u16 = 108;
/// A mapping that can be executed: a library, or memory without a file.
pub const MAP_EXECUTE: u16 = 109;
/// Memory that becomes executable.
pub const PROTECT_EXECUTE: u16 = 110;
/// Data copied into the file by the kernel (`copy_file_range`, clone).
pub const COPY: u16 = 111;
/// Space of the file allocated, punched or zeroed.
pub const ALLOCATE: u16 = 112;
/// A file that was open for writing was closed for good.
pub const CLOSE_WRITTEN: u16 = 113;
/// A file came in as a descriptor from another process.
pub const FILE_RECEIVED: u16 = 114;

/// 128–159: acts on other processes. Bulk ring.
pub const SIGNAL: u16 = 128;
/// Attaching as a tracer, or being traced.
pub const TRACE: u16 = 129;
/// Memory or descriptors of another process.
pub const PROCESS_ACCESS: u16 = 130;
/// A process outside of the run, which descends from what an asked one started, has a new program image.
pub const STARTED_OUTSIDE: u16 = 131;

/// 160–191: acts on the kernel. Bulk ring.
pub const BPF: u16 = 160;
pub const PERF_OPEN: u16 = 161;
pub const MODULE: u16 = 162;
pub const MOUNT: u16 = 163;
pub const UNMOUNT: u16 = 164;
pub const CHANGE_ROOT: u16 = 165;
pub const IO_RING: u16 = 166;
pub const IO_OPERATION: u16 = 167;
/// A fanotify mark: the caller is asked before, or told after, what others do to a file.
pub const WATCH: u16 = 168;
