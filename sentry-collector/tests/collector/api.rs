//! Listings: filters, paging, shapes, completeness, refusals.

use std::collections::BTreeSet;

use sentry_proto::{ocsf, v1};
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{
    harness::{Collector, Sensor, get_text, hello, raw, wait_until},
    items::{START_NS, books, decision, event, finding, outcome, run},
};

const START_MS: u64 = START_NS / 1_000_000;

fn uid(event: &Value) -> String {
    event["metadata"]["uid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_sees_everything_once_while_inserts_go_on() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=1000, 100).await;
    sensor.acked(1000).await;
    let before: BTreeSet<String> = (1..=1000).map(|n| format!("r1-e-{n}")).collect();
    let writing = async {
        sensor.send_events("r1", 1001..=6000, 20).await;
        sensor.acked(6000).await;
    };
    let walking = async {
        block_in_place(|| {
            for path in ["/api/v1/events?limit=7", "/api/v1/events?limit=9&order=asc&run=r1"] {
                let ids = collector.walk(path, uid);
                let once: BTreeSet<String> = ids.iter().cloned().collect();
                assert_eq!(once.len(), ids.len(), "{path}: something came twice");
                assert!(once.is_superset(&before), "{path}: something is missing");
            }
        });
    };
    tokio::join!(writing, walking);
    assert_eq!(collector.walk("/api/v1/events?limit=1000", uid).len(), 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=30, 30).await;
    sensor.send_events("r2", 31..=60, 30).await;
    let findings = [v1::Severity::Low, v1::Severity::High, v1::Severity::Critical];
    sensor
        .send(61, findings.iter().map(|severity| finding("r1", *severity as u64, *severity)).collect())
        .await;
    sensor.acked(63).await;
    let (mut other, _) = Sensor::connect(&collector, "s2", "e1").await;
    other.send_events("r3", 1..=10, 10).await;
    other.acked(10).await;
    let count = |path: &str| collector.items(path).len();
    assert_eq!(count("/api/v1/events?run=r1"), 30);
    assert_eq!(count("/api/v1/events?sensor=s2"), 10);
    assert_eq!(count("/api/v1/events?agent=claude"), 70);
    assert_eq!(count("/api/v1/events?agent=nobody"), 0);
    assert_eq!(count("/api/v1/events?class_uid=1007"), 23, "every third is an exec");
    assert_eq!(count("/api/v1/events?class_uid=4001&run=r3"), 4);
    // since is inclusive, until is not.
    assert_eq!(count(&format!("/api/v1/events?run=r1&since={}&until={}", START_MS + 5, START_MS + 8)), 3);
    assert_eq!(count("/api/v1/findings?severity=high"), 1);
    assert_eq!(count("/api/v1/findings?severity=5&run=r1"), 1);
    assert_eq!(count("/api/v1/findings"), 3);
    assert_eq!(count("/api/v1/findings?run=r2"), 0);
    let newest = collector.read("/api/v1/events?limit=1&run=r2");
    assert_eq!(uid(&newest["items"][0]), "r2-e-60");
    assert!(newest["next_cursor"].is_string());
    assert_eq!(collector.read("/api/v1/events?limit=30&run=r2")["next_cursor"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_path_program_and_destination() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    // Of every three one opens a connection and one removes `/tmp/N`.
    sensor.send_block("r1", 1..=300).await;
    sensor.send_events("r2", 301..=330, 30).await;
    sensor.acked(330).await;
    let ids = |query: &str| collector.walk(&format!("/api/v1/events?limit=7&order=asc&{query}"), uid);
    assert_eq!(ids("path=/tmp/50"), ["r1-e-50"]);
    assert_eq!(ids("path=50"), ["r1-e-50"], "a name in any directory");
    assert_eq!(ids("path=/tmp/32*&run=r2"), ["r2-e-320", "r2-e-323", "r2-e-326", "r2-e-329"]);
    assert_eq!(ids("path=/nowhere"), [] as [&str; 0]);
    assert_eq!(ids("destination=127.0.0.0/8&run=r2").len(), 10);
    assert_eq!(ids("destination=:443"), [] as [&str; 0]);
    assert_eq!(ids("program=curl"), [] as [&str; 0]);
    assert_eq!(ids("type=unlink&path=/tmp/50"), ["r1-e-50"]);
    assert_eq!(ids("type=exec,connect&run=r2").len(), 20);
    assert_eq!(ids("pid=7,100&uid=0"), [] as [&str; 0], "nothing is known of the user");
    assert_eq!(ids("pid=7,100&run=r2").len(), 30);
    assert_eq!(ids("libraries=no&run=r2").len(), 30);
    assert_eq!(ids("libraries=yes&run=r2").len(), 30);
    for wrong in ["path=%5B", "type=reed", "pid=x", "uid=-1", "libraries=maybe"] {
        let (status, refused) = collector.get(&format!("/api/v1/events?{wrong}"));
        assert_eq!(status, 400, "{wrong}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_findings_are_ocsf_and_stay_the_same() {
    let mut collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=3, 3).await;
    sensor.send(4, vec![finding("r1", 1, v1::Severity::High)]).await;
    sensor.acked(4).await;
    let read = |collector: &Collector| {
        let mut all = collector.items("/api/v1/events");
        all.extend(collector.items("/api/v1/findings"));
        all
    };
    let before = read(&collector);
    for value in &before {
        assert_eq!(ocsf::check(value), Ok(()), "{value}");
    }
    let host = ocsf::HostContext {
        sensor: "s1",
        version: "0.1.0",
        host: "build-7",
        boot_id: "boot-1",
        container: None,
    };
    assert_eq!(before[0], ocsf::event(&event("r1", 3), &host));
    assert_eq!(before[3]["class_uid"], 2004);
    // A later boot of the host does not rewrite what was seen in the one before.
    let again = v1::Hello { boot_id: "boot-2".to_owned(), ..hello("s1", "e1") };
    drop(Sensor::prove(&collector, again).await.unwrap());
    collector.kill_and_restart();
    assert_eq!(read(&collector), before);
    assert_eq!(collector.items("/api/v1/sensors")[0]["boot_id"], "boot-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_a_run_names_its_container() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let v1::item::Item::Run(run) = run("r1", v1::RunState::Running, books(3, 3, 0)) else { unreachable!() };
    let container = v1::Container {
        engine: "docker".to_owned(),
        id: "85ea".to_owned(),
        name: "worker".to_owned(),
        rung: "files".to_owned(),
        ..v1::Container::default()
    };
    let run = v1::Run { container: Some(container.clone()), ..run };
    sensor.send(1, vec![v1::item::Item::Run(run)]).await;
    sensor.send_events("r1", 2..=3, 2).await;
    sensor.send(4, vec![finding("r1", 1, v1::Severity::High)]).await;
    sensor.send_events("r2", 5..=5, 1).await;
    sensor.acked(5).await;
    let expected = json!(sentry_view::Container::from(&container));
    assert_eq!(collector.items("/api/v1/runs?run=r1")[0]["container"], expected);
    for path in ["/api/v1/events?run=r1", "/api/v1/findings"] {
        let items = collector.items(path);
        assert!(!items.is_empty(), "{path}");
        for item in items {
            assert_eq!(ocsf::check(&item), Ok(()), "{item}");
            assert_eq!(item["unmapped"]["container"], expected, "{item}");
        }
    }
    let other = &collector.items("/api/v1/events?run=r2")[0];
    assert_eq!(other["unmapped"]["container"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_tell_no_finding_from_not_complete() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let blind = match run("blind", v1::RunState::Ended, books(1, 1, 0)) {
        v1::item::Item::Run(run) => {
            v1::item::Item::Run(v1::Run { interruptions: 1, untold: 2, skipped: 3, ..run })
        }
        other => other,
    };
    let items = vec![
        run("whole", v1::RunState::Running, books(1, 1, 0)),
        run("lossy", v1::RunState::Ended, books(10, 7, 3)),
        run("open", v1::RunState::Ended, books(10, 8, 0)),
        run("whole", v1::RunState::Ended, books(5, 5, 0)),
        blind,
    ];
    sensor.send(1, items).await;
    sensor.send_events("whole", 6..=10, 5).await;
    sensor.send(11, vec![decision("whole"), v1::item::Item::Outcome(outcome("whole"))]).await;
    sensor.acked(12).await;
    let one = |name: &str| collector.items(&format!("/api/v1/runs?run={name}"))[0].clone();
    let whole = one("whole");
    assert_eq!(whole["state"], "ended");
    assert_eq!(whole["sensor_connected"], true);
    assert_eq!(whole["cgroup"]["id"], u64::MAX.to_string());
    assert_eq!(
        whole["completeness"],
        json!({
            "complete": true, "final": true, "missing": [],
            "rings": {
                "critical": {"generated": 5, "delivered": 5, "lost": 0, "throttled": 0},
                "bulk": {"generated": 0, "delivered": 0, "lost": 0, "throttled": 0},
            },
            "events_stored": 5, "findings_stored": 0, "lost_in_gaps": 0, "lost_in_unnamed_gaps": 0,
            "pruned": 0,
        })
    );
    assert_eq!(one("lossy")["completeness"]["missing"], json!(["the critical ring lost 3 records"]));
    assert_eq!(
        one("open")["completeness"]["missing"],
        json!(["the books of the critical ring do not close"])
    );
    assert_eq!(
        one("blind")["completeness"]["missing"],
        json!([
            "the sensor was away 1 times while the run lived",
            "2 acts have no record",
            "the kernel left out 3 calls of programs while the run lived",
        ])
    );
    let listed: Vec<String> =
        collector.walk("/api/v1/runs?limit=2", |run| run["id"].as_str().unwrap().to_owned());
    assert_eq!(listed, ["blind", "open", "lossy", "whole"], "a new state does not move a run");
    let agents = collector.items("/api/v1/agents");
    assert_eq!((agents.len(), &agents[0]["runs"], &agents[0]["runs_live"]), (1, &json!(4), &json!(0)));
    let decisions = collector.items("/api/v1/decisions?agent=claude");
    assert_eq!((&decisions[0]["action"], &decisions[0]["mode"]), (&json!("freeze"), &json!("enforce")));
    assert_eq!(collector.items("/api/v1/outcomes?run=whole")[0]["result"], "applied");
    // The spool is lost: a new epoch brings the next state of a run that began in the old one.
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e2").await;
    sensor.send(1, vec![run("whole", v1::RunState::Ended, books(5, 5, 0))]).await;
    sensor.acked(1).await;
    assert_eq!(
        one("whole")["completeness"]["missing"],
        json!(["the sensor lost its spool while the run lived"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_go_when_there_are_too_many_and_runs_say_so() {
    let collector = Collector::with("retention_bytes: 2097152");
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    sensor.send_bulky("r1", 2..=12_000, 500, 64).await;
    sensor.acked(12_000).await;
    // The writer acknowledges first and tidies up then; what counts is a walk during which nothing
    // was removed.
    let (mut left, mut pruned) = (Vec::new(), 0);
    wait_until("it is below the limit and at rest", || {
        pruned = collector.metric("pruned_items_total");
        left = collector.walk("/api/v1/events?limit=1000&order=asc", uid);
        collector.metric("stored_bytes") <= 2_097_152 && collector.metric("pruned_items_total") == pruned
    });
    assert!(pruned > 0);
    assert_eq!(left.len() as u64 + pruned, 11_999, "stored + removed = sent");
    assert_eq!(left.last().map(String::as_str), Some("r1-e-12000"), "the oldest went");
    let run = &collector.items("/api/v1/runs")[0];
    assert_eq!(run["completeness"]["complete"], false);
    assert_eq!(run["completeness"]["pruned"], pruned);
    assert_eq!(run["completeness"]["events_stored"], 11_999);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_clearly() {
    let collector = Collector::start();
    let bad = [
        ("/api/v1/events?colour=red", 400, "bad_request"),
        ("/api/v1/events?limit=0", 400, "bad_request"),
        ("/api/v1/events?limit=1001", 400, "bad_request"),
        ("/api/v1/events?cursor=x", 400, "bad_request"),
        ("/api/v1/findings?severity=awful", 400, "bad_request"),
        ("/api/v1/events?run=a&run=b", 400, "bad_request"),
        ("/api/v1/nothing", 404, "not_found"),
        ("/api/v1/commands/none", 404, "not_found"),
        ("/api/v1/runs/r1/freeze", 405, "method_not_allowed"),
    ];
    for (path, status, code) in bad {
        let (found, body) = collector.get(path);
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(!body["detail"].as_str().unwrap().is_empty());
    }
    let (_, body) = collector.get("/api/v1/events?colour=red");
    let message = body["detail"].as_str().unwrap();
    assert!(message.contains("\"colour\"") && message.contains("class_uid"), "{message}");
    assert_eq!(collector.read("/api/v1/events"), json!({"items": [], "next_cursor": null}));
    assert!(collector.metric("api_requests_total{status=\"4xx\"}") >= 9);
    let (head, _) = raw(collector.http, &get_text(collector.http, "/metrics"));
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_sensor_is_another_session_and_a_new_connection_is_none() {
    let collector = Collector::start();
    for version in ["0.1.0", "0.1.0", "0.2.0"] {
        let hello = v1::Hello { version: version.to_owned(), ..hello("s1", "e1") };
        let (sensor, _) = Sensor::prove(&collector, hello).await.unwrap();
        sensor.close().await;
    }
    let sessions = collector.items("/api/v1/sessions?order=asc&sensor=s1");
    let versions: Vec<&Value> = sessions.iter().map(|session| &session["version"]).collect();
    assert_eq!(versions, ["0.1.0", "0.2.0"]);
    assert_eq!(sessions[1]["limits"], json!(["cannot refuse an open"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn describes_itself_to_everybody() {
    let collector = Collector::start();
    let described = collector.read("/api/v1/openapi.json");
    assert_eq!(described["openapi"], "3.1.0");
    let paths: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    let expected = [
        "/api/v1/agents",
        "/api/v1/audit",
        "/api/v1/commands/{key}",
        "/api/v1/decisions",
        "/api/v1/events",
        "/api/v1/findings",
        "/api/v1/findings/{sensor}/{run}/{id}",
        "/api/v1/findings/{sensor}/{run}/{id}/{action}",
        "/api/v1/gaps",
        "/api/v1/keys",
        "/api/v1/keys/{prefix}",
        "/api/v1/links",
        "/api/v1/live",
        "/api/v1/openapi.json",
        "/api/v1/outcomes",
        "/api/v1/runs",
        "/api/v1/runs/{run}/activity",
        "/api/v1/runs/{run}/{action}",
        "/api/v1/sensors",
        "/api/v1/session",
        "/api/v1/sessions",
        "/api/v1/suppressions",
        "/api/v1/suppressions/{id}",
        "/healthz",
        "/metrics",
        "/readyz",
    ];
    assert_eq!(paths, expected);
    let secured = |path: &str, method: &str| described["paths"][path][method]["security"].clone();
    let act = ["admin", "operate"];
    assert_eq!(secured("/api/v1/runs/{run}/{action}", "post"), json!([{"key": act}, {"session": act}]));
    let own = ["admin", "operate", "readonly", "agent"];
    assert_eq!(secured("/api/v1/runs", "get"), json!([{"key": own}, {"session": own}]));
    let read = ["admin", "operate", "readonly"];
    assert_eq!(secured("/metrics", "get"), json!([{}, {"key": read}, {"session": read}]));
    assert_eq!(secured("/api/v1/openapi.json", "get"), Value::Null);
    let (head, _) = raw(collector.http, &get_text(collector.http, "/api/v1/openapi.json"));
    assert!(head.contains("application/json"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_did_is_folded_from_its_events() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    sensor.send_events("r1", 2..=31, 30).await;
    sensor.acked(31).await;
    let made = collector.read("/api/v1/runs/r1/activity");
    assert_eq!((&made["run"], &made["events"], &made["more"]), (&"r1".into(), &30.into(), &false.into()));
    let destinations = &made["activity"]["destinations"];
    assert_eq!(
        (&destinations[0]["remote"], &destinations[0]["attempts"]),
        (&"127.0.0.1:80 tcp".into(), &10.into())
    );
    assert_eq!(made["activity"]["processes"][0]["pid"], 100);
    assert_eq!(made["activity"]["changes"].as_array().map(Vec::len), Some(10), "{made:#}");
    assert_eq!(collector.get("/api/v1/runs/nobody/activity").0, 404);
}
