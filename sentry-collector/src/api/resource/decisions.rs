//! `GET /api/v1/decisions`

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_proto::v1;
use sentry_view::CollectedDecision;

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

pub(crate) const DECISIONS: Listing = Listing {
    name: "decisions",
    about: "What was decided about runs, and why.",
    letter: 'd',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL],
};

listed! {
    pub(super) struct DecisionRow of "listed_decisions" {
        pub(super) id: i64,
        sensor: String,
        body: Vec<u8>,
    }
}

pub(super) fn entry() -> Entry {
    Entry::listing::<CollectedDecision, _, _>(&DECISIONS, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    DECISIONS.answer(&api, &may, pairs, show).await
}

pub(super) fn show(row: DecisionRow) -> Result<CollectedDecision, DecodeError> {
    let decision = (&v1::Decision::decode(row.body.as_slice())?).into();
    Ok(CollectedDecision { decision, sensor: row.sensor })
}
