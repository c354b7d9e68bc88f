//! `GET /api/v1/gaps`

use std::collections::BTreeMap;

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_proto::v1;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        answer::ApiError,
        entry::Entry,
        key,
        listing::{Listing, QueryPairs},
        right::{May, Read},
        state::Api,
    },
    store::listed,
};

pub(crate) const GAPS: Listing = Listing {
    name: "gaps",
    about: "Positions of a feed that are gone for ever.",
    letter: 'g',
    keys: &[key::RUN_OF_GAP, key::SENSOR, key::SINCE, key::UNTIL],
};

listed! {
    struct GapRow of "listed_gaps" {
        id: i64,
        sensor: String,
        epoch: String,
        first: i64,
        last: i64,
        cut: bool,
        time_ms: i64,
        body: Vec<u8>,
    }
}

#[derive(Serialize, ToSchema)]
struct Gap {
    id: String,
    sensor: String,
    epoch: String,
    first: i64,
    last: i64,
    lost: i64,
    reason: String,
    /// Lost items of each run that the sensor could name.
    items_by_run: BTreeMap<String, u64>,
    /// Not exact where a part of the gap as sent had been stored before.
    items_by_run_exact: bool,
    received_ms: i64,
}

pub(super) fn entry() -> Entry {
    Entry::listing::<Gap, _, _>(&GAPS, list)
}

async fn list(may: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    GAPS.answer(&api, &may, pairs, show).await
}

fn show(row: GapRow) -> Result<Gap, DecodeError> {
    let gap = v1::Gap::decode(row.body.as_slice())?;
    Ok(Gap {
        id: format!("g-{}", row.id),
        sensor: row.sensor,
        epoch: row.epoch,
        first: row.first,
        last: row.last,
        lost: row.last - row.first + 1,
        reason: gap.reason,
        items_by_run: gap.items_by_run.into_iter().collect(),
        items_by_run_exact: !row.cut,
        received_ms: row.time_ms,
    })
}
