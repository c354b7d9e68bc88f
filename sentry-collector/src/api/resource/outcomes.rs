//! `GET /api/v1/outcomes`

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_proto::v1;
use sentry_view::CollectedOutcome;

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

pub(crate) const OUTCOMES: Listing = Listing {
    name: "outcomes",
    about: "What became of decisions, as verified afterwards.",
    letter: 'o',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL],
};

listed! {
    pub(super) struct OutcomeRow of "listed_outcomes" {
        pub(super) id: i64,
        sensor: String,
        body: Vec<u8>,
    }
}

pub(super) fn entry() -> Entry {
    Entry::listing::<CollectedOutcome, _, _>(&OUTCOMES, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    OUTCOMES.answer(&api, &may, pairs, show).await
}

pub(super) fn show(row: OutcomeRow) -> Result<CollectedOutcome, DecodeError> {
    let outcome = (&v1::Outcome::decode(row.body.as_slice())?).into();
    Ok(CollectedOutcome { outcome, sensor: row.sensor })
}
