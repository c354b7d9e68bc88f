//! `GET /api/v1/agents`

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        answer::ApiError,
        entry::Entry,
        key,
        listing::{Listing, QueryPairs},
        right::{May, ReadOwn},
        state::Api,
    },
    store::listed,
};

pub(crate) const AGENTS: Listing = Listing {
    name: "agents",
    about: "Agents that runs were reported of.",
    letter: 'a',
    keys: &[key::AGENT, key::SINCE, key::UNTIL],
};

listed! {
    struct AgentRow of "listed_agents" {
        agent: String,
        name: String,
        first_seen_ms: i64,
        last_seen_ms: i64,
        runs: i64,
        runs_live: i64,
        findings: i64,
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AgentSummary)]
struct Agent {
    id: String,
    name: String,
    first_seen_ms: i64,
    last_seen_ms: i64,
    runs: i64,
    /// Runs that have not ended.
    runs_live: i64,
    findings: i64,
}

pub(super) fn entry() -> Entry {
    Entry::listing::<Agent, _, _>(&AGENTS, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    AGENTS.answer(&api, &may, pairs, |row| Ok(show(row))).await
}

fn show(row: AgentRow) -> Agent {
    Agent {
        id: row.agent,
        name: row.name,
        first_seen_ms: row.first_seen_ms,
        last_seen_ms: row.last_seen_ms,
        runs: row.runs,
        runs_live: row.runs_live,
        findings: row.findings,
    }
}
