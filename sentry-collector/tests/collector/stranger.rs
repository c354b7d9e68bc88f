//! Strangers on the host: who cannot prove to be the sensor gets nothing, changes nothing, and does
//! not disturb it.

use sentry_proto::v1::{self, from_collector::Message, from_sensor, item};
use serde_json::json;
use tonic::Code;

use crate::{
    commands::with_run,
    harness::{Collector, Sensor, hello},
    items::outcome,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_knows_the_id_gets_no_command_and_answers_none() {
    let collector = Collector::start();
    let mut sensor = with_run(&collector).await;
    let body = json!({"reason": "stop it", "key": "k1"});
    assert_eq!(collector.post("/api/v1/runs/r1/kill", &body).0, 202);

    let mut stranger = Sensor::silent(collector.channel().await).await;
    stranger.say(from_sensor::Message::Hello(hello("s1", "e1"))).await;
    let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome("r1")) };
    stranger.say(from_sensor::Message::CommandResult(result)).await;
    let heard = loop {
        match stranger.hear().await {
            Ok(Some(Message::Welcome(_) | Message::Command(_))) => break Ok(()),
            Ok(Some(_)) => {}
            Ok(None) => break Err(Code::Ok),
            Err(status) => break Err(status.code()),
        }
    };
    assert_eq!(heard, Err(Code::Unauthenticated));
    match sensor.hear().await.unwrap() {
        Some(Message::Command(command)) => assert_eq!(command.key, "k1"),
        other => unreachable!("the sensor's stream was replaced: {other:?}"),
    }
    assert_ne!(collector.read("/api/v1/commands/k1")["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gap_does_not_use_up_the_positions() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=1, 1).await;
    sensor.acked(1).await;
    let gap = v1::Gap { first: 2, last: (1 << 63) - 3, reason: "none".to_owned(), ..v1::Gap::default() };
    sensor.send(2, vec![item::Item::Gap(gap)]).await;
    let (acked, status) = sensor.end().await;
    assert_eq!((acked, status.code()), (0, Code::FailedPrecondition), "{}", status.message());
    let (_, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 1);
}
