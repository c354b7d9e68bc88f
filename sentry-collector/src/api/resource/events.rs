//! `GET /api/v1/events`

use axum::{extract::State, response::Response};
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
        right::{May, ReadOwn},
        state::Api,
    },
    store::Source,
};

pub(crate) const EVENTS: Listing = Listing {
    name: "events",
    about: "What runs did, as OCSF events.",
    letter: 'e',
    keys: &[
        key::RUN,
        key::AGENT,
        key::SENSOR,
        key::SINCE,
        key::UNTIL,
        key::CLASS,
        key::ID,
        key::PATH,
        key::PROGRAM,
        key::DESTINATION,
        key::TYPE,
        key::PID,
        key::UID,
        key::LIBRARIES,
    ],
};

/// An OCSF event of the class that `class_uid` names.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
struct OcsfEvent(Value);

pub(super) fn entry() -> Entry {
    Entry::listing::<OcsfEvent, _, _>(&EVENTS, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    EVENTS.answer_events(&api, &may, pairs, show).await
}

fn show(source: &Source, event: &v1::Event) -> OcsfEvent {
    let host = HostContext {
        sensor: &source.sensor,
        version: &source.version,
        host: &source.host,
        boot_id: &source.boot_id,
        container: source.container.as_ref(),
    };
    OcsfEvent(ocsf::event(event, &host))
}
