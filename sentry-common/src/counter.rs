//! The per-run counter block. Counters are always right: records may be lost, counters never.
//!
//! [`counters!`](crate::counters) is the one list of counters. The block, the detectors' readings,
//! the run on the wire and what shows a run are made from it: a counter is a row there, a field of
//! `Run` in `model.proto` where it is reported, and the line of the program that counts.

use crate::abi::ring;

/// A window is 2^27 ns (134 ms).
pub const WINDOW_SHIFT: u32 = 27;
/// Ring bytes (as a power of two) for each record that a run may add in one window once the ring is
/// half full: a 16 MiB ring gives 1024. Above what a quiet run does, and few enough that a flood
/// leaves the upper half to the others.
pub const FAIR_SHIFT: u32 = 14;
/// The same once the ring is three quarters full: its reader is behind.
pub const SCARCE_SHIFT: u32 = 18;
/// A run counts as whole again when nothing was missing for this long.
pub const WHOLE_AFTER_NS: u64 = 1_000_000_000;

/// Gives every counter to the macro `$then`, which makes something of each: `reported` ones are
/// fields of the run on the wire and are shown with it, `kept` ones stay in the sensor.
#[macro_export]
macro_rules! counters {
    ($then:ident) => {
        $then! {
            reported {
                /// New processes.
                processes_born,
                /// Processes that entered from outside (cgroup attach, seed).
                processes_entered,
                /// Processes ended (last thread gone).
                processes_ended,
                /// Programs executed.
                execs,
                /// Moves between cgroups, inside or outside of the run.
                cgroup_moves,
                /// Connects of TCP and UDP sockets.
                connects,
                /// Datagrams to a destination that the call or the packet names.
                sends,
                /// Opens of files.
                opens,
                /// Opens that asked to write.
                opens_for_write,
                /// Opens that made the file.
                creates,
                /// Files and directories removed.
                unlinks,
                /// Files and directories renamed.
                renames,
            }
            kept {
                /// Tasks born, threads included.
                tasks_born,
                /// Cgroups made.
                cgroups_made,
                /// Processes that could not be tagged in `PROCESS_TAGS` (table full): their network
                /// acts go unseen.
                untagged_processes,
                /// Acts that no record could be made of, or whose run a later record will not name:
                /// a descriptor that was gone, full tables.
                untold,
            }
        }
    };
}

macro_rules! counts {
    (
        reported { $($(#[$reported_doc:meta])+ $reported:ident,)+ }
        kept { $($(#[$kept_doc:meta])+ $kept:ident,)+ }
    ) => {
        /// A value for each counter.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(
            feature = "user",
            derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
        )]
        pub struct Counts {
            $($(#[$reported_doc])+ pub $reported: u64,)+
            $($(#[$kept_doc])+ pub $kept: u64,)+
        }

        impl Counts {
            /// Name and value of each reported counter.
            #[must_use]
            pub fn reported(&self) -> [(&'static str, u64); [$(stringify!($reported)),+].len()] {
                [$((stringify!($reported), self.$reported)),+]
            }
        }

        impl core::ops::Add for Counts {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self {
                    $($reported: self.$reported + other.$reported,)+
                    $($kept: self.$kept + other.$kept,)+
                }
            }
        }
    };
}
counters!(counts);

/// One slot of the run table (`RUNS`, array map). The programs add to it atomically; the sensor
/// reads it.
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
    pub counts: Counts,
}
const _: () = assert!(size_of::<RunBlock>() == 8 + 8 * 10 + size_of::<Counts>());
