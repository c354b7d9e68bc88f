//! Runs that an earlier sensor life left behind.

use std::sync::Arc;

use sentry_proto::v1::{self, item::Item as Kind};

use crate::{
    enrich::clock::unix_ns,
    error_chain,
    journal::{JournalError, JournalHandle},
    runs::Registry,
};

/// Takes up the runs that still have processes, and ends the others in the books.
///
/// # Errors
/// When the journal cannot be read.
pub(super) async fn take_up(registry: &Arc<Registry>, journal: &JournalHandle) -> Result<(), JournalError> {
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
