//! All errors, in one shape: `{"error":{"code":"…","message":"…"}}`.

use std::path::PathBuf;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http_name::HttpName,
    store::{ReadError, StoreGone},
};

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
        "commands need the header `Authorization: Bearer <token>`; the token is in {} on the collector's \
        host, readable by the collector's user", path.display()
    )]
    NoToken { path: PathBuf },
    #[error(
        "the token is not the one of this collector; that is in {} on the collector's host, readable by the \
         collector's user", path.display()
    )]
    WrongToken { path: PathBuf },
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

/// An error as it is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Problem {
    error: ProblemParts,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorParts)]
struct ProblemParts {
    /// For programs: one word for each kind of error.
    code: &'static str,
    /// For people: what is wrong, and what to do about it.
    message: String,
}

impl ApiError {
    fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Self::NoToken { .. } | Self::WrongToken { .. } => (StatusCode::UNAUTHORIZED, "unauthorized"),
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
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let error = ProblemParts { code, message: self.to_string() };
        let mut response = (status, Json(Problem { error })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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
