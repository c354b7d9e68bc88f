//! `GET /api/v1/runs`

use axum::{extract::State, response::Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::{
    answer::ApiError,
    entry::Entry,
    key,
    listing::{Listing, QueryPairs},
    render::{self, RunRow},
    right::{May, Read},
    state::Api,
};

pub(crate) const RUNS: Listing = Listing {
    name: "runs",
    about: "Runs in their newest state, each with whether all of it is here.",
    letter: 'r',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL],
};

#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
struct Run(Value);

pub(super) fn entry() -> Entry {
    Entry::listing::<Run, _, _>(&RUNS, list)
}

async fn list(_: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    let registry = api.registry.clone();
    let show = move |row: RunRow| render::run(&row, registry.connected(&row.sensor)).map(Run);
    RUNS.answer(&api, pairs, show).await
}
