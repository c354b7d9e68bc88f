//! Version of the contract and the header that every record starts with.

/// Changes whenever a struct, map or global of this crate changes meaning. Present in every record
/// and checked by the decoder, so that a sensor never misreads the records of another build's
/// programs.
pub const SCHEMA_VERSION: u16 = 3;

/// Record rings, by number as used in [`RecordHeader::ring`] and for per-ring sequence counters.
pub mod ring {
    /// Exec, fork, exit, cgroup moves: must survive a flood of the other ring.
    pub const CRITICAL: usize = 0;
    /// File and network activity.
    pub const BULK: usize = 1;
    /// Number of rings.
    pub const COUNT: usize = 2;
}

/// First bytes of every record, filled by `sentry-ebpf/src/emit.rs`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct RecordHeader {
    /// [`SCHEMA_VERSION`] of the programs.
    pub schema: u16,
    /// A number of [`crate::fact::Kind`].
    pub kind: u16,
    /// Which [`ring`] the record was written to.
    pub ring: u32,
    /// Slot of the run in the run table.
    pub run_slot: u32,
    /// Generation of that slot: distinguishes runs that used the same slot.
    pub run_generation: u32,
    /// Per run and ring, from 1, without holes: a hole is a lost record.
    pub sequence: u64,
    /// `CLOCK_BOOTTIME`, ns.
    pub time_boot_ns: u64,
    /// Acting process: tgid and tid in the initial pid namespace.
    pub tgid: u32,
    pub tid: u32,
    /// Start of the acting process (its thread-group leader), `CLOCK_BOOTTIME` ns. With `tgid` and
    /// the boot id it names the process for ever.
    pub start_boot_ns: u64,
}
const _: () = assert!(size_of::<RecordHeader>() == 48);
