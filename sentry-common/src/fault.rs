//! Kernel-side failures, counted per CPU in the map `FAULTS` (index = fault, value = count).

/// `bpf_task_storage_get(CREATE)` returned null: the task is found by its process only.
pub const TASK_STORAGE_FULL: u32 = 0;
/// `PROCESS_TAGS` is full.
pub const PROCESS_TAGS_FULL: u32 = 1;
/// `RUN_CGROUPS` is full: a child cgroup could not be added to its run.
pub const RUN_CGROUPS_FULL: u32 = 2;
/// A returned file descriptor had no file any more.
pub const FD_GONE: u32 = 3;
/// A socket could not be remembered: its packets and the outcome of its connect are not reported.
pub const SOCKETS_FULL: u32 = 4;
/// `FLOWS` is full: a packet was not counted to its destination.
pub const FLOWS_FULL: u32 = 5;
/// A member's task was without its tag, and was found by its process and tagged again.
pub const TASK_TAG_LOST: u32 = 6;
/// `ASKED` is full: what a process outside of the run starts for it is not reported.
pub const ASKED_FULL: u32 = 7;
/// No slot was in reserve: a cgroup that may be an agent's is watched only once the sensor has
/// looked.
pub const SPARES_EMPTY: u32 = 8;
/// Number of faults.
pub const COUNT: u32 = 9;

/// Names for metrics, by index.
pub const NAMES: [&str; COUNT as usize] = [
    "task_storage_full",
    "process_tags_full",
    "run_cgroups_full",
    "fd_gone",
    "sockets_full",
    "flows_full",
    "task_tag_lost",
    "asked_full",
    "spares_empty",
];
