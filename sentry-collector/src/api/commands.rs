//! `POST /api/v1/runs/{run}/{freeze|thaw|kill}` and `GET /api/v1/commands/{key}`.
//!
//! Sending one needs `Authorization: Bearer <token>` with the token of `<data_dir>/command.token`; without it the answer
//! is 401, whatever else the request says. Asking for one does not.
//!
//! A command is stored once per key, delivered while its sensor is connected, delivered again after each reconnect, and
//! done with the first result. Limits: keys of 128 bytes, reasons of 4096, 64 unanswered commands per sensor.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use sentry_proto::v1::Action;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Api, access::Commander, answer::ApiError, render};
use crate::store::job::{CommandReply, CommandRequest, CommandRow};

const MAX_KEY_BYTES: usize = 128;
const MAX_REASON_BYTES: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    reason: String,
    key: Option<String>,
}

pub(crate) async fn create(
    _may: Commander,
    State(api): State<Api>,
    Path((run, action)): Path<(String, String)>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let action = match action.as_str() {
        "freeze" => Action::Freeze,
        "thaw" => Action::Thaw,
        "kill" => Action::Kill,
        _ => {
            return Err(ApiError::NotFound(format!("no action {action:?}; there are freeze, thaw and kill")));
        }
    };
    let Json(wanted) = body.map_err(refuse_body)?;
    let request = request(run, action, wanted)?;
    // A commit that cannot happen now would only hold the caller until the timeout.
    let trouble = api.store.trouble().borrow().clone();
    if let Some(trouble) = trouble {
        return Err(ApiError::Unavailable(trouble));
    }
    let run = request.run.clone();
    match api.store.command(request).await? {
        CommandReply::Created(row) => {
            tracing::info!(key = row.key, run, sensor = row.sensor, "command accepted");
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

pub(crate) async fn find(State(api): State<Api>, Path(key): Path<String>) -> Result<Json<Value>, ApiError> {
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

fn show(row: &CommandRow) -> Result<Json<Value>, ApiError> {
    render::command(row).map(Json).map_err(|error| {
        tracing::error!(%error, key = row.key, "a stored outcome cannot be decoded");
        ApiError::Internal
    })
}

fn refuse_body(rejected: JsonRejection) -> ApiError {
    match rejected {
        // Asking for this type makes a browser ask first before a page of another origin sends a command.
        JsonRejection::MissingJsonContentType(_) => ApiError::ContentType,
        rejected if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
        rejected => ApiError::BadRequest(rejected.body_text()),
    }
}
