//! All errors, in one shape: a problem of RFC 9457, `application/problem+json`.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    http_name::HttpName,
    store::{ReadError, StoreGone},
};

/// The media type of problems.
pub(crate) const PROBLEM: &str = "application/problem+json";
/// What a type begins with; the rest is the code.
const TYPE: &str = "urn:agentsentry:problem:";

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    TooMany(String),
    #[error(
        "the request has no key; send `Authorization: Bearer <key>`, or log in: the first admin key is in \
         admin.key in the collector's data directory, and `sentry-collector key create` makes others"
    )]
    NoKey,
    #[error(
        "the key is none of this collector; `sentry-collector key list` on its host shows those that are"
    )]
    WrongKey,
    #[error("the key {prefix} {why}; ask an administrator of the collector for another one")]
    DeadKey { prefix: String, why: &'static str },
    #[error("the session is over, or is none of this collector; log in again")]
    NoSession,
    #[error(
        "the link was used, is older than two minutes, or is none of this collector; ask for another one"
    )]
    DeadLink,
    #[error("this needs one of the scopes {}; the key has {has}", needs.join(", "))]
    Forbidden { needs: &'static [&'static str], has: &'static str },
    #[error("the key is bound to the agent {agent:?} and reads nothing of another one")]
    OtherAgent { agent: String },
    #[error(
        "a request by cookie that changes something needs the session's `csrf` in the header X-CSRF-Token"
    )]
    Csrf,
    #[error("too many wrong keys came from this address; it is locked for {seconds} more seconds")]
    Locked { seconds: u64 },
    #[error("too many requests came from this address; wait {seconds} s")]
    TooFast { seconds: u64 },
    #[error("the request comes from a web page of another origin; ask from a program, without `Origin`")]
    Origin,
    #[error(
        "the request needs exactly one `Host` header, with the name or address of the collector and its port"
    )]
    Host,
    #[error(
        "the request is for {name}, which is not a name of this collector; use the address it listens on, or \
        list the name in `http_names` of its configuration"
    )]
    Misdirected { name: HttpName },
    #[error("the method is not allowed here")]
    Method,
    #[error("the request has another content type than application/json")]
    ContentType,
    #[error("the request body is larger than 16384 bytes")]
    TooLarge,
    #[error("too many requests at once; try again")]
    Busy,
    #[error("the request took too long; it may still take effect, ask again")]
    Timeout,
    #[error("{0}")]
    Unavailable(String),
    #[error("the store failed; the log of the collector says how")]
    Internal,
}

/// An error as it is answered: a problem of RFC 9457.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:agentsentry:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// For programs: one word for each kind of error.
    code: &'static str,
    /// For people: what is wrong, and what to do about it.
    detail: String,
    /// Names this one error, also in the collector's log at level `debug`.
    instance: String,
}

impl ApiError {
    /// Status and code.
    pub(crate) fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Self::NoKey | Self::WrongKey | Self::DeadKey { .. } | Self::NoSession | Self::DeadLink => {
                (StatusCode::UNAUTHORIZED, "unauthorized")
            }
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::OtherAgent { .. } => (StatusCode::FORBIDDEN, "other_agent"),
            Self::Csrf => (StatusCode::FORBIDDEN, "csrf"),
            Self::Locked { .. } => (StatusCode::TOO_MANY_REQUESTS, "locked"),
            Self::TooFast { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_fast"),
            Self::Origin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Self::Host => (StatusCode::BAD_REQUEST, "bad_host"),
            Self::Misdirected { .. } => (StatusCode::MISDIRECTED_REQUEST, "misdirected"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// When to ask again.
    fn retry_after_seconds(&self) -> Option<u64> {
        if let Self::Locked { seconds } | Self::TooFast { seconds } = self { Some(*seconds) } else { None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let problem = Problem {
            kind: format!("{TYPE}{code}"),
            title: status.canonical_reason().unwrap_or(code),
            status: status.as_u16(),
            code,
            detail: self.to_string(),
            instance: Uuid::now_v7().urn().to_string(),
        };
        tracing::debug!(instance = problem.instance, code, detail = problem.detail, "request refused");
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooSlow { .. } | ReadError::Corrupt { .. } => Self::Unavailable(error.to_string()),
            ReadError::Failed { .. } | ReadError::Column { .. } | ReadError::Gone => {
                tracing::error!(error = sentry_service::error_chain(&error), "a query failed");
                Self::Internal
            }
        }
    }
}

impl From<StoreGone> for ApiError {
    fn from(gone: StoreGone) -> Self {
        Self::Unavailable(gone.to_string())
    }
}
