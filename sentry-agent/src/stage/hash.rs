//! Executed files → what was in them, for the run's list. Apart from the other stages, which must
//! not wait for a file.

use std::{
    thread,
    time::{Duration, Instant},
};

use sentry_common::abi::ring;
use tokio_util::sync::CancellationToken;

use super::{
    StageStats,
    hash_queue::{Request, Requests},
};
use crate::{
    digest::{Basis, Content, Executed, Proven, Readers, Unknown},
    runs::{Registry, Run},
};

/// Longest wait for the records before a moment; they are analysed within milliseconds.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Runs until the queue is closed and empty. Once cancelled, what still waits is not read.
pub fn run(requests: &Requests, registry: &Registry, stats: &StageStats, token: &CancellationToken) {
    let mut readers = Readers::default();
    while let Some(Request { run, executed }) = requests.next() {
        stats.progress.begin();
        let content = if token.is_cancelled() { None } else { readers.content(&executed) };
        match content {
            Some(proven) => {
                let content = proven.and_then(|proven| confirmed(proven, &executed, &run, registry));
                run.executed(|files| files.came(&executed, content));
                stats.handled(1);
            }
            None => {
                run.executed(|files| files.does_not_come(&executed));
                stats.lost(1);
            }
        }
        stats.progress.rest();
    }
}

/// A process that has executed something since may have executed the same file again, changed in
/// between: so everything that the kernel has recorded of the run has to be known first.
fn confirmed(
    proven: Proven,
    executed: &Executed,
    run: &Run,
    registry: &Registry,
) -> Result<Content, Unknown> {
    match proven.basis {
        Basis::Time => Ok(proven.content),
        Basis::Process if is_caught_up(run, registry) && run.executed(|files| files.is_latest(executed)) => {
            Ok(proven.content)
        }
        Basis::Process => Err(Unknown::Unconfirmed),
    }
}

/// Waits until the records of process life that the kernel has made of the run are analysed. False
/// where one is missing.
fn is_caught_up(run: &Run, registry: &Registry) -> bool {
    if !registry.read(run) {
        return false;
    }
    let then = run.rings()[ring::CRITICAL];
    let end = Instant::now() + CATCH_UP;
    while run.rings()[ring::CRITICAL].delivered < then.generated {
        if then.missing() > 0 || Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK_EVERY);
    }
    true
}
