//! The books of a run: of each ring, generated = delivered + lost + throttled once all is read.
//!
//! The kernel counts; what it cannot know is added here: records that reached the journal's queue,
//! records that found no room behind the ring, and ends that no program was called for.

use sentry_common::counter::Counts;

use crate::{
    aggregate::{counters::Counters, holds::Holds},
    event::Ring,
};

/// Rings.
pub const RINGS: usize = 2;

/// The number of a ring.
#[must_use]
pub fn number(ring: Ring) -> usize {
    match ring {
        Ring::Critical => 0,
        Ring::Bulk => 1,
    }
}

/// Records of one ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RingBooks {
    pub generated: u64,
    /// Reached the journal's queue.
    pub delivered: u64,
    /// The ring had no room: dropped unintentionally.
    pub lost: u64,
    /// Left out on purpose.
    pub throttled: u64,
}

impl RingBooks {
    /// Records that are accounted for: read, or known to be missing.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.delivered + self.lost + self.throttled
    }

    /// Records that will never be read.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.lost + self.throttled
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            generated: self.generated + other.generated,
            delivered: self.delivered + other.delivered,
            lost: self.lost + other.lost,
            throttled: self.throttled + other.throttled,
        }
    }
}

/// A reading of the kernel's counters of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub counts: Counts,
    /// What the kernel knows of it: nothing is delivered here.
    pub rings: [RingBooks; RINGS],
}

/// What a run uses, as the kernel has it of its cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_usec: u64,
    pub cpu_wait_usec: u64,
    pub moved_bytes: u64,
    pub holds: Holds,
}

/// The books of one sensor life.
#[derive(Debug, Default)]
pub(super) struct Books {
    counted: Counted,
    /// Before the counters were read: what started earlier is in them.
    counted_boot_ns: u64,
    delivered: [u64; RINGS],
    refused: [u64; RINGS],
    unseen_ends: u64,
    /// Records that came without having been counted, by the end.
    uncounted: [u64; RINGS],
}

impl Books {
    pub(super) fn delivered(&mut self, ring: Ring) {
        self.delivered[number(ring)] += 1;
    }

    pub(super) fn refused(&mut self, records: [u64; RINGS]) {
        for (sum, records) in self.refused.iter_mut().zip(records) {
            *sum += records;
        }
    }

    pub(super) fn unseen_end(&mut self) {
        self.unseen_ends += 1;
    }

    /// Takes a reading. Counters only grow; another reader may have been faster.
    pub(super) fn counted(&mut self, counted: &Counted, began_boot_ns: u64) {
        let generated = |counted: &Counted| counted.rings.map(|ring| ring.generated);
        // A run that does nothing is not recorded again and again.
        if generated(counted) >= generated(&self.counted) && *counted != self.counted {
            self.counted = *counted;
            self.counted_boot_ns = began_boot_ns;
        }
    }

    /// All records have come: one whose count fell beside the last reading is a record all the
    /// same.
    pub(super) fn drained(&mut self) {
        let rings = self.rings();
        for (uncounted, books) in self.uncounted.iter_mut().zip(rings) {
            *uncounted += books.settled().saturating_sub(books.generated);
        }
    }

    pub(super) fn rings(&self) -> [RingBooks; RINGS] {
        std::array::from_fn(|ring| {
            let counted = self.counted.rings[ring];
            RingBooks {
                generated: counted.generated + self.uncounted[ring],
                delivered: self.delivered[ring],
                lost: counted.lost,
                throttled: counted.throttled + self.refused[ring],
            }
        })
    }

    /// Nothing is under way any more.
    pub(super) fn are_closed(&self) -> bool {
        self.rings().iter().all(|ring| ring.settled() == ring.generated)
    }

    /// An end that was not seen is an end, and an act without a record.
    pub(super) fn counts(&self) -> Counts {
        let counts = self.counted.counts;
        Counts {
            processes_ended: counts.processes_ended + self.unseen_ends,
            untold: counts.untold + self.unseen_ends,
            ..counts
        }
    }

    pub(super) fn counted_boot_ns(&self) -> u64 {
        self.counted_boot_ns
    }

    /// As detectors read them: they treat lost and throttled records alike.
    pub(super) fn reading(&self, usage: &Usage) -> Counters {
        let [critical, bulk] = self.rings();
        Counters {
            cpu_usec: usage.cpu_usec,
            cpu_wait_usec: usage.cpu_wait_usec,
            moved_bytes: usage.moved_bytes,
            lost_critical: critical.missing(),
            lost_bulk: bulk.missing(),
            ..Counters::from(self.counts())
        }
    }

    /// Processes that came, and programs that were executed.
    pub(super) fn signs_of_life(&self) -> u64 {
        let Counts { processes_born, processes_entered, execs, .. } = self.counted.counts;
        processes_born + processes_entered + execs
    }
}
