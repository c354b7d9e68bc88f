//! `GET /api/v1/sessions`

use axum::{extract::State, response::Response};
use prost::DecodeError;
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

const SESSIONS: Listing = Listing {
    name: "sessions",
    about: "What sensors said of themselves, each time that it was something else: upgrades, boots, tiers.",
    letter: 'n',
    keys: &[key::SENSOR, key::SINCE, key::UNTIL],
};

listed! {
    struct SessionRow of "listed_sessions" {
        sensor: String,
        epoch: String,
        host: String,
        version: String,
        boot_id: String,
        tier: String,
        /// A JSON array of texts.
        limits: String,
        time_ms: i64,
    }
}

#[derive(Serialize, ToSchema)]
struct Session {
    sensor: String,
    epoch: String,
    host: String,
    version: String,
    boot_id: String,
    tier: String,
    /// What it cannot see or do; null where that was not stored.
    limits: Option<Vec<String>>,
    began_ms: i64,
}

pub(super) fn entry() -> Entry {
    Entry::listing::<Session, _, _>(&SESSIONS, list)
}

async fn list(may: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    SESSIONS.answer(&api, &may, pairs, show).await
}

fn show(row: SessionRow) -> Result<Session, DecodeError> {
    let SessionRow { sensor, epoch, host, version, boot_id, tier, limits, time_ms } = row;
    let limits = serde_json::from_str(&limits).unwrap_or(None);
    Ok(Session { sensor, epoch, host, version, boot_id, tier, limits, began_ms: time_ms })
}
