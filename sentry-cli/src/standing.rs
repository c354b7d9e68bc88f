//! Asking how far agents can be trusted.

use std::collections::BTreeSet;

use sentry_proto::v1;
use sentry_view::{Run, Standing};
use tonic::Code;

use super::{client::Client, error::CliError};

/// Of these agents, as far as something was learned of them; of none where the sensor does not
/// learn, or is of an earlier version.
pub(super) async fn standings(client: &mut Client, agents: Vec<String>) -> Result<Vec<Standing>, CliError> {
    match client.standing(v1::StandingRequest { agents }).await {
        Ok(reply) => Ok(reply.into_inner().agents.iter().map(Standing::from).collect()),
        Err(status) if status.code() == Code::Unimplemented => Ok(Vec::new()),
        Err(status) => Err(status.into()),
    }
}

/// The same, of the agents that these are runs of.
pub(super) async fn of_runs(client: &mut Client, runs: &[Run]) -> Result<Vec<Standing>, CliError> {
    let names = runs.iter().filter_map(|run| run.agent.as_ref()).map(|agent| agent.name.clone());
    let names: BTreeSet<String> = names.collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    standings(client, names.into_iter().collect()).await
}
