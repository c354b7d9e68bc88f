//! `POST`, `GET` and `DELETE /api/v1/session`: a browser logs in with a key or a link, asks what it
//! may, and logs out. `POST /api/v1/links` makes the secret of a link.
//!
//! A session is a cookie that scripts cannot read and that no other site's page sends. What it
//! answers is for the page's scripts: what the session may, and what goes into X-CSRF-Token.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header::SET_COOKIE},
    response::{AppendHeaders, IntoResponse},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::{
        scope::Scope,
        session::{Grant, Opened, Session},
    },
    api::{
        access::SESSION,
        answer::ApiError,
        entry::{Entry, Group},
        resource::commands::refuse_body,
        right::{Admin, May, Public, ReadOwn},
        state::Api,
    },
    store::{AuditEntry, now_ms},
};

const PATH: &str = "/api/v1/session";

/// One of both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LogIn)]
struct Offered {
    /// A key.
    key: Option<String>,
    /// The secret of a link.
    token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BrowserSession)]
struct Shown {
    /// What the session may: each scope with those that it contains.
    scopes: &'static [&'static str],
    /// The one agent that it reads.
    agent: Option<String>,
    /// Goes into the header X-CSRF-Token of what is not a GET.
    csrf: String,
    expires_unix_ms: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLink)]
struct Wanted {
    /// admin, operate, readonly or agent.
    scope: String,
    /// With the scope `agent`: the id of the agent.
    agent: Option<String>,
}

/// It opens one session, and is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
struct Made {
    /// What a browser opens.
    url: String,
    token: String,
    expires_unix_ms: i64,
}

pub(super) fn post() -> Entry {
    let about = "Opens a session of at most 12 hours, with a key or a link's secret.";
    Entry::post(PATH, Group::Commands, "log_in", about, log_in)
        .takes::<Offered>()
        .answers::<Shown>("200", "The session; its cookie is in `Set-Cookie`.")
}

pub(super) fn get() -> Entry {
    Entry::get(PATH, Group::Finds, "session", "The session of the cookie.", find)
        .answers::<Shown>("200", "The session.")
}

pub(super) fn delete() -> Entry {
    Entry::delete(PATH, Group::Commands, "log_out", "Ends the session of the cookie.", log_out)
        .answers_nothing("204", "It is over.")
}

pub(super) fn link() -> Entry {
    let about = "Makes a link that opens one session, within two minutes.";
    Entry::post("/api/v1/links", Group::Commands, "make_link", about, make_link)
        .takes::<Wanted>()
        .answers::<Made>("201", "The link, which is shown this once.")
}

async fn log_in(
    may: May<Public>,
    State(api): State<Api>,
    body: Result<Json<Offered>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(offered) = body.map_err(refuse_body)?;
    let ends = may.ends();
    let (with, found) = match (&offered.key, &offered.token) {
        (Some(key), None) => {
            ("key", api.access.by_key(ends, key.trim().as_bytes()).map(|caller| Grant::of(&caller)))
        }
        (None, Some(token)) => ("link", api.access.by_link(ends, token.trim().as_bytes())),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::BadRequest("give `key` or `token`, one of both".to_owned()));
        }
    };
    let grant = found.inspect_err(|error| {
        api.access.note_refusal(ends, None, format!("POST {PATH}"), error);
    })?;
    let Opened { cookie, session } = api.access.sessions.open(grant, now_ms()).map_err(no_random)?;
    let entry = AuditEntry {
        who: session.caller().who.to_string(),
        result: "logged in".to_owned(),
        ..may.entry("log_in", format!("with a {with}"), String::new())
    };
    tracing::info!(who = entry.who, source = entry.source, with, "logged in");
    api.store.audit(entry).await?;
    let seconds = (session.grant.expires_ms - now_ms()) / 1000;
    let set = set_cookie(&api, &format!("{SESSION}={cookie}; Max-Age={seconds}"))?;
    Ok((AppendHeaders([(SET_COOKIE, set)]), Json(show(session))))
}

async fn find(_: May<ReadOwn>, State(api): State<Api>, headers: HeaderMap) -> Result<Json<Shown>, ApiError> {
    let (_cookie, session) = api.access.session(&headers).ok_or(ApiError::NoSession)?;
    Ok(Json(show(session)))
}

async fn log_out(
    may: May<ReadOwn>,
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let (cookie, _session) = api.access.session(&headers).ok_or(ApiError::NoSession)?;
    api.access.sessions.close(cookie.as_bytes());
    let entry = may.entry("log_out", String::new(), String::new());
    api.store.audit(AuditEntry { result: "logged out".to_owned(), ..entry }).await?;
    let set = set_cookie(&api, &format!("{SESSION}=; Max-Age=0"))?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(SET_COOKIE, set)])))
}

async fn make_link(
    may: May<Admin>,
    State(api): State<Api>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let Json(Wanted { scope, agent }) = body.map_err(refuse_body)?;
    let scope = Scope::parse(&scope, agent.as_deref()).map_err(ApiError::BadRequest)?;
    let entry = may.entry("make_link", scope.name().to_owned(), String::new());
    // Every administrator is somebody.
    let caller = may.caller().ok_or(ApiError::NoKey)?;
    let grant = Grant { scope, ..Grant::of(caller) };
    let (token, expires_unix_ms) = api.access.sessions.link(grant, now_ms()).map_err(no_random)?;
    api.store.audit(AuditEntry { result: "made".to_owned(), ..entry }).await?;
    let url = format!("{}/login#token={token}", api.names.origin());
    Ok((StatusCode::CREATED, Json(Made { url, token, expires_unix_ms })))
}

fn show(Session { grant, csrf, .. }: Session) -> Shown {
    let agent = grant.scope.agent().map(str::to_owned);
    Shown { scopes: grant.scope.names(), agent, csrf, expires_unix_ms: grant.expires_ms }
}

fn set_cookie(api: &Api, pair: &str) -> Result<HeaderValue, ApiError> {
    let secure = if api.names.tls() { "; Secure" } else { "" };
    let text = format!("{pair}; Path=/; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).map_err(|_not_text| ApiError::Internal)
}

fn no_random(error: std::io::Error) -> ApiError {
    tracing::error!(%error, "no session can be made");
    ApiError::Internal
}
