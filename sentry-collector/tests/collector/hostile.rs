//! Bytes that no client should send, at both ports: refused, and everybody else goes on.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use sentry_proto::v1::{self, from_sensor, item};
use tonic::Code;

use crate::{
    harness::{Collector, PATIENCE, Sensor, get_text, raw},
    items::event,
};

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Writes bytes and reads whatever comes until the other side closes or the writer has closed.
fn throw(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The other side may close at the first bytes.
    stream.write_all(bytes).ok();
    stream.shutdown(std::net::Shutdown::Write).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_harm_nobody() {
    let mut collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config::default());
        let strategy = prop::collection::vec(any::<u8>(), 0..4096);
        for round in 0..200 {
            let bytes = strategy.new_tree(&mut runner).unwrap().current();
            let with_preface = [HTTP2, &bytes].concat();
            throw(&collector.grpc, if round % 2 == 0 { &bytes } else { &with_preface });
            throw(&collector.http.to_string(), &bytes);
            let text = String::from_utf8_lossy(&bytes).replace(['\r', '\n'], "");
            let http = collector.http;
            throw(&http.to_string(), collector.get_text(&format!("/api/v1/events?{text}")).as_bytes());
        }
    });
    sensor.send_events("r1", 1..=10, 5).await;
    sensor.acked(10).await;
    assert!(collector.alive());
    assert_eq!(collector.items("/api/v1/events").len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_ends_its_stream_only() {
    let collector = Collector::start();
    let (mut good, _) = Sensor::connect(&collector, "s2", "e1").await;
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=1, 1).await;
    let mut huge = event("r1", 2);
    huge.id = "x".repeat(5 << 20);
    sensor.send(2, vec![item::Item::Event(huge)]).await;
    let (acked, status) = sensor.end().await;
    assert_eq!((acked, status.code()), (1, Code::OutOfRange), "{status:?}");
    good.send_events("r2", 1..=2, 2).await;
    good.acked(2).await;
    // Large but allowed: one finding of 3 MiB.
    let (mut sensor, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 1);
    let mut large = event("r1", 2);
    large.process.as_mut().unwrap().argv =
        Some(v1::Argv { arguments: vec!["y".repeat(3 << 20)], truncated: false, full_length_bytes: 3 << 20 });
    sensor.send(2, vec![item::Item::Event(large)]).await;
    sensor.acked(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_messages_are_refused() {
    let collector = Collector::start();
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor
        .say(from_sensor::Message::Items(v1::Items { first_seq: 1, items: vec![v1::Item { item: None }] }))
        .await;
    let (_, status) = sensor.end().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("position 1"), "{}", status.message());
    // No items at all are no fault.
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(7, Vec::new()).await;
    sensor.send_events("r1", 1..=1, 1).await;
    sensor.acked(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_heads_and_bodies_are_refused() {
    let collector = Collector::start();
    let head = get_text(collector.http, &format!("/{}", "a".repeat(100_000)));
    let (head, _) = tokio::task::block_in_place(|| raw(collector.http, &head));
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    let lying = format!(
        "POST /api/v1/runs/r/kill HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: \
        application/json\r\n\
         Content-Length: 99999999999\r\n\r\n",
        collector.http
    );
    let (head, _) = tokio::task::block_in_place(|| raw(collector.http, &lying));
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}
