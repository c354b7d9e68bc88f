//! Counter readings of one run, cumulative since its start.

use serde::{Deserialize, Serialize};

use crate::completeness::{Books, Record};

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
    /// `usage_usec` of the cgroup's `cpu.stat`. A member that left the cgroup is counted up to then: what it burns outside
    /// is not in it, while its births and acts are in the other counts.
    pub cpu_usec: u64,
    /// Time in which a ready task had to wait for a CPU: `some` of `cpu.pressure`. Absent on kernels without pressure
    /// accounting. Shown with a finding; no rule counts it.
    #[serde(default)]
    pub cpu_wait_usec: u64,
    /// Bytes that members read and wrote by system calls, also from and to the page cache. What was
    /// not read yet, or may not be read, is missing.
    #[serde(default)]
    pub moved_bytes: u64,
    pub lost_critical: u64,
    pub lost_bulk: u64,
}

impl Counters {
    /// What was added since an earlier reading. A counter that went back counts as unchanged.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        macro_rules! each {
            ($($field:ident),+ $(,)?) => { Self { $($field: combine(self.$field, other.$field)),+ } };
        }
        each!(
            tasks_born,
            processes_born,
            processes_entered,
            processes_ended,
            execs,
            cgroup_moves,
            cgroups_made,
            connects,
            sends,
            opens,
            opens_for_write,
            creates,
            unlinks,
            renames,
            cpu_usec,
            cpu_wait_usec,
            moved_bytes,
            lost_critical,
            lost_bulk,
        )
    }

    /// Opens that did not ask to write.
    #[must_use]
    pub fn opens_for_reading(&self) -> u64 {
        self.opens.saturating_sub(self.opens_for_write)
    }

    /// Whether the record of the run is complete, by what the counters hold of that.
    #[must_use]
    pub fn complete(&self) -> bool {
        let books = |lost| Books { lost, ..Books::default() };
        Record { critical: books(self.lost_critical), bulk: books(self.lost_bulk), ..Record::default() }
            .is_complete()
    }
}
