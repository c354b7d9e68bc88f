//! `GET`, `POST` and `DELETE /api/v1/keys`, `DELETE /api/v1/keys/{prefix}`: what opens the API.
//! Only the scope `admin` may.
//!
//! Limits: 1,000 keys that work; notes of 200 bytes.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    access::scope::Scope,
    api::{
        answer::ApiError,
        entry::{Entry, Group},
        key,
        listing::{Listing, QueryPairs},
        resource::commands::refuse_body,
        right::{Admin, May},
        state::Api,
    },
    store::{KeyChange, KeyReply, KeyRow, MAX_KEYS, listed, now_ms},
};

const MAX_NOTE_BYTES: usize = 200;

pub(crate) const KEYS: Listing = Listing {
    name: "keys",
    about: "Keys of this API, without their secrets.",
    letter: 'k',
    keys: &[key::SCOPE, key::AGENT],
};

listed! {
    struct Row of "listed_keys" {
        prefix: String,
        scope: String,
        agent: Option<String>,
        note: String,
        made_by: String,
        created_ms: i64,
        expires_ms: Option<i64>,
        used_ms: Option<i64>,
        revoked_ms: Option<i64>,
    }
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct Shown {
    /// What names it: a key is `askey_<prefix>_<secret>`.
    prefix: String,
    /// admin, operate, readonly or agent.
    scope: String,
    /// Of the scope `agent`: the agent that it reads.
    agent: Option<String>,
    note: String,
    made_by: String,
    created_ms: i64,
    /// It works until then; null: it does not expire.
    expires_ms: Option<i64>,
    /// The hour of the last use.
    used_ms: Option<i64>,
    revoked_ms: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewKey)]
struct Wanted {
    /// admin, operate, readonly or agent.
    scope: String,
    /// With the scope `agent`: the id of the agent.
    agent: Option<String>,
    /// What it is for.
    #[serde(default)]
    note: String,
    /// Unix milliseconds, in the future; without it the key does not expire.
    expires_ms: Option<i64>,
}

/// A key that was made, with its secret: it is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeKey)]
struct Made {
    key: String,
    prefix: String,
    scope: &'static str,
    agent: Option<String>,
    expires_ms: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RevokedKeys)]
struct Revoked {
    /// The prefixes of the keys that work no more.
    revoked: Vec<String>,
}

pub(super) fn list() -> Entry {
    Entry::listing::<Shown, _, _>(&KEYS, listed)
}

pub(super) fn post() -> Entry {
    Entry::post("/api/v1/keys", Group::Commands, "make_key", "Makes a key.", make)
        .takes::<Wanted>()
        .answers::<Made>("201", "The key, which is shown this once.")
}

pub(super) fn delete() -> Entry {
    let about = "Revokes a key, and ends the sessions that it opened.";
    Entry::delete("/api/v1/keys/{prefix}", Group::Commands, "revoke_key", about, revoke)
        .path_parameter("prefix", "Prefix of the key.")
        .answers::<Revoked>("200", "It works no more.")
}

pub(super) fn delete_all() -> Entry {
    let about = "Revokes all keys but the one that asks, and ends all sessions.";
    Entry::delete("/api/v1/keys", Group::Commands, "revoke_keys", about, revoke_all)
        .answers::<Revoked>("200", "They work no more.")
}

async fn listed(may: May<Admin>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    KEYS.answer(&api, &may, pairs, |row| Ok(show(row))).await
}

fn show(row: Row) -> Shown {
    let Row { prefix, scope, agent, note, made_by, created_ms, expires_ms, used_ms, revoked_ms } = row;
    Shown { prefix, scope, agent, note, made_by, created_ms, expires_ms, used_ms, revoked_ms }
}

async fn make(
    may: May<Admin>,
    State(api): State<Api>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let Json(Wanted { scope, agent, note, expires_ms }) = body.map_err(refuse_body)?;
    let scope = Scope::parse(&scope, agent.as_deref()).map_err(ApiError::BadRequest)?;
    if note.len() > MAX_NOTE_BYTES {
        return Err(ApiError::BadRequest(format!("note is over {MAX_NOTE_BYTES} bytes")));
    }
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms()) {
        return Err(ApiError::BadRequest("expires_ms is not in the future".to_owned()));
    }
    api.may_commit()?;
    let made = api.access.keyring.make(&scope, note.clone(), may.who(), expires_ms);
    let (key, new) = made.map_err(|error| {
        tracing::error!(%error, "no key can be made");
        ApiError::Internal
    })?;
    let row = KeyRow::from(&new);
    let entry = may.entry("make_key", format!("{} {}", new.prefix, scope.name()), note);
    match api.store.change_keys(KeyChange::Make(new), entry).await? {
        KeyReply::TooMany | KeyReply::Revoked(_) => {
            return Err(ApiError::TooMany(format!("there are {MAX_KEYS} keys that work; revoke some")));
        }
        KeyReply::Made => api.access.keyring.add(row),
    }
    tracing::info!(prefix = key.prefix, scope = scope.name(), by = may.who(), "key made");
    let agent = scope.agent().map(str::to_owned);
    let made = Made { key: key.text, prefix: key.prefix, scope: scope.name(), agent, expires_ms };
    Ok((StatusCode::CREATED, Json(made)))
}

async fn revoke(
    may: May<Admin>,
    State(api): State<Api>,
    Path(prefix): Path<String>,
) -> Result<Json<Revoked>, ApiError> {
    let revoked = change(&may, &api, KeyChange::Revoke(prefix.clone()), prefix.clone()).await?;
    if revoked.is_empty() {
        return Err(ApiError::NotFound(format!("no key {prefix:?} that works")));
    }
    api.access.sessions.end_of(&revoked);
    Ok(Json(Revoked { revoked }))
}

async fn revoke_all(may: May<Admin>, State(api): State<Api>) -> Result<Json<Revoked>, ApiError> {
    let but = may.caller().and_then(|caller| caller.who.key()).map(str::to_owned);
    let revoked = change(&may, &api, KeyChange::RevokeAll { but }, "all keys".to_owned()).await?;
    api.access.sessions.end_all();
    Ok(Json(Revoked { revoked }))
}

async fn change(
    may: &May<Admin>,
    api: &Api,
    change: KeyChange,
    target: String,
) -> Result<Vec<String>, ApiError> {
    api.may_commit()?;
    let entry = may.entry("revoke_key", target.chars().take(MAX_NOTE_BYTES).collect(), String::new());
    match api.store.change_keys(change, entry).await? {
        KeyReply::Revoked(revoked) => {
            api.access.keyring.revoke(&revoked);
            tracing::info!(?revoked, by = may.who(), "keys revoked");
            Ok(revoked)
        }
        KeyReply::Made | KeyReply::TooMany => Err(ApiError::Internal),
    }
}
