//! Counter readings of one run, cumulative since its start.

use serde::{Deserialize, Serialize};

/// One reading: the kernel's counter block and the cgroup's CPU time. All cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub tasks_born: u64,
    pub processes_born: u64,
    pub processes_entered: u64,
    pub processes_ended: u64,
    pub execs: u64,
    pub cgroup_moves: u64,
    pub cgroups_made: u64,
    pub connects: u64,
    pub sends: u64,
    pub opens: u64,
    pub opens_for_write: u64,
    pub creates: u64,
    pub unlinks: u64,
    pub renames: u64,
    /// `usage_usec` of `cpu.stat`, plus that of members outside the cgroup where known.
    pub cpu_usec: u64,
    pub lost_critical: u64,
    pub lost_bulk: u64,
}
