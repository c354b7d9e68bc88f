//! `GET /api/v1/audit`: who did what, and what was refused. Only the scope `admin` may.

use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        answer::ApiError,
        entry::Entry,
        key,
        listing::{Listing, QueryPairs},
        right::{Admin, May},
        state::Api,
    },
    store::listed,
};

pub(crate) const AUDIT: Listing = Listing {
    name: "audit",
    about: "Who did what: commands, findings, keys, log-ins and refusals of 90 days.",
    letter: 'u',
    keys: &[key::WHO, key::ACTION, key::SINCE, key::UNTIL],
};

listed! {
    struct Row of "listed_audit" {
        time_ms: i64,
        who: String,
        source: String,
        action: String,
        target: String,
        why: String,
        result: String,
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct Shown {
    time_ms: i64,
    /// `key <prefix>`, `session <id> of key <prefix>`, `command token`, `user <uid> on the host` or
    /// `nobody`.
    who: String,
    /// The address that it came from, or `unix socket`.
    source: String,
    /// freeze, thaw, kill, acknowledge, resolve, reopen, assign, comment, suppress,
    /// end_suppression, make_key, revoke_key, log_in, log_out, make_link or refusal.
    action: String,
    /// What it was done to; of a refusal the method and the path.
    target: String,
    /// The reason that was given.
    why: String,
    result: String,
}

pub(super) fn entry() -> Entry {
    Entry::listing::<Shown, _, _>(&AUDIT, list)
}

async fn list(may: May<Admin>, State(api): State<Api>, pairs: QueryPairs) -> Result<Response, ApiError> {
    AUDIT.answer(&api, &may, pairs, |row| Ok(show(row))).await
}

fn show(row: Row) -> Shown {
    let Row { time_ms, who, source, action, target, why, result } = row;
    Shown { time_ms, who, source, action, target, why, result }
}
