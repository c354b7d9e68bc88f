//! Triage: states of findings, comments, suppressions.

use sentry_proto::{
    ocsf,
    v1::{self, Severity, item::Item},
};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{
    harness::{Collector, Sensor, bearer, request},
    items::finding,
};

const OF_F1: &str = "/api/v1/findings/s1/r1/r1-f-1";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A collector that got findings 1 to 3 of run r1 from s1.
async fn with_findings() -> (Collector, Sensor) {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, (1..=3).map(|n| finding("r1", n, Severity::High)).collect()).await;
    sensor.acked(3).await;
    (collector, sensor)
}

/// The ids of the findings in this state, newest first.
fn of_state(collector: &Collector, state: &str) -> Vec<String> {
    let uid = |finding: &Value| finding["metadata"]["uid"].as_str().unwrap().to_owned();
    collector.items(&format!("/api/v1/findings?state={state}")).iter().map(uid).collect()
}

fn act(collector: &Collector, action: &str, body: &Value) -> Value {
    let (status, answer) = collector.post(&format!("{OF_F1}/{action}"), body);
    assert_eq!(status, 200, "{action}: {answer}");
    answer
}

/// What a suppression of `spawn-storm` of claude needs.
fn suppression(until_ms: i64) -> Value {
    json!({"rule": "spawn-storm", "agent": "claude", "until_ms": until_ms, "why": "a load test"})
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

fn delete(collector: &Collector, path: &str) -> u16 {
    request(collector.http, "DELETE", path, &bearer(&collector.admin_key()), None).0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_has_a_state_a_person_and_a_history() {
    let (mut collector, _sensor) = with_findings().await;
    assert_eq!(of_state(&collector, "open"), ["r1-f-3", "r1-f-2", "r1-f-1"]);
    act(&collector, "acknowledge", &json!({"comment": "it is mine"}));
    act(&collector, "assign", &json!({"assignee": "Ada"}));
    let again = act(&collector, "acknowledge", &json!({}));
    assert_eq!(again["history"].as_array().unwrap().len(), 2, "nothing new: {again}");
    act(&collector, "comment", &json!({"comment": "<b>a build</b>"}));
    assert_eq!(of_state(&collector, "acknowledged"), ["r1-f-1"]);
    assert_eq!(of_state(&collector, "open"), ["r1-f-3", "r1-f-2"]);
    let made = act(&collector, "resolve", &json!({}));
    assert_eq!(of_state(&collector, "resolved"), ["r1-f-1"]);
    let shown = &made["finding"];
    assert_eq!(ocsf::check(shown), Ok(()), "{shown}");
    assert_eq!((&shown["status_id"], &shown["status"]), (&json!(4), &json!("Resolved")));
    let triage = &shown["unmapped"]["triage"];
    assert_eq!((&triage["state"], &triage["assignee"]), (&json!("resolved"), &json!("Ada")));
    let history: Vec<_> = made["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| ["action", "assignee", "comment"].map(|name| act[name].as_str().unwrap_or("-").to_owned()))
        .collect();
    let expected = [
        ["acknowledge", "-", "it is mine"],
        ["assign", "Ada", ""],
        ["comment", "-", "<b>a build</b>"],
        ["resolve", "-", ""],
    ];
    assert_eq!(history, expected.map(|act| act.map(str::to_owned)));
    collector.kill_and_restart();
    assert_eq!(collector.read(OF_F1), made, "it is stored");
    act(&collector, "reopen", &json!({}));
    act(&collector, "assign", &json!({"assignee": null}));
    assert_eq!(collector.read(OF_F1)["finding"]["unmapped"]["triage"]["assignee"], Value::Null);
    let audit: Vec<_> = collector
        .items("/api/v1/audit?order=asc")
        .iter()
        .map(|row| ["action", "target", "why", "result"].map(|name| row[name].as_str().unwrap().to_owned()))
        .filter(|[action, ..]| action != "log_in")
        .collect();
    let noted = |action: &str, why: &str, result: &str| {
        [action, "finding r1-f-1 of s1", why, result].map(str::to_owned)
    };
    let expected = [
        noted("acknowledge", "it is mine", "done"),
        noted("assign", "", "done"),
        noted("acknowledge", "", "it was so already"),
        noted("comment", "<b>a build</b>", "done"),
        noted("resolve", "", "done"),
        noted("reopen", "", "done"),
        noted("assign", "", "done"),
    ];
    assert_eq!(audit, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_is_sent_again_keeps_its_state() {
    let (collector, sensor) = with_findings().await;
    act(&collector, "resolve", &json!({"comment": "known"}));
    drop(sensor);
    // The sensor has lost its spool and sends all of it again, another sensor the same id.
    for (name, epoch) in [("s1", "e2"), ("s2", "e1")] {
        let (mut sensor, _) = Sensor::connect(&collector, name, epoch).await;
        sensor.send(1, vec![finding("r1", 1, Severity::Critical)]).await;
        sensor.acked(1).await;
    }
    let states: Vec<_> = collector
        .items("/api/v1/findings?order=asc")
        .iter()
        .map(|finding| {
            let of = |value: &Value| value.as_str().unwrap().to_owned();
            let unmapped = &finding["unmapped"];
            [of(&unmapped["sensor"]), of(&finding["metadata"]["uid"]), of(&unmapped["triage"]["state"])]
        })
        .collect();
    let expected = [
        ["s1", "r1-f-1", "resolved"],
        ["s1", "r1-f-2", "open"],
        ["s1", "r1-f-3", "open"],
        ["s1", "r1-f-1", "resolved"],
        ["s2", "r1-f-1", "open"],
    ];
    assert_eq!(states, expected.map(|row| row.map(str::to_owned)));
    // Both rows go on together.
    act(&collector, "reopen", &json!({}));
    assert_eq!(of_state(&collector, "resolved"), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_finding_is_kept_and_is_not_open() {
    let (collector, mut sensor) = with_findings().await;
    act(&collector, "acknowledge", &json!({}));
    let (status, made) = collector.post("/api/v1/suppressions", &suppression(now_ms() + DAY_MS));
    assert_eq!(status, 201, "{made}");
    assert_eq!(of_state(&collector, "suppressed"), ["r1-f-3", "r1-f-2"], "what was open");
    assert_eq!(of_state(&collector, "acknowledged"), ["r1-f-1"], "somebody is at it");
    let Item::Finding(of_claude) = finding("r1", 5, Severity::High) else { unreachable!() };
    let of_codex = v1::Finding {
        agent: Some(v1::Agent { id: "codex".to_owned(), name: "Codex".to_owned() }),
        ..of_claude.clone()
    };
    let other_rule = v1::Finding { rule: "scan".to_owned(), id: "r1-f-6".to_owned(), ..of_claude };
    let sent = [Item::Finding(of_codex), Item::Finding(other_rule), finding("r1", 4, Severity::High)];
    sensor.send(4, sent.to_vec()).await;
    sensor.acked(6).await;
    assert_eq!(of_state(&collector, "suppressed"), ["r1-f-4", "r1-f-3", "r1-f-2"]);
    assert_eq!(of_state(&collector, "open"), ["r1-f-6", "r1-f-5"], "of another rule, of another agent");
    assert_eq!(collector.items("/api/v1/findings").len(), 6);
    let path = format!("/api/v1/suppressions/{}", made["id"]);
    assert_eq!([delete(&collector, &path), delete(&collector, &path)], [204, 404]);
    sensor.send(7, vec![finding("r1", 7, Severity::High)]).await;
    sensor.acked(7).await;
    assert_eq!(of_state(&collector, "open"), ["r1-f-7", "r1-f-6", "r1-f-5"], "it has ended");
    assert_eq!(of_state(&collector, "suppressed").len(), 3, "what it suppressed stays so");
    let listed = collector.items("/api/v1/suppressions");
    let row = &listed[0];
    assert_eq!((listed.len(), &row["findings"], &row["why"]), (1, &json!(3), &json!("a load test")));
    assert!(row["ended_ms"].is_i64() && row["ended_by"] == row["made_by"], "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused() {
    let (collector, _sensor) = with_findings().await;
    act(&collector, "resolve", &json!({}));
    let cases = [
        ("acknowledge", json!({}), 409),
        ("comment", json!({}), 400),
        ("comment", json!({"comment": " "}), 400),
        ("comment", json!({"comment": "x".repeat(4097)}), 400),
        ("resolve", json!({"assignee": "Ada"}), 400),
        ("assign", json!({"assignee": ""}), 400),
        ("assign", json!({"assignee": "x".repeat(201)}), 400),
        ("reopen", json!({"state": "open"}), 400),
        ("delete", json!({}), 404),
    ];
    for (action, body, expected) in cases {
        let (status, answer) = collector.post(&format!("{OF_F1}/{action}"), &body);
        assert_eq!(status, expected, "{action} {body}: {answer}");
    }
    for unknown in ["s2/r1/r1-f-1", "s1/r2/r1-f-1", "s1/r1/r1-f-9"] {
        let (status, answer) = collector.post(&format!("/api/v1/findings/{unknown}/resolve"), &json!({}));
        assert_eq!((status, &answer["code"]), (404, &json!("not_found")), "{unknown}");
        assert_eq!(collector.get(&format!("/api/v1/findings/{unknown}")).0, 404);
    }
    assert_eq!(collector.get("/api/v1/findings?state=closed").0, 400);
    let now = now_ms();
    let mut without_why = suppression(now + DAY_MS);
    without_why["why"] = json!(" ");
    for body in [suppression(now), suppression(now + 31 * DAY_MS), without_why, json!({})] {
        assert_eq!(collector.post("/api/v1/suppressions", &body).0, 400, "{body}");
    }
    let body = suppression(now + DAY_MS);
    let twice = [(); 2].map(|()| collector.post("/api/v1/suppressions", &body).0);
    assert_eq!(twice, [201, 409]);
    assert_eq!(["9", "x"].map(|id| delete(&collector, &format!("/api/v1/suppressions/{id}"))), [404, 404]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_key_sees_states_and_neither_comments_nor_suppressions() {
    let (collector, _sensor) = with_findings().await;
    act(&collector, "acknowledge", &json!({"comment": "let us watch it"}));
    block_in_place(|| {
        let (status, made) = collector.post("/api/v1/keys", &json!({"scope": "agent", "agent": "claude"}));
        assert_eq!(status, 201, "{made}");
        let key = bearer(made["key"].as_str().unwrap());
        let ask = |method, path: &str, body| request(collector.http, method, path, &key, body);
        let (status, found) = ask("GET", "/api/v1/findings?state=acknowledged", None);
        assert_eq!((status, found["items"].as_array().unwrap().len()), (200, 1));
        assert!(!found.to_string().contains("let us watch it"), "{found}");
        for path in [OF_F1, "/api/v1/suppressions"] {
            assert_eq!(ask("GET", path, None).0, 403, "{path}");
        }
        assert_eq!(ask("POST", &format!("{OF_F1}/resolve"), Some("{}")).0, 403);
    });
}
