//! Record kinds. Numbers are never reused; each family has a range.
//!
//! Retired numbers: none.

/// 1–31: process life. Critical ring.
pub const FORK: u16 = 1;
pub const EXEC: u16 = 2;
pub const EXIT: u16 = 3;
/// A process that was already in the cgroup when it was tagged.
pub const SEED: u16 = 4;

/// 32–63: cgroups. Critical ring.
pub const CGROUP_MOVE: u16 = 32;
pub const CGROUP_MAKE: u16 = 33;
pub const CGROUP_REMOVE: u16 = 34;

/// 64–95: network. Bulk ring.
pub const CONNECT: u16 = 64;
pub const SEND: u16 = 65;

/// 96–127: files. Bulk ring.
pub const OPEN: u16 = 96;
pub const UNLINK: u16 = 97;
pub const RENAME: u16 = 98;
