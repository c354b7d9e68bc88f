//! `GET /api/v1/events`

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_proto::{
    ocsf::{self, HostContext},
    v1,
};
use serde::Serialize;
use serde_json::Value;
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

pub(crate) const EVENTS: Listing = Listing {
    name: "events",
    about: "What runs did, as OCSF events.",
    letter: 'e',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL, key::CLASS],
};

listed! {
    struct EventRow of "listed_events" {
        sensor: String,
        host: String,
        version: String,
        boot_id: String,
        body: Vec<u8>,
        /// Of the run, encoded.
        container: Option<Vec<u8>>,
    }
}

/// An OCSF event of the class that `class_uid` names.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
struct OcsfEvent(Value);

pub(super) fn entry() -> Entry {
    Entry::listing::<OcsfEvent, _, _>(&EVENTS, list)
}

async fn list(_: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    EVENTS.answer(&api, pairs, show).await
}

fn show(row: EventRow) -> Result<OcsfEvent, DecodeError> {
    let container = row.container.as_deref().map(v1::Container::decode).transpose()?;
    let host = HostContext {
        sensor: &row.sensor,
        version: &row.version,
        host: &row.host,
        boot_id: &row.boot_id,
        container: container.as_ref(),
    };
    let event = v1::Event::decode(row.body.as_slice())?;
    Ok(OcsfEvent(ocsf::event(&event, &host)))
}
