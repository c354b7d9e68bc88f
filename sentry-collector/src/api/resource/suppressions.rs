//! `GET` and `POST /api/v1/suppressions`, `DELETE /api/v1/suppressions/{id}`: findings of a rule
//! and an agent that nobody wants to see for a time.
//!
//! Reading needs a key that is not bound to an agent: an agent must not learn when nobody looks.
//! Limits: 30 days, 1,000 in force, reasons of 4096 bytes.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        key,
        listing::{Listing, QueryPairs},
        resource::commands::{MAX_REASON_BYTES, refuse_body},
        right::{Act, May, Read},
        state::Api,
    },
    store::{MAX_SUPPRESSIONS, NewSuppression, SuppressionChange, SuppressionReply, listed, now_ms},
};

const MAX_NAME_BYTES: usize = 1024;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MAX_DAYS: i64 = 30;
/// Characters of what the audit names: ids may be long.
const TARGET: usize = 400;

pub(crate) const SUPPRESSIONS: Listing = Listing {
    name: "suppressions",
    about: "Suppressions of findings, also those that have ended.",
    letter: 'p',
    keys: &[key::RULE, key::AGENT],
};

listed! {
    struct Row of "listed_suppressions" {
        id: i64,
        rule: String,
        agent: String,
        until_ms: i64,
        why: String,
        made_by: String,
        created_ms: i64,
        ended_ms: Option<i64>,
        ended_by: Option<String>,
        findings: i64,
    }
}

/// Findings of a rule and an agent are not open while it is in force.
#[derive(Serialize, ToSchema)]
#[schema(as = Suppression)]
struct Shown {
    id: i64,
    rule: String,
    /// Id of the agent.
    agent: String,
    /// It is in force until then, unless it was ended before.
    until_ms: i64,
    why: String,
    made_by: String,
    created_ms: i64,
    /// When it was ended before its time, and by whom.
    ended_ms: Option<i64>,
    ended_by: Option<String>,
    /// How many findings it has suppressed.
    findings: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSuppression)]
struct Wanted {
    rule: String,
    /// Id of the agent.
    agent: String,
    /// Unix milliseconds, in the future, at most 30 days from now.
    until_ms: i64,
    /// Why, for whoever asks later.
    why: String,
}

#[derive(Serialize, ToSchema)]
struct MadeSuppression {
    id: i64,
}

pub(super) fn list() -> Entry {
    Entry::listing::<Shown, _, _>(&SUPPRESSIONS, listed)
}

pub(super) fn post() -> Entry {
    let about = "Suppresses what a rule finds of an agent, for a time; also what is open now.";
    Entry::post("/api/v1/suppressions", Group::Commands, "suppress", about, make)
        .takes::<Wanted>()
        .answers::<MadeSuppression>("201", "It is in force.")
}

pub(super) fn delete() -> Entry {
    let about = "Ends a suppression. What it has suppressed stays so until somebody reopens it.";
    Entry::delete("/api/v1/suppressions/{id}", Group::Commands, "end_suppression", about, end)
        .path_parameter("id", "Id of the suppression.")
        .answers_nothing("204", "It is in force no more.")
}

async fn listed(may: May<Read>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    SUPPRESSIONS.answer(&api, &may, pairs, |row| Ok(show(row))).await
}

fn show(row: Row) -> Shown {
    let Row { id, rule, agent, until_ms, why, made_by, created_ms, ended_ms, ended_by, findings } = row;
    Shown { id, rule, agent, until_ms, why, made_by, created_ms, ended_ms, ended_by, findings }
}

async fn make(
    may: May<Act>,
    State(api): State<Api>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<MadeSuppression>), ApiError> {
    let Json(wanted) = body.map_err(refuse_body)?;
    let new = checked(wanted, may.who(), now_ms())?;
    api.may_commit()?;
    let target = format!("{} of {}", new.rule, new.agent).chars().take(TARGET).collect();
    let entry = may.entry("suppress", target, new.why.clone());
    let (rule, agent) = (new.rule.clone(), new.agent.clone());
    match api.store.change_suppressions(SuppressionChange::Make(new), entry).await? {
        SuppressionReply::Made(id) => {
            tracing::info!(id, rule, agent, by = may.who(), "findings are suppressed");
            Ok((StatusCode::CREATED, Json(MadeSuppression { id })))
        }
        SuppressionReply::InForce(id) => Err(ApiError::Conflict(format!(
            "the suppression {id} of {rule} and {agent} is in force; end it before you make another one"
        ))),
        SuppressionReply::TooMany => {
            Err(ApiError::TooMany(format!("{MAX_SUPPRESSIONS} suppressions are in force; end some")))
        }
        SuppressionReply::Ended | SuppressionReply::Unknown => Err(ApiError::Internal),
    }
}

fn checked(wanted: Wanted, made_by: String, now_ms: i64) -> Result<NewSuppression, ApiError> {
    let Wanted { rule, agent, until_ms, why } = wanted;
    let bad = |why: String| Err(ApiError::BadRequest(why));
    for (name, text, most) in
        [("rule", &rule, MAX_NAME_BYTES), ("agent", &agent, MAX_NAME_BYTES), ("why", &why, MAX_REASON_BYTES)]
    {
        if text.trim().is_empty() || text.len() > most {
            return bad(format!("{name} is empty or over {most} bytes"));
        }
    }
    if until_ms <= now_ms || until_ms > now_ms + MAX_DAYS * DAY_MS {
        return bad(format!("until_ms is not in the future, or more than {MAX_DAYS} days away"));
    }
    Ok(NewSuppression { rule, agent, until_ms, why, made_by })
}

async fn end(may: May<Act>, State(api): State<Api>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::NotFound(format!("no suppression {id:?} is in force"));
    let number = id.parse().map_err(|_error| unknown())?;
    api.may_commit()?;
    let entry = may.entry("end_suppression", format!("suppression {number}"), String::new());
    let change = SuppressionChange::End { id: number, who: may.who() };
    match api.store.change_suppressions(change, entry).await? {
        SuppressionReply::Ended => {
            tracing::info!(id = number, by = may.who(), "findings are not suppressed any more");
            Ok(StatusCode::NO_CONTENT)
        }
        SuppressionReply::Unknown => Err(unknown()),
        SuppressionReply::Made(_) | SuppressionReply::InForce(_) | SuppressionReply::TooMany => {
            Err(ApiError::Internal)
        }
    }
}
