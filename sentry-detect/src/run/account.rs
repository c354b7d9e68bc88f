//! What a run comes to: in this sensor life, and over all of them.

use sentry_common::counter::Counts;
use serde::{Deserialize, Serialize};

use super::books::{RINGS, RingBooks};
use crate::{
    completeness::{Books, Kept, Record},
    identity::ProcessKey,
};

/// Where a run stands for those who ask: what outcomes have verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Running,
    Frozen,
    Ended,
}

/// A run's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub state: State,
    pub ended_unix_ns: Option<u64>,
    pub rings: [RingBooks; RINGS],
    pub counts: Counts,
    pub findings: u64,
    /// Times that the sensor was away while the run lived.
    pub interruptions: u32,
    /// Calls of programs that the kernel left out meanwhile; known when ended.
    pub skipped: u64,
    /// The counters hold every process that started before this (`CLOCK_BOOTTIME`, ns).
    pub counted_boot_ns: u64,
    /// Members outside of the cgroup that a freeze has stopped.
    pub stopped: Vec<ProcessKey>,
}

impl Account {
    /// Of all sensor lives, where this one goes on from `before`.
    pub(super) fn after(self, before: &Self) -> Self {
        Self {
            rings: std::array::from_fn(|ring| self.rings[ring].plus(&before.rings[ring])),
            counts: self.counts + before.counts,
            findings: self.findings + before.findings,
            interruptions: before.interruptions + 1,
            skipped: self.skipped + before.skipped,
            ..self
        }
    }

    /// Whether the record of the run is complete, where `events` are kept of it, with `gaps`
    /// between them.
    #[must_use]
    pub fn is_complete(&self, events: u64, gaps: u64) -> bool {
        let [critical, bulk] = self.rings.map(|ring| Books {
            generated: ring.generated,
            delivered: ring.delivered,
            lost: ring.lost,
            throttled: ring.throttled,
        });
        let record = Record {
            critical,
            bulk,
            ended: self.ended_unix_ns.is_some(),
            interruptions: self.interruptions.into(),
            without_record: self.counts.untold,
            skipped: self.skipped,
            kept: Kept { events: Some(events), gaps, ..Kept::default() },
        };
        record.is_complete()
    }
}
