//! The per-run counter block. Counters are always right: records may be lost, counters never.

use crate::abi::ring;

/// A window is 2^27 ns (134 ms).
pub const WINDOW_SHIFT: u32 = 27;
/// Ring bytes (as a power of two) for each record that a run may add in one window once the ring is half full: a 16 MiB
/// ring gives 1024. Above what a quiet run does, and few enough that a flood leaves the upper half to the others.
pub const FAIR_SHIFT: u32 = 14;
/// The same once the ring is three quarters full: its reader is behind.
pub const SCARCE_SHIFT: u32 = 18;
/// A run is told to be whole again when nothing was missing for this long.
pub const WHOLE_AFTER_NS: u64 = 1_000_000_000;

/// One slot of the run table (`RUNS`, array map). The programs add to it atomically; the sensor reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct RunBlock {
    /// Which run owns the slot now; 0 = free. A tag with another generation is stale and ignored.
    pub generation: u32,
    pub reserved: u32,
    /// Records generated per ring = the last sequence number given out.
    pub generated: [u64; ring::COUNT],
    /// Records for which the ring had no room, per ring. generated = delivered + lost + throttled.
    pub lost: [u64; ring::COUNT],
    /// Records left out on purpose because the run had used up its share of a full ring, per ring.
    pub throttled: [u64; ring::COUNT],
    /// Which window the count of the next field is for: boot time in units of [`WINDOW_SHIFT`].
    pub window: u64,
    /// Records asked for in that window.
    pub window_records: u64,
    /// When records began to be missing, `CLOCK_BOOTTIME` ns; 0 = none are.
    pub missing_since: u64,
    /// When one was last missing.
    pub missing_last: u64,
    /// Tasks born (threads included) and, of those, new processes.
    pub tasks_born: u64,
    pub processes_born: u64,
    /// Tasks that entered from outside (cgroup attach, seed).
    pub processes_entered: u64,
    /// Processes ended (last thread gone).
    pub processes_ended: u64,
    pub execs: u64,
    /// Moves between cgroups, inside or outside of the run.
    pub cgroup_moves: u64,
    pub cgroups_made: u64,
    pub connects: u64,
    pub sends: u64,
    pub opens: u64,
    /// Opens that asked to write.
    pub opens_for_write: u64,
    /// Opens that made the file.
    pub creates: u64,
    pub unlinks: u64,
    pub renames: u64,
    /// Processes that could not be tagged in `PROCESS_TAGS` (table full): their network acts go unseen.
    pub untagged_processes: u64,
    /// Acts that no record could be made of, or whose run a later record will not name: a descriptor that was gone, full tables.
    pub untold: u64,
}
const _: () = assert!(size_of::<RunBlock>() == 8 + 8 * 26);
