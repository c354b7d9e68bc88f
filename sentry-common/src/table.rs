//! Rows of the tables that user space and the programs share.

/// Largest number of runs at one time.
pub const RUN_SLOTS: u32 = 1024;
/// Largest number of cgroups (roots and their descendants) that belong to runs.
pub const RUN_CGROUPS: u32 = 16_384;
/// Largest number of tagged processes at one time.
pub const PROCESS_TAGS: u32 = 65_536;

/// Largest number of sockets whose run is remembered; the longest unused is forgotten first.
pub const SOCKETS: u32 = 65_536;

/// Largest number of flows at one time.
pub const FLOWS: u32 = 32_768;

/// Says which run a cgroup (`RUN_CGROUPS`) or task (`TASK_TAGS`) belongs to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct RunTag {
    pub slot: u32,
    pub generation: u32,
}
const _: () = assert!(size_of::<RunTag>() == 8);

/// Row of `PROCESS_TAGS`: a live process of a run, by tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ProcessTag {
    pub tag: RunTag,
    /// Start of the process, `CLOCK_BOOTTIME` ns: a reused tgid is another process.
    pub start_boot_ns: u64,
}
const _: () = assert!(size_of::<ProcessTag>() == 16);

/// Row of `SOCKETS`: who used a socket last, by cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SocketTag {
    pub tag: RunTag,
    /// Zeroes where only the run is known: a connection that nobody has accepted yet.
    pub start_boot_ns: u64,
    pub tgid: u32,
    pub tid: u32,
}
const _: () = assert!(size_of::<SocketTag>() == 24);

/// Largest number of processes outside of all runs that are remembered as asked; the longest unused
/// is forgotten first.
pub const ASKED: u32 = 1024;

/// Row of `ASKED`, by tgid: a process outside of a run that the run connected to; and of
/// `STARTED_TASKS`: a task that descends from what such a process then started.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Asked {
    /// The run that asked last.
    pub tag: RunTag,
    /// Start of the asked process, `CLOCK_BOOTTIME` ns.
    pub start_boot_ns: u64,
    /// What it starts later is not taken for an answer.
    pub until_boot_ns: u64,
    pub tgid: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<Asked>() == 32);

/// Slots held in reserve for cgroups that may be an agent's ([`spare`]).
pub const SPARES: u32 = 64;
/// Most rows of each table that says which cgroups may be an agent's.
pub const SELECTED: u32 = 1024;
/// Bytes of a cgroup's name that are compared.
pub const NAME_BYTES: usize = 32;
/// Bytes of a task's name, as the kernel keeps it: the file's name, cut to 15 bytes and a NUL.
pub const COMM_BYTES: usize = 16;

/// Key of `SELECTED_FILES`: a file, whatever its name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FileId {
    pub inode: u64,
    /// As in `record::process::FileKey`.
    pub device: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<FileId>() == 16);

/// Row of `SPARES`: the tag of a slot in reserve as one number, so that it is taken by one
/// instruction; 0 once it is taken.
#[must_use]
pub const fn spare(tag: RunTag) -> u64 {
    (tag.generation as u64) << 32 | tag.slot as u64
}

/// The tag in a row of `SPARES`.
#[must_use]
pub const fn spare_tag(row: u64) -> RunTag {
    RunTag { slot: row as u32, generation: (row >> 32) as u32 }
}

/// Key of `FLOWS`: one run and one port of another side.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FlowKey {
    pub tag: RunTag,
    /// As in `record::network::NetworkRecord`.
    pub family: u16,
    pub protocol: u16,
    pub port: u16,
    pub reserved: u16,
    pub address: [u8; 16],
}
const _: () = assert!(size_of::<FlowKey>() == 32);

/// Row of `FLOWS`. Bytes are those of the payload; what TCP sent again counts again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Flow {
    pub packets_out: u64,
    pub bytes_out: u64,
    pub packets_in: u64,
    pub bytes_in: u64,
}
const _: () = assert!(size_of::<Flow>() == 32);
