//! `sentry-collector key` and `sentry-collector login`: they ask the collector that runs, at its
//! unix socket. Nobody else changes the store: there is one writer, keys that were revoked stop
//! working at once, and everything is in the audit.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    access::key::is_prefix,
    api::local::SOCKET,
    cli::{Allowed, Flags, KeyCommand, LoginArgs, ScopeName, Which},
    config::{Config, ConfigError},
    exit::Exit,
    pki::certificate::day,
    store::now_ms,
    table::aligned,
};

const PATIENCE: Duration = Duration::from_secs(20);
const MAX_ANSWER_BYTES: u64 = 16 << 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const KEYS: &str = "/api/v1/keys";

/// Why the collector did not do it.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "no collector answers at {}: start it, or name its data directory with --data-dir or its \
         configuration with --config", path.display()
    )]
    Nobody { path: PathBuf, source: io::Error },
    #[error("cannot use {}: run this as root or as the user that runs the collector", path.display())]
    NotAllowed { path: PathBuf, source: io::Error },
    #[error("the collector at {} gave no answer", path.display())]
    Silent { path: PathBuf, source: io::Error },
    #[error("the collector at {} answered what this version cannot read; do both have one version?", path.display())]
    Unreadable { path: PathBuf },
    #[error("{text:?} is no prefix of a key; `sentry-collector key list` shows those that there are")]
    Prefix { text: String },
    #[error("the collector refused it: {detail}")]
    Refused { detail: String },
}

impl AdminError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Nobody { .. } | Self::NotAllowed { .. } | Self::Silent { .. } => Exit::Io,
            Self::Prefix { .. } => Exit::Usage,
            Self::Unreadable { .. } | Self::Refused { .. } => Exit::Other,
        }
    }
}

/// Does what the command says; returns what to print.
///
/// # Errors
/// Where no collector answers, or it refuses.
pub fn key(command: &KeyCommand) -> Result<String, AdminError> {
    match command {
        KeyCommand::Create { scope, allowed, note, days, which } => {
            let expires_ms = (*days > 0).then(|| now_ms() + i64::from(*days) * DAY_MS);
            let mut wanted = wanted(*scope, allowed);
            wanted["note"] = json!(note);
            wanted["expires_ms"] = json!(expires_ms);
            let made = Socket::of(which)?.ask("POST", KEYS, Some(&wanted))?;
            Ok(if which.json { made.to_string() } else { created(&made) })
        }
        KeyCommand::List { which } => {
            let keys = Socket::of(which)?.all(KEYS)?;
            Ok(if which.json { json!({ "keys": keys }).to_string() } else { listed(&keys, now_ms()) })
        }
        KeyCommand::Revoke { prefix, all: _, which } => {
            let path = match prefix {
                Some(prefix) if is_prefix(prefix) => format!("{KEYS}/{prefix}"),
                Some(prefix) => return Err(AdminError::Prefix { text: prefix.clone() }),
                None => KEYS.to_owned(),
            };
            let revoked = Socket::of(which)?.ask("DELETE", &path, None)?;
            Ok(if which.json { revoked.to_string() } else { revoked_text(&revoked) })
        }
    }
}

/// Makes a link that logs a browser in; returns what to print.
///
/// # Errors
/// Where no collector answers, or it refuses.
pub fn login(LoginArgs { scope, allowed, which }: &LoginArgs) -> Result<String, AdminError> {
    let made = Socket::of(which)?.ask("POST", "/api/v1/links", Some(&wanted(*scope, allowed)))?;
    Ok(if which.json { made.to_string() } else { text(&made["url"]).to_owned() })
}

fn wanted(scope: ScopeName, allowed: &Allowed) -> Value {
    json!({"scope": scope.name(), "agent": allowed.agent})
}

fn created(made: &Value) -> String {
    let until = match made["expires_ms"].as_i64() {
        Some(expires_ms) => format!("works until {}", day_of(expires_ms)),
        None => "works for ever".to_owned(),
    };
    let (key, prefix, scope) = (text(&made["key"]), text(&made["prefix"]), text(&made["scope"]));
    format!(
        "{key}\nKey {prefix} ({scope}) {until}. It is shown this once: put it where only its user can read it."
    )
}

fn revoked_text(revoked: &Value) -> String {
    let prefixes: Vec<&str> = revoked["revoked"].as_array().into_iter().flatten().map(text).collect();
    if prefixes.is_empty() {
        return "there was no key that worked; all sessions are over".to_owned();
    }
    format!("revoked: {}; the sessions that they opened are over", prefixes.join(", "))
}

/// A table of the keys. Texts of others are escaped, because a terminal acts on some bytes.
fn listed(keys: &[Value], now_ms: i64) -> String {
    let mut rows = vec![["PREFIX", "SCOPE", "STATE", "LAST USED", "NOTE"].map(str::to_owned)];
    for key in keys {
        let scope = match key["agent"].as_str() {
            Some(agent) => format!("agent {}", agent.escape_debug()),
            None => text(&key["scope"]).to_owned(),
        };
        let state = match (key["revoked_ms"].as_i64(), key["expires_ms"].as_i64()) {
            (Some(revoked_ms), _) => format!("revoked {}", day_of(revoked_ms)),
            (None, Some(expires_ms)) if expires_ms <= now_ms => format!("expired {}", day_of(expires_ms)),
            (None, Some(expires_ms)) => format!("until {}", day_of(expires_ms)),
            (None, None) => "for ever".to_owned(),
        };
        let used = key["used_ms"].as_i64().map_or_else(|| "never".to_owned(), day_of);
        let note = text(&key["note"]).escape_debug().to_string();
        rows.push([text(&key["prefix"]).to_owned(), scope, state, used, note]);
    }
    aligned(&rows)
}

fn day_of(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(ms / 1000).map_or_else(|_out_of_range| "for ever".to_owned(), day)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The socket of a collector that runs.
struct Socket(PathBuf);

// === impl Socket ===

impl Socket {
    fn of(which: &Which) -> Result<Self, AdminError> {
        let data_dir = match &which.data_dir {
            Some(data_dir) => data_dir.clone(),
            None => Config::load(&Flags { config: which.config.clone(), ..Flags::default() })?.data_dir,
        };
        Ok(Self(data_dir.join(SOCKET)))
    }

    /// Every item of a listing, oldest first.
    fn all(&self, listing: &str) -> Result<Vec<Value>, AdminError> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let page = self.ask("GET", &format!("{listing}?order=asc&limit=1000{next}"), None)?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return Ok(items),
            }
        }
    }

    /// The answer to a request that works.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, AdminError> {
        let at = || self.0.clone();
        let mut stream = UnixStream::connect(&self.0).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => AdminError::NotAllowed { path: at(), source },
            _ => AdminError::Nobody { path: at(), source },
        })?;
        let answer = exchange(&mut stream, &request(method, path, body))
            .map_err(|source| AdminError::Silent { path: at(), source })?;
        let (status, value) = parse(&answer).ok_or_else(|| AdminError::Unreadable { path: at() })?;
        match status {
            200..=299 => Ok(value),
            _ => Err(AdminError::Refused { detail: text(&value["detail"]).to_owned() }),
        }
    }
}

/// In HTTP/1.0 the answer comes in one piece and ends with the connection.
fn request(method: &str, path: &str, body: Option<&Value>) -> String {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn exchange(stream: &mut UnixStream, request: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_works_and_escapes_notes() {
        let keys = json!([
            {"prefix": "1f0c5a9b2e47", "scope": "admin", "note": "the first key", "used_ms": 3_600_000},
            {"prefix": "2", "scope": "agent", "agent": "claude", "note": "a\u{1b}[2J", "expires_ms": 5 * DAY_MS},
            {"prefix": "3", "scope": "readonly", "note": "", "expires_ms": DAY_MS},
            {"prefix": "4", "scope": "operate", "note": "", "expires_ms": DAY_MS, "revoked_ms": 5},
        ]);
        let expected = "\
PREFIX        SCOPE         STATE               LAST USED   NOTE
1f0c5a9b2e47  admin         for ever            1970-01-01  the first key
2             agent claude  until 1970-01-06    never       a\\u{1b}[2J
3             readonly      expired 1970-01-02  never
4             operate       revoked 1970-01-01  never";
        assert_eq!(listed(keys.as_array().unwrap(), 2 * DAY_MS), expected);
    }

    #[test]
    fn an_answer_is_read_or_refused() {
        assert_eq!(parse("HTTP/1.0 201 Created\r\nA: b\r\n\r\n{\"a\":1}"), Some((201, json!({"a": 1}))));
        for other in ["", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 x\r\n\r\n{}", "HTTP/1.0 200 OK\r\n\r\n<html>"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }
}
