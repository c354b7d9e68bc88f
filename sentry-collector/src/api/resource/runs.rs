//! `GET /api/v1/runs`

use std::sync::Arc;

use axum::{extract::State, response::Response};
use prost::{DecodeError, Message as _};
use sentry_detect::completeness::{Kept, Record};
use sentry_proto::{convert, v1};
use sentry_view::{CollectedRun, Run, Stored};

use crate::{
    api::{
        answer::ApiError,
        entry::Entry,
        key,
        listing::{Listing, QueryPairs},
        right::{May, ReadOwn},
        state::Api,
    },
    store::{Cell, Listed, listed},
};

pub(crate) const RUNS: Listing = Listing {
    name: "runs",
    about: "Runs in their newest state, each with whether all of it is here.",
    letter: 'r',
    keys: &[key::RUN, key::AGENT, key::SENSOR, key::SINCE, key::UNTIL],
};

listed! {
    pub(super) struct RunRow of "listed_runs" {
        pub(super) id: i64,
        pub(super) sensor: String,
        host: String,
        pub(super) body: Vec<u8>,
        updated_ms: i64,
        events_stored: i64,
        findings_stored: i64,
        /// Items of the run that gaps name as lost.
        lost_items: i64,
        /// Lost items, of this sensor while the run lived, of which nobody knows the run.
        lost_unnamed: i64,
        pruned: i64,
        /// The sensor lost its spool while the run lived.
        spool_lost: bool,
    }
}

/// A run, in the order of the newest states; its `id` is the number of its state.
#[derive(Debug)]
pub(super) struct ChangedRow(pub(super) RunRow);

impl Listed for ChangedRow {
    const RELATION: &'static str = "changed_runs";
    const COLUMNS: &'static [&'static str] = RunRow::COLUMNS;

    fn read(next: impl FnMut() -> Cell) -> Result<Self, &'static str> {
        RunRow::read(next).map(Self)
    }
}

pub(super) fn entry() -> Entry {
    Entry::listing::<CollectedRun, _, _>(&RUNS, list)
}

async fn list(may: May<ReadOwn>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    RUNS.answer(&api, &may, pairs, shown(&api)).await
}

/// Makes an item of a row.
pub(super) fn shown(api: &Api) -> impl Fn(RunRow) -> Result<CollectedRun, DecodeError> + Send + 'static {
    let registry = Arc::clone(&api.registry);
    move |row| {
        let sensor_connected = registry.connected(&row.sensor);
        show(row, sensor_connected)
    }
}

fn show(row: RunRow, sensor_connected: bool) -> Result<CollectedRun, DecodeError> {
    let wire = v1::Run::decode(row.body.as_slice())?;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let kept = Kept {
        lost: count(row.lost_items),
        lost_unnamed: count(row.lost_unnamed),
        pruned: count(row.pruned),
        spool_lost: row.spool_lost,
        ..Kept::default()
    };
    let mut run = Run::from(&wire);
    run.completeness = convert::completeness(&Record { kept, ..Record::from(&wire) });
    run.completeness.stored = Some(Stored {
        events_stored: count(row.events_stored),
        findings_stored: count(row.findings_stored),
        lost_in_gaps: kept.lost,
        lost_in_unnamed_gaps: kept.lost_unnamed,
        pruned: kept.pruned,
    });
    let RunRow { sensor, host, updated_ms, .. } = row;
    Ok(CollectedRun { run, sensor, sensor_connected, host, updated_ms })
}
