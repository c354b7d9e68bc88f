//! `POST /api/v1/runs/{run}/{freeze|thaw|kill}` and `GET /api/v1/commands/{key}`.
//!
//! Sending one needs the scope `operate`; without it the answer is 401 or 403, whatever else the
//! request says. Each one that is well-formed is in the audit.
//!
//! A command is stored once per key, delivered while its sensor is connected, delivered again after
//! each reconnect, and done with the first result. Limits: keys of 128 bytes, reasons of 4096, 64
//! unanswered commands per sensor.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use prost::{DecodeError, Message as _};
use sentry_proto::v1::{self, Action};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        right::{Act, May, Read},
        state::Api,
    },
    store::{CommandReply, CommandRequest, CommandRow},
};

const MAX_KEY_BYTES: usize = 128;
pub(super) const MAX_REASON_BYTES: usize = 4096;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCommand)]
struct Wanted {
    /// Why, for whoever asks later.
    reason: String,
    /// The same key is the same command, however often it is sent; without one it is new.
    key: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Command {
    key: String,
    run: String,
    sensor: String,
    action: sentry_view::Action,
    reason: String,
    /// pending, delivered or done.
    state: &'static str,
    created_ms: i64,
    delivered_ms: Option<i64>,
    done_ms: Option<i64>,
    /// The outcome, as the sensor reported it.
    outcome: Option<sentry_view::Outcome>,
}

pub(super) fn post() -> Entry {
    let about = "Has the sensor of a run freeze, thaw or kill it.";
    Entry::post("/api/v1/runs/{run}/{action}", Group::Commands, "command", about, create)
        .path_parameter("run", "Id of the run.")
        .path_parameter("action", "freeze, thaw or kill.")
        .takes::<Wanted>()
        .answers::<Command>("202", "It is stored and will be delivered.")
        .answers::<Command>("200", "It was stored before, under the same key.")
}

pub(super) fn get() -> Entry {
    let about = "What became of a command.";
    Entry::get("/api/v1/commands/{key}", Group::Finds, "find_command", about, find)
        .path_parameter("key", "Key of the command.")
        .answers::<Command>("200", "The command.")
}

async fn create(
    may: May<Act>,
    State(api): State<Api>,
    Path((run, action)): Path<(String, String)>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Command>), ApiError> {
    let (action, name) = match action.as_str() {
        "freeze" => (Action::Freeze, "freeze"),
        "thaw" => (Action::Thaw, "thaw"),
        "kill" => (Action::Kill, "kill"),
        _ => {
            return Err(ApiError::NotFound(format!("no action {action:?}; there are freeze, thaw and kill")));
        }
    };
    let Json(wanted) = body.map_err(refuse_body)?;
    let request = request(run, action, wanted)?;
    api.may_commit()?;
    let run = request.run.clone();
    let target: String = run.chars().take(MAX_KEY_BYTES).collect();
    let entry = may.entry(name, format!("run {target}"), request.reason.clone());
    match api.store.command(request, entry).await? {
        CommandReply::Created(row) => {
            tracing::info!(key = row.key, run, sensor = row.sensor, by = may.who(), "command accepted");
            api.registry.notify(&row.sensor);
            Ok((StatusCode::ACCEPTED, show(&row)?))
        }
        CommandReply::Existing(row) => Ok((StatusCode::OK, show(&row)?)),
        CommandReply::Conflict(row) => {
            Err(ApiError::Conflict(format!("key {:?} belongs to another command", row.key)))
        }
        CommandReply::UnknownRun => Err(ApiError::NotFound(format!("no run {run:?}"))),
        CommandReply::AmbiguousRun => {
            Err(ApiError::Conflict(format!("run {run:?} is reported by several sensors")))
        }
        CommandReply::TooMany => Err(ApiError::TooMany(
            "the sensor has 64 unanswered commands; wait until it has answered some".to_owned(),
        )),
    }
}

async fn find(
    _: May<Read>,
    State(api): State<Api>,
    Path(key): Path<String>,
) -> Result<Json<Command>, ApiError> {
    match api.store.find_command(key.clone()).await? {
        Some(row) => show(&row),
        None => Err(ApiError::NotFound(format!("no command {key:?}"))),
    }
}

fn request(run: String, action: Action, wanted: Wanted) -> Result<CommandRequest, ApiError> {
    if wanted.reason.trim().is_empty() || wanted.reason.len() > MAX_REASON_BYTES {
        return Err(ApiError::BadRequest(format!("reason is empty or over {MAX_REASON_BYTES} bytes")));
    }
    let key = match wanted.key {
        Some(key) if key.is_empty() || key.len() > MAX_KEY_BYTES => {
            return Err(ApiError::BadRequest(format!("key is empty or over {MAX_KEY_BYTES} bytes")));
        }
        Some(key) => key,
        None => Uuid::now_v7().to_string(),
    };
    Ok(CommandRequest { key, run, action, reason: wanted.reason })
}

fn show(row: &CommandRow) -> Result<Json<Command>, ApiError> {
    command(row).map(Json).map_err(|error| {
        tracing::error!(%error, key = row.key, "a stored outcome cannot be decoded");
        ApiError::Internal
    })
}

fn command(row: &CommandRow) -> Result<Command, DecodeError> {
    let action = Action::try_from(row.action).unwrap_or(Action::Unspecified);
    let outcome = row.outcome.as_deref().map(v1::Outcome::decode).transpose()?;
    Ok(Command {
        key: row.key.clone(),
        run: row.run.clone(),
        sensor: row.sensor.clone(),
        action: action.into(),
        reason: row.reason.clone(),
        state: match (row.done_ms, row.delivered_ms) {
            (Some(_), _) => "done",
            (None, Some(_)) => "delivered",
            (None, None) => "pending",
        },
        created_ms: row.created_ms,
        delivered_ms: row.delivered_ms,
        done_ms: row.done_ms,
        outcome: outcome.as_ref().map(Into::into),
    })
}

/// Why a body is refused.
pub(super) fn refuse_body(rejected: JsonRejection) -> ApiError {
    match rejected {
        // Asking for this type makes a browser ask first before a page of another origin sends a
        // command.
        JsonRejection::MissingJsonContentType(_) => ApiError::ContentType,
        rejected if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        rejected => ApiError::BadRequest(rejected.body_text()),
    }
}
