//! `GET /api/v1/findings`

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_proto::{
    ocsf::{self, HostContext},
    v1,
};
use serde::Serialize;
use serde_json::{Value, json};
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
    store::{Cell, FindingState, Listed, listed},
};

pub(crate) const FINDINGS: Listing = Listing {
    name: "findings",
    about: "Findings, as OCSF detection findings (class 2004).",
    letter: 'f',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL, key::SEVERITY, key::STATE],
};

listed! {
    pub(super) struct FindingRow of "listed_findings" {
        pub(super) id: i64,
        sensor: String,
        host: String,
        version: String,
        boot_id: String,
        pub(super) body: Vec<u8>,
        state: i64,
        assignee: Option<String>,
        suppression: Option<i64>,
        triaged_ms: Option<i64>,
        /// Of the run, encoded.
        container: Option<Vec<u8>>,
    }
}

/// A finding, in the order of the newest states; its `id` is the number of its state.
#[derive(Debug)]
pub(super) struct ChangedRow(pub(super) FindingRow);

impl Listed for ChangedRow {
    const RELATION: &'static str = "changed_findings";
    const COLUMNS: &'static [&'static str] = FindingRow::COLUMNS;

    fn read(next: impl FnMut() -> Cell) -> Result<Self, &'static str> {
        FindingRow::read(next).map(Self)
    }
}

/// An OCSF detection finding, class 2004. What people made of it is its `status`, and exactly
/// `unmapped.triage`: `state` (open, acknowledged, resolved or suppressed), `assignee`,
/// `changed_ms` (of the last act or comment) and `suppression` (the id of the one that suppressed
/// it).
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
    let mut shown = ocsf::finding(&(&finding).into(), &host);
    let state = FindingState::stored(row.state).unwrap_or(FindingState::Open);
    let (status_id, status) = status(state);
    shown["status_id"] = status_id.into();
    shown["status"] = status.into();
    shown["unmapped"]["triage"] = json!({
        "state": state.name(),
        "assignee": row.assignee,
        "changed_ms": row.triaged_ms,
        "suppression": row.suppression,
    });
    Ok(OcsfFinding(shown))
}

/// As OCSF has it.
fn status(state: FindingState) -> (u8, &'static str) {
    match state {
        FindingState::Open => (1, "New"),
        FindingState::Acknowledged => (2, "In Progress"),
        FindingState::Suppressed => (3, "Suppressed"),
        FindingState::Resolved => (4, "Resolved"),
    }
}
