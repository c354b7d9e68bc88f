//! Attacks on the router, as it is served: every route with every scope and method, forged cookies,
//! hosts and origins, keys guessed by force.

use std::{net::IpAddr, sync::Arc, thread, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{runtime::Handle, sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    access::Access, ends::Ends, entry::Entry, host::Names, outbox::Outbox, resource, router, state::Api,
};
use crate::{
    access::{
        key::{ApiKey, Hasher},
        keyring::Keyring,
        peers::Peers,
        scope::Scope,
        token::Token,
    },
    ingest::registry::Registry,
    metrics::Metrics,
    store::{Stop, Store},
};

const AGENT: &str = "claude";
const SECRET: [u8; 64] = [b'5'; 64];

/// Who may, by the first letters: admin, operate, readonly, agent (g), nobody. On loopback, and
/// from elsewhere.
const TABLE: [(&str, &str, &str, &str); 31] = [
    ("GET", "/api/v1/sensors", "aor", "aor"),
    ("GET", "/api/v1/sessions", "aor", "aor"),
    ("GET", "/api/v1/agents", "aorg", "aorg"),
    ("GET", "/api/v1/runs", "aorg", "aorg"),
    ("GET", "/api/v1/events", "aorg", "aorg"),
    ("GET", "/api/v1/findings", "aorg", "aorg"),
    ("GET", "/api/v1/findings/{sensor}/{run}/{id}", "aor", "aor"),
    ("POST", "/api/v1/findings/{sensor}/{run}/{id}/{action}", "ao", "ao"),
    ("GET", "/api/v1/suppressions", "aor", "aor"),
    ("POST", "/api/v1/suppressions", "ao", "ao"),
    ("DELETE", "/api/v1/suppressions/{id}", "ao", "ao"),
    ("GET", "/api/v1/decisions", "aorg", "aorg"),
    ("GET", "/api/v1/outcomes", "aorg", "aorg"),
    ("GET", "/api/v1/gaps", "aor", "aor"),
    ("POST", "/api/v1/runs/{run}/{action}", "ao", "ao"),
    ("GET", "/api/v1/runs/{run}/activity", "aorg", "aorg"),
    ("GET", "/api/v1/live", "aor", "aor"),
    ("GET", "/api/v1/commands/{key}", "aor", "aor"),
    ("POST", "/api/v1/session", "aorgn", "aorgn"),
    ("GET", "/api/v1/session", "aorg", "aorg"),
    ("DELETE", "/api/v1/session", "aorg", "aorg"),
    ("POST", "/api/v1/links", "a", "a"),
    ("GET", "/api/v1/keys", "a", "a"),
    ("POST", "/api/v1/keys", "a", "a"),
    ("DELETE", "/api/v1/keys/{prefix}", "a", "a"),
    ("DELETE", "/api/v1/keys", "a", "a"),
    ("GET", "/api/v1/audit", "a", "a"),
    ("GET", "/api/v1/openapi.json", "aorgn", "aorgn"),
    ("GET", "/healthz", "aorgn", "aor"),
    ("GET", "/readyz", "aorgn", "aor"),
    ("GET", "/metrics", "aorgn", "aor"),
];

/// A collector without listeners.
pub(super) struct Rig {
    pub(super) api: Api,
    router: Router,
    metrics: Arc<Metrics>,
    peers: Arc<Peers>,
    stop: Stop,
    writer: Option<thread::JoinHandle<()>>,
    token: String,
    keys: Vec<(char, ApiKey)>,
    _dir: TempDir,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(false, None).await
    }

    /// With TLS, or not, and keys that expire then.
    async fn with(tls: bool, expires_ms: Option<i64>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (metrics, stop) = (Arc::new(Metrics::default()), Stop::default());
        let (store, mut writer) = Store::open(dir.path(), None, Arc::clone(&metrics), stop.clone()).unwrap();
        let hasher = Hasher::new(&SECRET);
        let scopes = [
            ('a', Scope::Admin),
            ('o', Scope::Operate),
            ('r', Scope::ReadOnly),
            ('g', Scope::Agent(AGENT.to_owned())),
        ];
        let empty = Keyring::new(hasher.clone(), Vec::new());
        let keys = scopes.map(|(letter, scope)| {
            let (key, new) = empty.make(&scope, String::new(), String::new(), expires_ms).unwrap();
            writer.add_key(&new).unwrap();
            (letter, key)
        });
        let handle = Handle::current();
        let writer = thread::spawn(move || {
            let _runtime = handle.enter();
            writer.run().unwrap();
        });
        let token = Token::load(dir.path()).unwrap();
        let keyring = Keyring::new(hasher, store.keys().await.unwrap());
        let access = Access::new(token, keyring, store.clone(), Arc::clone(&metrics));
        let peers = Arc::clone(&access.peers);
        let api = Api {
            registry: Registry::new(Arc::clone(&metrics)),
            names: Names::new("127.0.0.1:8440".parse().unwrap(), tls, &[]),
            outbox: Outbox::new(),
            access,
            streams: Arc::new(Semaphore::new(1)),
            heartbeat: Duration::from_secs(1),
            drain: CancellationToken::new(),
            metrics: Arc::clone(&metrics),
            store,
        };
        let token = std::fs::read_to_string(dir.path().join("command.token")).unwrap();
        Self {
            router: router(api.clone()),
            api,
            metrics,
            peers,
            stop,
            writer: Some(writer),
            token,
            keys: keys.into(),
            _dir: dir,
        }
    }

    fn key(&self, letter: char) -> &ApiKey {
        &self.keys.iter().find(|(of, _)| *of == letter).unwrap().1
    }

    fn bearer(&self, letter: char) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {}", self.key(letter).text))]
    }

    async fn ask(
        &self,
        ends: Ends,
        (method, path): (&str, &str),
        headers: &[(&'static str, String)],
        body: &Value,
    ) -> (StatusCode, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            let ip = if let Ends::Tcp { to, .. } = ends { to } else { ip("127.0.0.1") };
            request = request.header("host", format!("{ip}:8440"));
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut request =
            request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        request.extensions_mut().insert(ends);
        let answer: Response<Body> = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        // A stream does not end by itself.
        if parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            return (parts.status, parts.headers, Value::Null);
        }
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A `GET` on loopback.
    async fn get(&self, path: &str, headers: &[(&'static str, String)]) -> (u16, Value) {
        let (status, _, answer) = self.ask(near(), ("GET", path), headers, &json!({})).await;
        (status.as_u16(), answer)
    }

    /// Header lines of a new session: the cookie, and with the CSRF token.
    async fn log_in(&self, letter: char) -> (Headers, Headers) {
        let body = json!({"key": self.key(letter).text});
        let (status, headers, answer) = self.ask(near(), ("POST", "/api/v1/session"), &[], &body).await;
        assert_eq!(status, 200, "{answer}");
        let set = headers["set-cookie"].to_str().unwrap();
        let cookie = vec![("cookie", set.split(';').next().unwrap().to_owned())];
        let csrf = ("x-csrf-token", answer["csrf"].as_str().unwrap().to_owned());
        let both = cookie.iter().cloned().chain([csrf]).collect();
        (cookie, both)
    }
}

type Headers = Vec<(&'static str, String)>;

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.finish.cancel();
        if let Some(writer) = self.writer.take() {
            writer.join().ok();
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn near() -> Ends {
    Ends::Tcp { to: ip("127.0.0.1"), from: ip("127.0.0.1") }
}

fn far() -> Ends {
    Ends::Tcp { to: ip("192.0.2.1"), from: ip("198.51.100.7") }
}

/// A path with values for what it leaves open.
fn filled(path: &str) -> String {
    let values = [
        ("{run}", "r1"),
        ("{action}", "freeze"),
        ("{key}", "k1"),
        ("{prefix}", "0123456789ab"),
        ("{sensor}", "s1"),
        ("{id}", "1"),
    ];
    values.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

/// Whether the handler was reached, whatever it made of the request.
fn is_let_in(status: StatusCode, answer: &Value, letter: char) -> bool {
    let refused = match (status.as_u16(), code(answer)) {
        (401, "unauthorized") => true,
        (403, "forbidden") => true,
        (_, "method_not_allowed" | "csrf" | "locked" | "internal" | "misdirected") => {
            unreachable!("{letter}: {answer}")
        }
        _ => false,
    };
    if refused {
        assert_eq!(status.as_u16(), if letter == 'n' { 401 } else { 403 }, "{letter}: {answer}");
    }
    !refused
}

#[test]
fn the_table_has_every_route_once() {
    let mut routes: Vec<_> = resource::all()
        .into_iter()
        .map(|Entry { path, method, .. }| (json!(method).as_str().unwrap().to_uppercase(), path))
        .collect();
    let mut rows: Vec<_> = TABLE.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    routes.sort();
    rows.sort();
    assert_eq!(rows, routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_and_nobody_else() {
    let (mut rig, body) = (Rig::new().await, json!({}));
    for (row, (method, path, on_loopback, elsewhere)) in TABLE.into_iter().enumerate() {
        let path = filled(path);
        // An address of its own for each wrong key, so that none is locked.
        let guesser = Ends::Tcp { to: ip("192.0.2.1"), from: ip(&format!("203.0.113.{row}")) };
        let wrong = vec![("authorization", format!("Bearer {}", ApiKey::new().unwrap().text))];
        let (status, _, answer) = rig.ask(guesser, (method, &path), &wrong, &body).await;
        assert_eq!(is_let_in(status, &answer, 'n'), elsewhere.contains('n'), "{method} {path}");
        for (ends, allowed) in [(near(), on_loopback), (far(), elsewhere)] {
            let stale = vec![("cookie", format!("agentsentry_session={}", "0".repeat(64)))];
            for nobody in [Vec::new(), stale] {
                let (status, _, answer) = rig.ask(ends, (method, &path), &nobody, &body).await;
                assert_eq!(
                    is_let_in(status, &answer, 'n'),
                    allowed.contains('n'),
                    "{method} {path} {nobody:?}"
                );
            }
            // The one with the most rights last.
            for letter in ['g', 'r', 'o', 'a'] {
                let may = allowed.contains(letter);
                let (_, session) = rig.log_in(letter).await;
                let (status, _, answer) = rig.ask(ends, (method, &path), &session, &body).await;
                assert_eq!(is_let_in(status, &answer, letter), may, "{method} {path} {letter} {answer}");
                // A key has no session to show or to end.
                if path == "/api/v1/session" {
                    continue;
                }
                let (status, _, answer) = rig.ask(ends, (method, &path), &rig.bearer(letter), &body).await;
                assert_eq!(is_let_in(status, &answer, letter), may, "{method} {path} {letter} {answer}");
            }
            if (method, path.as_str()) == ("DELETE", "/api/v1/keys") {
                rig = Rig::new().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_do_nothing_whoever_asks() {
    let rig = Rig::new().await;
    let has = |method: &str, path: &str| {
        let reads = if method == "HEAD" { "GET" } else { method };
        TABLE.iter().any(|row| (row.0, row.1) == (reads, path))
    };
    for (_, path, ..) in TABLE {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if has(method, path) {
                continue;
            }
            for headers in [Vec::new(), rig.bearer('a')] {
                let (status, ..) = rig.ask(near(), (method, &filled(path)), &headers, &json!({})).await;
                assert_eq!(status, 405, "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wrong_keys_close_the_address_to_keys_and_not_to_sessions() {
    let rig = Rig::new().await;
    let (cookie, _) = rig.log_in('r').await;
    let guess = || vec![("authorization", format!("Bearer {}", ApiKey::new().unwrap().text))];
    for _ in 0..10 {
        assert_eq!(rig.get("/api/v1/runs", &guess()).await.0, 401);
    }
    let (status, headers, answer) =
        rig.ask(near(), ("GET", "/api/v1/runs"), &rig.bearer('a'), &json!({})).await;
    assert_eq!((status.as_u16(), code(&answer)), (429, "locked"), "{answer}");
    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&seconds), "{seconds}");
    let body = json!({"key": rig.key('a').text});
    let (status, ..) = rig.ask(near(), ("POST", "/api/v1/session"), &[], &body).await;
    assert_eq!(status, 429);
    assert_eq!(rig.get("/api/v1/runs", &cookie).await.0, 200, "a session goes on");
    let (status, ..) = rig.ask(far(), ("GET", "/api/v1/runs"), &rig.bearer('a'), &json!({})).await;
    assert_eq!(status, 200, "another address");
    let unix = Ends::Unix { uid: 0 };
    assert_eq!(rig.ask(unix, ("GET", "/api/v1/keys"), &[], &json!({})).await.0, 200);
    let counted = [&rig.metrics.locked_addresses_total, &rig.metrics.limited_requests_total];
    assert_eq!(counted.map(|counter| counter.load(std::sync::atomic::Ordering::Relaxed)), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_waits() {
    let rig = Rig::new().await;
    // It has asked as often as it may, and is ahead of the clock.
    let later = Instant::now() + Duration::from_secs(3600);
    while rig.peers.admit(ip("198.51.100.7"), later).is_ok() {}
    let (status, headers, answer) = rig.ask(far(), ("GET", "/api/v1/openapi.json"), &[], &json!({})).await;
    assert_eq!((status.as_u16(), code(&answer)), (429, "too_fast"), "{answer}");
    assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 3000, "{headers:?}");
    assert_eq!(rig.get("/api/v1/openapi.json", &[]).await.0, 200, "another address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_changes_something_only_with_its_own_token() {
    let rig = Rig::new().await;
    let ((cookie, right), (_, other)) = (rig.log_in('o').await, rig.log_in('o').await);
    let with = |value: &str| -> Headers {
        cookie.iter().cloned().chain([("x-csrf-token", value.to_owned())]).collect()
    };
    let doubled: Headers = right.iter().cloned().chain([right[1].clone()]).collect();
    let freeze = ("POST", "/api/v1/runs/r1/freeze");
    let body = json!({"reason": "a"});
    for forged in [cookie.clone(), with(""), with(&"0".repeat(64)), with(&other[1].1), doubled] {
        let (status, _, answer) = rig.ask(near(), freeze, &forged, &body).await;
        assert_eq!((status.as_u16(), code(&answer)), (403, "csrf"), "{forged:?}");
    }
    assert_eq!(rig.ask(near(), freeze, &right, &body).await.0, 404, "there is no such run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_uses_no_session() {
    let rig = Rig::new().await;
    let (_, right) = rig.log_in('o').await;
    let freeze = ("POST", "/api/v1/runs/r1/freeze");
    let ask = async |more: (&'static str, &str)| {
        let headers: Headers = right.iter().cloned().chain([(more.0, more.1.to_owned())]).collect();
        let (status, _, answer) = rig.ask(near(), freeze, &headers, &json!({"reason": "a"})).await;
        (status.as_u16(), code(&answer).to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    for origin in ["http://evil.example", "null", "https://127.0.0.1:8440", "http://127.0.0.1:8441"] {
        assert_eq!(ask(("origin", origin)).await, refused(403, "foreign_origin"), "{origin}");
    }
    for host in ["evil.example:8440", "127.0.0.1:80", "127.0.0.1.evil.example:8440"] {
        assert_eq!(ask(("host", host)).await, refused(421, "misdirected"), "{host}");
    }
    assert_eq!(ask(("origin", "http://127.0.0.1:8440")).await, refused(404, "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_cookie_is_nobody() {
    let rig = Rig::new().await;
    let (cookie, _) = rig.log_in('r').await;
    let right = cookie[0].1.clone();
    let forged = [
        format!("{right}0"),
        right[..right.len() - 1].to_owned(),
        right.to_uppercase(),
        format!("{right}; {right}"),
        format!("agentsentry_session={}", rig.key('r').text),
        "agentsentry_session=".to_owned(),
    ];
    for cookie in forged {
        let (status, answer) = rig.get("/api/v1/runs", &[("cookie", cookie.clone())]).await;
        assert_eq!((status, code(&answer)), (401, "unauthorized"), "{cookie}");
    }
    assert_eq!(rig.get("/api/v1/runs", &cookie).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_a_key_end_when_the_key_is_revoked() {
    let rig = Rig::new().await;
    let ((cookie, _), (other, _)) = (rig.log_in('o').await, rig.log_in('r').await);
    let path = format!("/api/v1/keys/{}", rig.key('o').prefix);
    let (status, _, answer) = rig.ask(near(), ("DELETE", &path), &rig.bearer('a'), &json!({})).await;
    assert_eq!((status.as_u16(), &answer), (200, &json!({"revoked": [rig.key('o').prefix]})));
    assert_eq!(rig.get("/api/v1/runs", &cookie).await.0, 401);
    let (status, answer) = rig.get("/api/v1/runs", &rig.bearer('o')).await;
    assert!(status == 401 && answer["detail"].as_str().unwrap().contains("is revoked"), "{answer}");
    assert_eq!(rig.get("/api/v1/runs", &other).await.0, 200);
    let (status, _, answer) = rig.ask(near(), ("DELETE", "/api/v1/keys"), &rig.bearer('a'), &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(rig.get("/api/v1/runs", &other).await.0, 401);
    assert_eq!(rig.get("/api/v1/runs", &rig.bearer('a')).await.0, 200, "the one that asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_opens_nothing_and_locks_nobody() {
    let rig = Rig::with(false, Some(1)).await;
    for _ in 0..20 {
        let (status, answer) = rig.get("/api/v1/runs", &rig.bearer('a')).await;
        assert!(status == 401 && answer["detail"].as_str().unwrap().contains("has expired"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_key_asks_for_no_other_agent() {
    let rig = Rig::new().await;
    for listing in ["agents", "runs", "events", "findings", "decisions", "outcomes"] {
        let path = |agent: &str| format!("/api/v1/{listing}?agent={agent}");
        let (status, answer) = rig.get(&path("other"), &rig.bearer('g')).await;
        assert_eq!((status, code(&answer)), (403, "other_agent"), "{listing}");
        assert_eq!(rig.get(&path(AGENT), &rig.bearer('g')).await.0, 200, "{listing}");
        assert_eq!(rig.get(&path("other"), &rig.bearer('r')).await.0, 200, "{listing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_token_operates() {
    let rig = Rig::new().await;
    let token = vec![("authorization", format!("Bearer {}", rig.token))];
    assert_eq!(rig.get("/api/v1/sensors", &token).await.0, 200);
    assert_eq!(rig.get("/api/v1/keys", &token).await.0, 403);
    let freeze = ("POST", "/api/v1/runs/r1/freeze");
    assert_eq!(rig.ask(near(), freeze, &token, &json!({"reason": "a"})).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_cookies_are_secure_and_browsers_come_back_over_tls() {
    for tls in [true, false] {
        let rig = Rig::with(tls, None).await;
        let body = json!({"key": rig.key('r').text});
        let (status, headers, _) = rig.ask(near(), ("POST", "/api/v1/session"), &[], &body).await;
        assert_eq!(status, 200);
        let cookie = headers["set-cookie"].to_str().unwrap();
        assert_eq!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), tls, "{cookie}");
        assert_eq!(headers.contains_key("strict-transport-security"), tls);
        assert_eq!(
            (&headers["x-content-type-options"], &headers["cache-control"]),
            (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_for_what_it_should_and_only_once_shown() {
    let rig = Rig::new().await;
    let post = async |body: Value| rig.ask(near(), ("POST", "/api/v1/keys"), &rig.bearer('a'), &body).await;
    for wrong in [
        json!({}),
        json!({"scope": "root"}),
        json!({"scope": "agent"}),
        json!({"scope": "readonly", "agent": "claude"}),
        json!({"scope": "readonly", "expires_ms": 5}),
        json!({"scope": "readonly", "note": "x".repeat(201)}),
        json!({"scope": "readonly", "colour": "red"}),
    ] {
        let (status, _, answer) = post(wrong.clone()).await;
        assert_eq!((status.as_u16(), code(&answer)), (400, "bad_request"), "{wrong}");
    }
    let (status, _, made) = post(json!({"scope": "agent", "agent": "codex", "note": "<b>x</b>"})).await;
    assert_eq!(status, 201, "{made}");
    let (_, listed) = rig.get("/api/v1/keys?scope=agent&agent=codex", &rig.bearer('a')).await;
    let key = &listed["items"][0];
    assert_eq!((&key["prefix"], &key["note"]), (&made["prefix"], &json!("<b>x</b>")));
    assert!(!listed.to_string().contains(made["key"].as_str().unwrap()), "{listed}");
    let bearer = vec![("authorization", format!("Bearer {}", made["key"].as_str().unwrap()))];
    assert_eq!(rig.get("/api/v1/runs?agent=codex", &bearer).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_who_did_what_and_who_was_refused() {
    let rig = Rig::new().await;
    let (prefix, reader) = (rig.key('o').prefix.clone(), rig.key('r').prefix.clone());
    let (_, session) = rig.log_in('o').await;
    let freeze = ("POST", "/api/v1/runs/r1/freeze");
    rig.ask(near(), freeze, &session, &json!({"reason": "too many forks"})).await;
    rig.ask(far(), freeze, &rig.bearer('r'), &json!({"reason": "a"})).await;
    rig.ask(near(), ("DELETE", "/api/v1/session"), &session, &json!({})).await;
    rig.get("/api/v1/runs", &session).await;
    let unix = Ends::Unix { uid: 7 };
    rig.ask(unix, ("DELETE", &format!("/api/v1/keys/{reader}")), &[], &json!({})).await;
    let (status, audit) = rig.get("/api/v1/audit?order=asc", &rig.bearer('a')).await;
    assert_eq!(status, 200, "{audit}");
    let rows: Vec<String> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let part = |name: &str| row[name].as_str().unwrap().to_owned();
            let who = part("who").replace(&prefix, "O").replace(&reader, "R");
            let who = match who.split_once(" of key ") {
                Some((_id, key)) => format!("session of {key}"),
                None => who,
            };
            let said =
                [part("action"), part("target"), part("why"), part("result"), part("source")].join(" | ");
            format!("{who}: {said}").replace(&reader, "R")
        })
        .collect();
    let expected = [
        "session of O: log_in | with a key |  | logged in | 127.0.0.1",
        "session of O: freeze | run r1 | too many forks | refused: no such run | 127.0.0.1",
        "key R: refusal | POST /api/v1/runs/r1/freeze |  | refused: forbidden | 198.51.100.7",
        "session of O: log_out |  |  | logged out | 127.0.0.1",
        "nobody: refusal | GET /api/v1/runs |  | refused: unauthorized | 127.0.0.1",
        "user 7 on the host: revoke_key | R |  | revoked R | unix socket",
    ];
    assert_eq!(rows, expected);
}
