//! `GET /api/v1/findings`

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
        right::{May, ReadOwn},
        state::Api,
    },
    store::listed,
};

pub(crate) const FINDINGS: Listing = Listing {
    name: "findings",
    about: "Findings, as OCSF detection findings (class 2004).",
    letter: 'f',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL, key::SEVERITY],
};

listed! {
    pub(super) struct FindingRow of "listed_findings" {
        pub(super) id: i64,
        sensor: String,
        host: String,
        version: String,
        boot_id: String,
        pub(super) body: Vec<u8>,
        /// Of the run, encoded.
        container: Option<Vec<u8>>,
    }
}

/// An OCSF detection finding, class 2004.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(super) struct OcsfFinding(Value);

pub(super) fn entry() -> Entry {
    Entry::listing::<OcsfFinding, _, _>(&FINDINGS, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    FINDINGS.answer(&api, &may, pairs, show).await
}

pub(super) fn show(row: FindingRow) -> Result<OcsfFinding, DecodeError> {
    let container = row.container.as_deref().map(v1::Container::decode).transpose()?;
    let host = HostContext {
        sensor: &row.sensor,
        version: &row.version,
        host: &row.host,
        boot_id: &row.boot_id,
        container: container.as_ref(),
    };
    let finding = v1::Finding::decode(row.body.as_slice())?;
    Ok(OcsfFinding(ocsf::finding(&(&finding).into(), &host)))
}
