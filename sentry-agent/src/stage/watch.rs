//! Every [`PERIOD`]: the kernel's counters of each run → findings → decisions; and the end of runs
//! that are over.

use std::{sync::Arc, time::Duration};

use sentry_detect::{
    rule::MOST_FINDINGS,
    run::{Input, Output, machine::Over},
};
use sentry_kernel::cgroup::CpuTime;
use sentry_rules::MOST_AT_ONCE;
use sentry_service::error_chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{StageStats, act::Case};
use crate::runs::{NEVER_ENTERED, Registry, Run};

/// Time between two readings of the counters.
pub const PERIOD: Duration = Duration::from_millis(100);
/// Most findings of one reading.
pub(crate) const MOST: usize = MOST_FINDINGS + MOST_AT_ONCE;
/// A reading that comes this much later than it should is logged: a run that ran away meanwhile was
/// not stopped.
const LATE: Duration = Duration::from_secs(1);
/// Longest wait for the last records of a run to come out of the rings; its books stay open beyond
/// it, which its report shows.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until cancelled.
pub fn run(registry: &Registry, cases: &mpsc::Sender<Case>, stats: &StageStats, token: &CancellationToken) {
    let clock = registry.clock();
    let mut next = clock.now();
    while !token.is_cancelled() {
        stats.progress.begin();
        let late = clock.since(next);
        if late > LATE {
            tracing::warn!(late_ms = late.as_millis(), "the counters of the runs are read late");
        }
        next = clock.now() + PERIOD;
        pass(registry, cases, stats);
        stats.handled(1);
        clock.sleep_until(next);
    }
}

/// Reads the counters of each run once.
pub(crate) fn pass(registry: &Registry, cases: &mpsc::Sender<Case>, stats: &StageStats) {
    for run in registry.live() {
        read(registry, &run, cases, stats);
    }
}

fn read(registry: &Registry, run: &Arc<Run>, cases: &mpsc::Sender<Case>, stats: &StageStats) {
    if !registry.read(run) {
        return;
    }
    let cpu = run.cgroup.cpu_time().unwrap_or_else(|error| {
        // A removed cgroup uses nothing more; the run ends below.
        if !error.is_gone() {
            tracing::error!(error = %error_chain(&error), run.id = %run.id, "cannot read run cpu time");
        }
        CpuTime::default()
    });
    let usage = run.usage(cpu);
    // Before the reading: what a closed book holds, the detector has seen, and its findings come
    // before the end.
    let settled = run.is_settled();
    // Room first: what is found and decided is acted on. Without room it is found at a later
    // reading.
    let room = cases.try_reserve_many(MOST).ok();
    if room.is_none() {
        stats.lost(1);
    }
    let reading = Input::Reading { usage, room: room.is_some() };
    run.step_and_queue(reading, |outputs| {
        for (output, place) in outputs.into_iter().zip(room.into_iter().flatten()) {
            match output {
                Output::Found { finding, decisions } => {
                    let finding = Some(finding);
                    place.send(Case::Decided { run: Arc::clone(run), finding, decisions, reply: None });
                }
                // A reading decides on findings alone, and ends nothing.
                Output::Decided(_) | Output::LeftFrozen | Output::Close => {}
            }
        }
    });
    let is_over = is_over(registry, run) && (settled || run.over_for() > DRAIN);
    // Once: it waits in the queue like any other case. A full queue takes it at a later reading.
    if is_over && run.ask_for_end() {
        let case = Case::Over { run: Arc::clone(run), over: Over::Empty };
        if cases.try_send(case).is_err() {
            run.end_not_asked();
        }
    }
}

/// The run has no members left and will get none.
fn is_over(registry: &Registry, run: &Run) -> bool {
    let may_come = !run.was_entered() && registry.clock().since(run.registered) < NEVER_ENTERED;
    !run.is_ended() && !may_come && registry.is_empty(run)
}
