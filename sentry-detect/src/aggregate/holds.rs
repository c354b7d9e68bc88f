//! What a run holds at one moment, as far as it was looked at: not a count, it goes up and down.

use serde::{Deserialize, Serialize};

/// Of all its processes, or of as many as are asked. `None`: not looked at yet, or not to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holds {
    /// When it was looked at.
    pub looked_unix_ns: u64,
    /// `memory.current` of its cgroup, or else the resident memory of its processes, bytes.
    pub memory_bytes: Option<u64>,
    /// The most that it may have: of its cgroup, or else what the host has, bytes.
    pub memory_limit_bytes: Option<u64>,
    /// Threads, the first of each process included.
    pub threads: Option<u64>,
    /// Open descriptors; kernels before 6.2 do not count them.
    pub descriptors: Option<u64>,
}
