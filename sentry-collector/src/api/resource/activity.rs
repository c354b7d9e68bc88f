//! `GET /api/v1/runs/{run}/activity`: what a run did, folded from its stored events.
//!
//! Limits: the first 50,000 events of the run; `more` says that there are further ones.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    response::Response,
};
use prost::Message as _;
use sentry_proto::v1;
use sentry_story::{Knowledge, Story};
use sentry_view::Activity;
use serde::Serialize;
use utoipa::ToSchema;

use super::{findings::FindingRow, runs::RunRow};
use crate::{
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        right::{May, ReadOwn},
        state::Api,
    },
    store::{Cell, Condition, Paging, Query, Source},
};

const EVENTS: usize = 50_000;
/// Events of one turn at the store, so that other readers get theirs in between.
const PAGE: usize = 5_000;
/// Findings whose evidence is looked for among the events.
const FINDINGS: usize = 1_000;

/// What a run did.
#[derive(Serialize, ToSchema)]
struct RunActivity {
    run: String,
    /// Events that it was folded from.
    events: usize,
    /// The run has more events than these.
    more: bool,
    activity: Activity,
}

/// The events of a run so far.
struct Folded {
    story: Story<'static>,
    events: usize,
}

pub(super) fn entry() -> Entry {
    let about = "What a run did, folded from its events: calls, processes, changed files, destinations.";
    Entry::get("/api/v1/runs/{run}/activity", Group::Finds, "run_activity", about, find)
        .path_parameter("run", "Id of the run.")
        .answers::<RunActivity>("200", "What it did.")
}

async fn find(
    may: May<ReadOwn>,
    State(api): State<Api>,
    Path(run): Path<String>,
) -> Result<Response, ApiError> {
    let is = |column, text: &str| Condition::Is(column, Cell::Text(text.to_owned()));
    let mut of_run = vec![is("run", &run)];
    // To whom reads one agent only, runs of others are not there.
    of_run.extend(may.agent().map(|agent| is("agent", agent)));
    let states: Vec<RunRow> = api.rows(of_run.clone(), 1).await?;
    let Some(state) = states.first() else { return Err(ApiError::NotFound(format!("no run {run:?}"))) };
    // Another sensor may have a run of the same id.
    of_run.push(is("sensor", &state.sensor));
    let flows = v1::Run::decode(state.body.as_slice()).map_err(internal)?.flows;
    let found: Vec<FindingRow> = api.rows(of_run.clone(), FINDINGS).await?;
    let found: Vec<v1::Finding> = found
        .iter()
        .map(|row| v1::Finding::decode(row.body.as_slice()))
        .collect::<Result<_, _>>()
        .map_err(internal)?;

    let story = Story::new(knowledge()?, &found).with_tree();
    let (mut folded, mut after) = (Folded { story, events: 0 }, None);
    let more = loop {
        let paging = Paging { after, newest_first: false, limit: PAGE };
        let step = |folded: &mut Folded, _: &Source, event: v1::Event| {
            folded.story.event(&event);
            folded.events += 1;
            0
        };
        let query = Query { conditions: of_run.clone(), paging };
        let (so_far, next) = api.store.events(query, folded, step).await?;
        (folded, after) = (so_far, next);
        if next.is_none() || folded.events >= EVENTS {
            break next.is_some();
        }
    };
    let Folded { story, events } = folded;
    let made = RunActivity { run, events, more, activity: story.finish(&flows) };
    api.json(&made)
}

/// What is known of agents and files, read once.
fn knowledge() -> Result<&'static Knowledge, ApiError> {
    static KNOWLEDGE: LazyLock<Result<Knowledge, Arc<str>>> =
        LazyLock::new(|| Knowledge::built_in().map_err(|error| error.to_string().into()));
    KNOWLEDGE.as_ref().map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    tracing::error!(%error, "what a run did cannot be shown");
    ApiError::Internal
}
