//! Commands: once per key, delivered until answered, also over reconnects and restarts.

use sentry_proto::v1::{self, from_collector::Message, from_sensor};
use serde_json::{Value, json};

use crate::{
    harness::{Collector, Sensor, raw, wait_until},
    items::{books, outcome, run},
};

pub(crate) async fn with_run(collector: &Collector) -> Sensor {
    let (mut sensor, acked) = Sensor::connect(collector, "s1", "e1").await;
    if acked == 0 {
        sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
        sensor.acked(1).await;
    }
    sensor
}

async fn command(sensor: &mut Sensor) -> v1::Command {
    match sensor.hear().await.unwrap() {
        Some(Message::Command(command)) => command,
        other => panic!("expected a command, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_out_and_its_outcome_comes_back() {
    let collector = Collector::start();
    let mut sensor = with_run(&collector).await;
    let (status, made) =
        collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "too many forks", "key": "k1"}));
    assert_eq!(status, 202, "{made}");
    assert_eq!(
        (&made["key"], &made["state"], &made["outcome"]),
        (&json!("k1"), &json!("pending"), &Value::Null)
    );
    let got = command(&mut sensor).await;
    assert_eq!((got.key.as_str(), got.run.as_str(), got.reason.as_str()), ("k1", "r1", "too many forks"));
    assert_eq!(got.action(), v1::Action::Freeze);
    wait_until("it counts as delivered", || collector.read("/api/v1/commands/k1")["state"] == "delivered");
    let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome("r1")) };
    sensor.say(from_sensor::Message::CommandResult(result.clone())).await;
    wait_until("it is done", || collector.read("/api/v1/commands/k1")["state"] == "done");
    let done = collector.read("/api/v1/commands/k1");
    assert_eq!((&done["outcome"]["result"], &done["outcome"]["processes"]), (&json!("applied"), &json!(4)));
    // A later, different result changes nothing.
    let mut late = result;
    late.outcome.as_mut().unwrap().processes = 99;
    sensor.say(from_sensor::Message::CommandResult(late)).await;
    assert_eq!(sensor.close().await.1.code(), tonic::Code::Ok);
    assert_eq!(collector.read("/api/v1/commands/k1")["outcome"]["processes"], 4);
    assert_eq!(collector.metric("command_results_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_for_its_sensor_and_comes_again_until_answered() {
    let mut collector = Collector::start();
    drop(with_run(&collector).await);
    let (status, made) = collector.post("/api/v1/runs/r1/kill", &json!({"reason": "stop it"}));
    assert_eq!(status, 202);
    let key = made["key"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let mut sensor = with_run(&collector).await;
        let got = command(&mut sensor).await;
        assert_eq!((got.key.as_str(), got.action()), (key.as_str(), v1::Action::Kill));
    }
    collector.kill_and_restart();
    let mut sensor = with_run(&collector).await;
    assert_eq!(command(&mut sensor).await.key, key);
    let result = v1::CommandResult { key: key.clone(), outcome: Some(outcome("r1")) };
    sensor.say(from_sensor::Message::CommandResult(result)).await;
    wait_until("it is done", || collector.read(&format!("/api/v1/commands/{key}"))["state"] == "done");
    drop(sensor);
    // Answered commands do not come again: the next thing heard is the next command.
    let mut sensor = with_run(&collector).await;
    collector.post("/api/v1/runs/r1/thaw", &json!({"reason": "go on", "key": "k2"}));
    assert_eq!(command(&mut sensor).await.key, "k2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_command() {
    let collector = Collector::start();
    let mut sensor = with_run(&collector).await;
    let body = json!({"reason": "a", "key": "k1"});
    assert_eq!(collector.post("/api/v1/runs/r1/freeze", &body).0, 202);
    assert_eq!(collector.post("/api/v1/runs/r1/freeze", &body).0, 200);
    assert_eq!(collector.post("/api/v1/runs/r1/kill", &body).0, 409);
    assert_eq!(collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "b", "key": "k1"})).0, 409);
    assert_eq!(collector.metric("commands_total"), 1);
    assert_eq!(command(&mut sensor).await.key, "k1");
    collector.post("/api/v1/runs/r1/thaw", &json!({"reason": "a", "key": "k2"}));
    assert_eq!(command(&mut sensor).await.key, "k2", "k1 went out once on this stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sensor_cannot_answer() {
    let collector = Collector::start();
    let _sensor = with_run(&collector).await;
    collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "a", "key": "k1"}));
    let (other, _) = Sensor::connect(&collector, "s2", "e1").await;
    let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome("r1")) };
    other.say(from_sensor::Message::CommandResult(result)).await;
    assert_eq!(other.close().await.1.code(), tonic::Code::Ok);
    assert_ne!(collector.read("/api/v1/commands/k1")["state"], "done");
    let (other, _) = Sensor::connect(&collector, "s2", "e1").await;
    other
        .say(from_sensor::Message::CommandResult(v1::CommandResult { key: "k1".into(), outcome: None }))
        .await;
    assert_eq!(other.end().await.1.code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_commands_that_make_no_sense() {
    let collector = Collector::start();
    let _sensor = with_run(&collector).await;
    let good = json!({"reason": "a"});
    let refused = [
        ("/api/v1/runs/nobody/freeze", good.clone(), 404),
        ("/api/v1/runs/r1/explode", good, 404),
        ("/api/v1/runs/r1/freeze", json!({}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": " "}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": 1}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": "a", "key": ""}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": "a", "force": true}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": "x".repeat(5000)}), 400),
        ("/api/v1/runs/r1/freeze", json!({"reason": "x".repeat(20_000)}), 413),
    ];
    for (path, body, status) in refused {
        let (found, answer) = collector.post(path, &body);
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    // What a web page of another origin can send without asking has another content type.
    let text = format!(
        "POST /api/v1/runs/r1/kill HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: \
        text/plain\r\n{}\
         Content-Length: 14\r\n\r\n{{\"reason\":\"x\"}}",
        collector.http,
        collector.authorization()
    );
    assert!(raw(collector.http, &text).0.starts_with("HTTP/1.1 415"));
    for index in 0..64 {
        assert_eq!(
            collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "a", "key": format!("{index}")})).0,
            202
        );
    }
    assert_eq!(collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "a"})).0, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_two_sensors_is_ambiguous() {
    let collector = Collector::start();
    let _first = with_run(&collector).await;
    let (mut second, _) = Sensor::connect(&collector, "s2", "e1").await;
    second.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    second.acked(1).await;
    assert_eq!(collector.post("/api/v1/runs/r1/kill", &json!({"reason": "a"})).0, 409);
    assert_eq!(collector.items("/api/v1/runs?run=r1").len(), 2);
}
