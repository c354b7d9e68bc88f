//! Every [`PERIOD`]: the kernel's counters of each run → findings → decisions; and the end of runs that are over.

use std::{sync::Arc, time::Duration};

use sentry_detect::rule::MOST_FINDINGS;
use sentry_kernel::cgroup::CpuTime;
use sentry_proto::v1;
use sentry_service::error_chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{StageStats, act::Case};
use crate::runs::{Registry, Run, run::counters};

/// Time between two readings of the counters.
pub const PERIOD: Duration = Duration::from_millis(100);
/// A reading that comes this much later than it should is told of: a run that ran away meanwhile was not stopped.
const LATE: Duration = Duration::from_secs(1);
/// A run nobody entered is given up after this time.
pub const NEVER_ENTERED: Duration = Duration::from_secs(60);
/// Longest wait for the last records of a run to come out of the rings; its books stay open beyond it, and say so.
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
pub(super) fn pass(registry: &Registry, cases: &mpsc::Sender<Case>, stats: &StageStats) {
    for run in registry.live() {
        read(registry, &run, cases, stats);
    }
}

fn read(registry: &Registry, run: &Arc<Run>, cases: &mpsc::Sender<Case>, stats: &StageStats) {
    let Some(block) = registry.read(run) else { return };
    let cpu = run.cgroup.cpu_time().unwrap_or_else(|error| {
        // A removed cgroup uses nothing more; the run ends below.
        if !error.is_gone() {
            tracing::error!(error = %error_chain(&error), run.id = %run.id, "cannot read run cpu time");
        }
        CpuTime::default()
    });
    let moved_bytes = run.moved.reading(cpu.usage_usec);
    // Before the reading: what a closed book holds, the detector has seen, and its findings come before the end.
    let closed = run.books_closed(&block) && run.executed().is_settled();
    let now = registry.clock().unix_ns();
    let counters = counters(&block, cpu, moved_bytes);
    // Room first: what is found and decided is acted on. Without room it is found at a later reading.
    match cases.try_reserve_many(MOST_FINDINGS) {
        Ok(room) => {
            let findings = run.detector().reading(now, counters);
            for (finding, place) in findings.into_iter().zip(room) {
                run.found();
                let decisions = run.decider().on_finding(&finding, now);
                let finding = Some(Box::new(finding));
                place.send(Case::Decided { run: Arc::clone(run), finding, decisions, reply: None });
            }
        }
        Err(_full) => {
            run.detector().record(now, counters);
            stats.lost(1);
        }
    }
    let is_over = is_over(registry, run, &block) && (closed || run.over_for() > DRAIN);
    // Once: it waits in the queue like any other case. A full queue takes it at a later reading.
    if is_over && run.ask_for_end() && cases.try_send(Case::Over { run: Arc::clone(run) }).is_err() {
        run.end_not_asked();
    }
}

/// No member is left and none will come: the run's own cgroup is empty, or the tagged one is gone.
fn is_over(registry: &Registry, run: &Run, block: &sentry_common::counter::RunBlock) -> bool {
    if run.state().state == v1::RunState::Ended {
        return false;
    }
    let entered = block.processes_born + block.processes_entered;
    // One that was taken up had somebody in it, who may have gone before the kernel could count
    // them.
    if entered == 0 && !run.is_taken_up() && registry.clock().since(run.registered) < NEVER_ENTERED {
        return false;
    }
    // What the kernel says now, not what the counters add up to: one miscounted process must not keep a run for ever.
    let empty = if run.owned {
        run.cgroup.populated().is_ok_and(|populated| !populated)
    } else {
        run.cgroup.events().is_err_and(|error| error.is_gone())
    };
    empty && !registry.has_members(run)
}
