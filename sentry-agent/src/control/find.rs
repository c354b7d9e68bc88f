//! The run that a caller means: by its id, the beginning of one, or its agent.

use std::sync::Arc;

use sentry_proto::v1;
use tonic::Status;

use crate::{
    journal::JournalHandle,
    runs::{Registry, Run, RunError, name::named},
};

/// The live run that is to be acted on. One that has ended is another error than one that nobody
/// knows.
pub(super) async fn live_run(
    registry: &Registry,
    journal: &JournalHandle,
    target: &str,
) -> Result<Arc<Run>, Status> {
    match registry.find(target) {
        Err(RunError::Unknown { .. }) => {
            let run = find(registry, journal, target).await?.id;
            Err(RunError::Ended { run }.into())
        }
        found => Ok(found?),
    }
}

/// The newest state of a live or stored run. Live runs go before ended ones, a full id before
/// everything.
pub(super) async fn find(
    registry: &Registry,
    journal: &JournalHandle,
    target: &str,
) -> Result<v1::Run, Status> {
    if let Some(run) = registry.live().into_iter().find(|run| run.id.0 == target) {
        return Ok(run.wire());
    }
    // A run that ends in between is found here.
    if let Some(run) = journal.run(target.to_owned()).await? {
        return Ok(run);
    }
    // A run that has just ended is in the journal's queue.
    if uuid::Uuid::try_parse(target).is_ok()
        && journal.flush().await.is_ok()
        && let Some(run) = journal.run(target.to_owned()).await?
    {
        return Ok(run);
    }
    match registry.find(target) {
        Ok(run) => return Ok(run.wire()),
        Err(RunError::Unknown { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let runs = journal.run_names().await?;
    // Of an agent's ended runs the newest is meant; they come oldest first.
    let of_agent = runs.iter().rev().find(|(_, agent)| agent == target);
    let id = match of_agent {
        Some((id, _)) => id.clone(),
        None => runs[named(target, runs.iter().map(|(id, _)| (id.as_str(), "")))?].0.clone(),
    };
    let run = journal.run(id).await?;
    run.ok_or_else(|| RunError::Unknown { target: target.to_owned() }.into())
}
