//! `GET /api/v1/sensors`

use axum::{extract::State, response::Response};
use prost::DecodeError;
use serde::{Deserialize, Serialize};
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

pub(crate) const SENSORS: Listing = Listing {
    name: "sensors",
    about: "Sensors that have proven who they are, with what they said last of themselves.",
    letter: 's',
    keys: &[key::SINCE, key::UNTIL],
};

listed! {
    struct SensorRow of "listed_sensors" {
        sensor: String,
        host: String,
        version: String,
        boot_id: String,
        tier: String,
        /// A JSON array of texts.
        limits: String,
        first_seen_ms: i64,
        last_seen_ms: i64,
        /// A JSON array of [`Epoch`]s.
        epochs: String,
    }
}

#[derive(Serialize, ToSchema)]
struct Sensor {
    id: String,
    /// Whether it has a live stream.
    connected: bool,
    host: String,
    version: String,
    boot_id: String,
    tier: String,
    /// What it cannot see or do; null where that was not stored.
    limits: Option<Vec<String>>,
    first_seen_ms: i64,
    last_seen_ms: i64,
    /// The eight newest, newest first.
    epochs: Vec<Epoch>,
}

/// Positions without a hole: a sensor begins a new epoch when it loses its spool.
#[derive(Deserialize, Serialize, ToSchema)]
struct Epoch {
    epoch: String,
    /// Everything up to this position is stored.
    acked: i64,
    /// Positions that gaps declared lost.
    lost: i64,
    began_ms: i64,
}

pub(super) fn entry() -> Entry {
    Entry::listing::<Sensor, _, _>(&SENSORS, list)
}

async fn list(may: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    let registry = api.registry.clone();
    SENSORS.answer(&api, &may, pairs, move |row| show(row, |sensor| registry.connected(sensor))).await
}

fn show(row: SensorRow, connected: impl Fn(&str) -> bool) -> Result<Sensor, DecodeError> {
    Ok(Sensor {
        connected: connected(&row.sensor),
        id: row.sensor,
        host: row.host,
        version: row.version,
        boot_id: row.boot_id,
        tier: row.tier,
        limits: serde_json::from_str(&row.limits).unwrap_or(None),
        first_seen_ms: row.first_seen_ms,
        last_seen_ms: row.last_seen_ms,
        epochs: serde_json::from_str(&row.epochs).unwrap_or_default(),
    })
}
