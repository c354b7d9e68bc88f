//! Every `PERIOD`: what the kernel did not report. Tasks that entered a run unreported are tagged;
//! every `SWEEP`, members whose end was not reported are taken out; where no run has been for a
//! while the programs are detached; and every second it is looked at what the runs hold (`holds`).
//!
//! Each may take long (the kernel is asked about every task, or waits for every processor): so it
//! is not the thread that reads the counters and has runs stopped.

use std::time::{Duration, Instant};

use sentry_common::table::RunTag;
use sentry_detect::run::ProcessKey;
use sentry_service::error_chain;
use tokio_util::sync::CancellationToken;

use super::{StageStats, holds::Look};
use crate::runs::Registry;

/// Time between two looks at what is wanted.
const PERIOD: Duration = Duration::from_millis(100);
/// Time between two looks for members whose birth or end was not reported.
const SWEEP: Duration = Duration::from_secs(10);
/// Members looked at before the next look at what is wanted.
const SWEEP_PART: usize = 256;

/// Runs until cancelled.
pub fn run(registry: &Registry, stats: &StageStats, token: &CancellationToken) {
    let clock = registry.clock();
    let mut sweep = Sweep::new(registry);
    while !token.is_cancelled() {
        stats.progress.begin();
        let next = clock.now() + PERIOD;
        sweep.pass(registry);
        stats.handled(1);
        clock.sleep_until(next);
    }
}

/// Looks for members whose birth or end no program was called for.
pub(crate) struct Sweep {
    due: Instant,
    skipped: Option<u64>,
    /// Not yet looked at.
    members: Vec<(RunTag, ProcessKey)>,
    look: Look,
}

impl Sweep {
    pub(crate) fn new(registry: &Registry) -> Self {
        let due = registry.clock().now() + SWEEP;
        Self { due, skipped: registry.skipped(), members: Vec::new(), look: Look::new(registry) }
    }

    /// One look at what is wanted.
    pub(crate) fn pass(&mut self, registry: &Registry) {
        self.go_on(registry);
        if let Err(error) = registry.seed_if_wanted() {
            tracing::error!(error = %error_chain(&error), "cannot look for untagged tasks of runs");
        }
        self.look.pass(registry);
        registry.rest();
    }

    /// A part of it, so that a process that entered with threads is not kept waiting for its seed.
    fn go_on(&mut self, registry: &Registry) {
        let now = registry.clock().now();
        if now >= self.due && !registry.live().is_empty() {
            self.due = now + SWEEP;
            self.members = registry.all_members();
            // A process whose birth was not reported sits in a run's cgroup without a tag.
            let skipped = registry.skipped();
            if skipped != self.skipped {
                self.skipped = skipped;
                registry.want_seed();
            }
        }
        let part = self.members.len().saturating_sub(SWEEP_PART);
        for (tag, process) in self.members.drain(part..) {
            registry.take_out_if_gone(tag, process);
        }
    }
}
