//! What one sensor life leaves to the next: the runs as they were last told, and taking them up again.

use std::{sync::Arc, time::Duration};

use sentry_proto::v1::{self, item::Item as Kind};

use super::notify::notify;
use crate::{
    enrich::clock::unix_ns,
    error_chain,
    journal::{JournalError, JournalHandle},
    runs::Registry,
};

/// Time between two tellings of a run whose counters change. What a sensor that is killed has counted since is unknown
/// to the next one.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Tells the journal of every run that has changed, again and again.
pub(super) async fn keep_telling(registry: Arc<Registry>, journal: JournalHandle) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        tell(&registry, &journal).await;
    }
}

/// Tells the journal of every live run that has changed since it was last told of.
pub(super) async fn tell(registry: &Arc<Registry>, journal: &JournalHandle) {
    let (registry, journal) = (Arc::clone(registry), journal.clone());
    // On a thread that may wait for room: a run must not be lost in a flood of its own events.
    let telling = tokio::task::spawn_blocking(move || {
        for run in registry.live() {
            if registry.read(&run).is_some() {
                run.tell(|run| {
                    let _writer_ended = journal.submit_waiting(v1::Item { item: Some(Kind::Run(run)) });
                });
            }
        }
    });
    if let Err(error) = telling.await {
        tracing::error!(%error, "cannot tell of the runs");
    }
}

/// The runs that stand frozen now.
fn frozen(registry: &Registry) -> Vec<String> {
    let live = registry.live().into_iter();
    live.filter(|run| run.state().state == v1::RunState::Frozen).map(|run| run.id.0.clone()).collect()
}

/// For the service manager, while the sensor serves.
pub(super) fn standing(registry: &Registry) -> String {
    match frozen(registry).as_slice() {
        [] => "serving".into(),
        [run] => format!("serving; run {run} is still frozen, `sentry thaw {run}` lets it go on"),
        runs => format!("serving; {} runs are still frozen, `sentry agents` lists them", runs.len()),
    }
}

/// Says which runs stay frozen while the sensor is away: to let them go on unwatched would undo
/// what stopped them.
pub(super) fn leave_frozen(registry: &Registry) {
    let frozen = frozen(registry);
    for run in &frozen {
        tracing::warn!(run.id = run, "run stays frozen; start the sensor and thaw or kill it");
    }
    let status = match frozen.as_slice() {
        [] => return,
        [run] => format!("run {run} stays frozen; start the sensor, then `sentry thaw {run}` lets it go on"),
        runs => format!(
            "{} runs stay frozen; start the sensor, then `sentry thaw RUN` lets one go on, `sentry agents` lists them",
            runs.len()
        ),
    };
    notify(&format!("STATUS={status}"));
}

/// Takes up the runs that still have processes, ends the others in the books, and sweeps up the canaries.
///
/// # Errors
/// When the journal cannot be read.
pub(super) async fn take_up(registry: &Arc<Registry>, journal: &JournalHandle) -> Result<(), JournalError> {
    registry.sweep_canaries();
    for stored in journal.runs(false).await? {
        let id = stored.id.clone();
        let run = match registry.adopt(stored.clone()) {
            Ok(run) => {
                tracing::info!(run.id = id, "run of an earlier sensor life is watched again");
                run.wire()
            }
            Err(error) => {
                tracing::info!(run.id = id, reason = %error_chain(&error), "run of an earlier sensor life is over");
                v1::Run {
                    state: v1::RunState::Ended.into(),
                    ended_unix_ns: Some(unix_ns()),
                    interruptions: stored.interruptions + 1,
                    ..stored
                }
            }
        };
        // A full queue is counted there and covered by a Gap.
        let _counted_there = journal.submit(v1::Item { item: Some(Kind::Run(run)) });
    }
    Ok(())
}
