//! The stages between the ring and the journal, each on a thread of its own, joined by bounded
//! queues.
//!
//! ```text
//! ring thread → [a queue for each run] → analyse → [journal]
//!                                            └─→ [files] → hash (what was in executed files, where it is asked for)
//!                  analyse → [asked] → select: cgroups that may be an agent's → runs
//!                    watch (every 100 ms: kernel counters) → [cases] → act → ledger, [journal]
//!                    reconcile (every 100 ms: what the kernel did not report; every second: what runs hold)
//!                    moved (every 100 ms: bytes that busy runs read and wrote)
//!                    learn (every second: what is normal for the agent of each run) → [cases]
//! ```
//!
//! `watch` waits for neither of the others: a flood of records that keeps the journal busy cannot
//! delay a stop, nor can a look at all tasks of the machine.

pub mod analyse;

pub mod hash_queue;

pub mod hash;

pub mod select;

pub mod watch;

pub mod counted;

pub mod act;

pub mod by_hand;

mod holds;

pub mod reconcile;

pub mod moved;

pub mod learn;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use sentry_service::progress::Progress;

/// What a stage did; read by the status endpoint and the watchdog.
#[derive(Debug, Default)]
pub struct StageStats {
    /// Marked by the stage when it takes something, and when it waits for the next.
    pub progress: Arc<Progress>,
    pub handled: AtomicU64,
    /// Unwanted losses of this stage.
    pub lost: AtomicU64,
    ended: AtomicBool,
}

impl StageStats {
    pub fn handled(&self, count: u64) {
        self.handled.fetch_add(count, Ordering::Relaxed);
    }

    pub fn lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }
}
