//! Keys and links as an administrator meets them: made and revoked on the host, at a collector that
//! runs.

use std::{fs, os::unix::fs::MetadataExt as _, process::Output};

use sentry_proto::v1;
use serde_json::{Value, json};

use crate::{
    harness::{Collector, Sensor, bearer, raw, request, run},
    items,
};

/// Runs a command against the collector's data directory.
fn ask(collector: &Collector, command: &[&str]) -> Output {
    run(&[command, &["--data-dir", collector.data.to_str().unwrap()]].concat())
}

fn told(collector: &Collector, command: &[&str]) -> String {
    let output = ask(collector, command);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    text
}

fn json_of(collector: &Collector, command: &[&str]) -> Value {
    serde_json::from_str(&told(collector, &[command, &["--json"]].concat())).unwrap()
}

/// A new key that reads the rows of this agent.
fn key_of(collector: &Collector, agent: &str) -> String {
    let (status, made) = collector.post("/api/v1/keys", &json!({"scope": "agent", "agent": agent}));
    assert_eq!(status, 201, "{made}");
    made["key"].as_str().unwrap().to_owned()
}

fn status(collector: &Collector, key: &str, path: &str) -> u16 {
    request(collector.http, "GET", path, &bearer(key), None).0
}

#[test]
fn the_first_start_leaves_an_admin_key_that_stays() {
    let mut collector = Collector::start();
    let (path, key) = (collector.data.join("admin.key"), collector.admin_key());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(status(&collector, &key, "/api/v1/keys"), 200);
    let store = fs::read(collector.data.join("collector.db")).unwrap();
    let log = fs::read(collector.data.join("collector.db-wal")).unwrap();
    let secret = key.as_bytes().rsplit(|byte| *byte == b'_').next().unwrap();
    assert!([store, log].iter().all(|bytes| !bytes.windows(secret.len()).any(|part| part == secret)));
    fs::remove_file(&path).unwrap();
    collector.kill_and_restart();
    assert_eq!(status(&collector, &key, "/api/v1/keys"), 200);
    assert!(!path.exists(), "it was made once");
}

#[test]
fn a_key_is_made_listed_and_revoked_on_the_host() {
    let mut collector = Collector::start();
    let text = told(&collector, &["key", "create", "--scope", "readonly", "--note", "grafana"]);
    let key = text.lines().next().unwrap().to_owned();
    assert_eq!(
        [status(&collector, &key, "/api/v1/runs"), status(&collector, &key, "/api/v1/keys")],
        [200, 403]
    );
    let listed = told(&collector, &["key", "list"]);
    assert!(listed.contains("grafana") && listed.contains("readonly") && !listed.contains(&key), "{listed}");
    let made =
        json_of(&collector, &["key", "create", "--scope", "agent", "--agent", "claude", "--days", "0"]);
    assert_eq!((&made["agent"], &made["expires_ms"]), (&json!("claude"), &Value::Null));
    collector.kill_and_restart();
    assert_eq!(status(&collector, &key, "/api/v1/runs"), 200, "it is stored");
    let prefix = key.split('_').nth(1).unwrap();
    let revoked = json_of(&collector, &["key", "revoke", prefix]);
    assert_eq!(revoked, json!({"revoked": [prefix]}));
    assert_eq!(status(&collector, &key, "/api/v1/runs"), 401);
    assert_eq!(ask(&collector, &["key", "revoke", prefix]).status.code(), Some(1));
    assert_eq!(ask(&collector, &["key", "revoke", "x/y"]).status.code(), Some(64));
    let admin = collector.admin_key();
    told(&collector, &["key", "revoke", "--all"]);
    assert_eq!(status(&collector, &admin, "/api/v1/keys"), 401);
    let keys = json_of(&collector, &["key", "list"])["keys"].as_array().unwrap().clone();
    assert!(keys.len() == 3 && keys.iter().all(|key| key["revoked_ms"].is_i64()), "{keys:?}");
}

#[test]
fn without_a_collector_the_commands_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["key", "list", "--data-dir", dir.path().to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("no collector answers at") && said.contains("admin.sock"), "{said}");
}

#[test]
fn a_link_logs_a_browser_in_once() {
    let collector = Collector::start();
    let url = told(&collector, &["login", "--scope", "operate"]);
    let (page, token) = url.trim().split_once("/login#token=").unwrap();
    assert_eq!(page, format!("http://{}", collector.http));
    let body = json!({ "token": token }).to_string();
    let log_in = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        collector.http,
        body.len()
    );
    let (head, answer) = raw(collector.http, &log_in);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["scopes"], &answer["agent"]), (&json!(["operate", "readonly"]), &Value::Null));
    let set = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    let cookie = format!("Cookie: {}\r\n", set.split(';').next().unwrap());
    let get = |path| request(collector.http, "GET", path, &cookie, None);
    assert_eq!(get("/api/v1/session"), (200, answer.clone()));
    assert_eq!((get("/api/v1/runs").0, get("/api/v1/keys").0), (200, 403));
    assert!(raw(collector.http, &log_in).0.starts_with("HTTP/1.1 401"), "the link worked once");
    let csrf = format!("{cookie}X-CSRF-Token: {}\r\n", answer["csrf"].as_str().unwrap());
    assert_eq!(request(collector.http, "DELETE", "/api/v1/session", &cookie, None).0, 403);
    assert_eq!(request(collector.http, "DELETE", "/api/v1/session", &csrf, None).0, 204);
    assert_eq!(get("/api/v1/session").0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_key_reads_its_agents_rows_only() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let state = items::run("r1", v1::RunState::Running, items::books(0, 0, 0));
    let outcome = v1::item::Item::Outcome(items::outcome("r1"));
    sensor.send(1, vec![state, items::decision("r1"), outcome]).await;
    sensor.send_events("r1", 4..=13, 5).await;
    sensor.send(14, vec![items::finding("r1", 1, v1::Severity::High)]).await;
    sensor.acked(14).await;
    let listings = ["agents", "runs", "events", "findings", "decisions", "outcomes"];
    let counts = |key: &str| {
        listings.map(|listing| {
            let path = format!("/api/v1/{listing}");
            let (status, page) = request(collector.http, "GET", &path, &bearer(key), None);
            assert_eq!(status, 200, "{listing}: {page}");
            page["items"].as_array().unwrap().len()
        })
    };
    let (own, other) = (key_of(&collector, "claude"), key_of(&collector, "codex"));
    assert_eq!((counts(&own), counts(&other)), ([1, 1, 10, 1, 1, 1], [0; 6]));
    let activity = "/api/v1/runs/r1/activity";
    assert_eq!([status(&collector, &own, activity), status(&collector, &other, activity)], [200, 404]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_did_is_of_its_sensor_and_agent_alone() {
    let collector = Collector::start();
    for (sensor, agent, events) in [("s1", "claude", 1..=10), ("s2", "codex", 11..=13)] {
        let (mut feed, _) = Sensor::connect(&collector, sensor, "e1").await;
        let agent = Some(v1::Agent { id: agent.to_owned(), name: agent.to_owned() });
        let state = items::run("r1", v1::RunState::Running, items::books(0, 0, 0));
        let v1::item::Item::Run(state) = state else { unreachable!() };
        let mut sent = vec![v1::item::Item::Run(v1::Run { agent: agent.clone(), ..state })];
        sent.extend(
            events
                .map(|n| v1::item::Item::Event(v1::Event { agent: agent.clone(), ..items::event("r1", n) })),
        );
        let last = sent.len() as u64;
        feed.send(1, sent).await;
        feed.acked(last).await;
    }
    let events = |key: &str| {
        let path = "/api/v1/runs/r1/activity";
        let (status, made) = request(collector.http, "GET", path, &bearer(key), None);
        assert_eq!(status, 200, "{made}");
        made["events"].clone()
    };
    let keys = [key_of(&collector, "claude"), key_of(&collector, "codex"), collector.admin_key()];
    // Who may read both runs of this id gets the one of the newest state.
    assert_eq!(keys.map(|key| events(&key)), [10, 3, 3].map(Value::from));
}
