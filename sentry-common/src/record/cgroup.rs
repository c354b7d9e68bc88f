//! Cgroup life around a run, and the state of its record.

use super::text::ArgumentText;
use crate::abi::{RecordHeader, ring};

/// The destination is a cgroup of this run.
pub const DESTINATION_IN_RUN: u32 = 1;
/// The process was in the run before the move.
pub const MEMBER_BEFORE: u32 = 2;
/// The process was born into a cgroup outside of the run (`CLONE_INTO_CGROUP`); there was no move.
pub const AT_BIRTH: u32 = 4;
/// The cgroup made is not below a run's: it may be an agent's, and is watched until the sensor has
/// decided.
pub const CANDIDATE: u32 = 8;

/// A process of the run changed its cgroup, or one from outside entered it (`CGROUP_MOVE`); a
/// cgroup was made (`CGROUP_MAKE`) or removed (`CGROUP_REMOVE`) under the run's, or is a candidate
/// for one. For a move the header names the process that was moved, not the one that wrote to
/// `cgroup.procs`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct CgroupRecord {
    pub header: RecordHeader,
    /// The cgroup moved to, made or removed.
    pub cgroup: u64,
    pub flags: u32,
    pub reserved: u32,
    /// Path below the cgroup mount, as the tracepoint gives it.
    pub path: ArgumentText,
}
const _: () = assert!(size_of::<CgroupRecord>() == 584);

/// Records are missing from here on; without it: they are whole again.
pub const MISSING: u32 = 1;

/// The stream's own statement: records of this run begin to be missing, or have not been missing
/// for a second. The totals are those of the run so far.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct CompletenessRecord {
    pub header: RecordHeader,
    /// Per ring ([`crate::abi::ring`]).
    pub lost: [u64; ring::COUNT],
    pub throttled: [u64; ring::COUNT],
    pub flags: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<CompletenessRecord>() == 88);
