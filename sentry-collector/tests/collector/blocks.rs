//! Blocks: taken whole, stored once, listed event by event; damaged ones cost themselves alone.

use std::collections::BTreeSet;

use prost::Message as _;
use rusqlite::Connection;
use sentry_proto::{
    ocsf,
    v1::{self, item},
};
use serde_json::{Value, json};
use tokio::task::block_in_place;
use tonic::Code;
use twox_hash::XxHash3_64;

use crate::{
    harness::{Collector, Sensor, hello, wait_until},
    ingest::{expected, stored, uid},
    items::{block, books, bulky, event, finding, process, run},
};

/// The collector's database, beside the collector.
fn database(collector: &Collector) -> Connection {
    Connection::open(collector.data.join("collector.db")).unwrap()
}

fn count(collector: &Collector, sql: &str) -> i64 {
    database(collector).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_it_takes_blocks() {
    let collector = Collector::start();
    let (_, welcome) = Sensor::prove(&collector, hello("s1", "e1")).await.unwrap();
    assert!(welcome.blocks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_covers_its_positions_and_is_listed_as_its_events_would_be() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let events: Vec<v1::Event> = (1..=400).map(|n| event("r1", n)).collect();
    let items = vec![item::Item::Block(block(&events)), finding("r1", 1, v1::Severity::High)];
    sensor.send(1, items).await;
    sensor.acked(401).await;
    let host = ocsf::HostContext {
        sensor: "s1",
        version: "0.1.0",
        host: "build-7",
        boot_id: "boot-1",
        container: None,
    };
    let listed = collector.items("/api/v1/events?limit=1000&order=asc");
    let rendered: Vec<Value> = events.iter().map(|event| ocsf::event(event, &host)).collect();
    assert_eq!(listed, rendered);
    assert_eq!(collector.metric("items_total{kind=\"event\"}"), 400);
    assert_eq!(collector.metric("commit_items_sum"), 401);
    assert_eq!(collector.items("/api/v1/sensors")[0]["epochs"][0]["acked"], 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_comes_again_with_other_borders_is_stored_from_its_first_new_event_on() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    sensor.send_block("r1", 2..=100).await;
    sensor.send_block("r1", 51..=150).await;
    sensor.send_events("r1", 140..=160, 3).await;
    sensor.send_block("r1", 2..=160).await;
    sensor.send_block("r1", 155..=170).await;
    sensor.acked(170).await;
    assert_eq!(stored(&collector, "r1"), expected("r1", 2..=170));
    assert_eq!(collector.metric("items_total{kind=\"event\"}"), 169);
    assert_eq!(collector.metric("duplicate_items_total"), 50 + 11 + 159 + 6);
    let run = &collector.items("/api/v1/runs")[0];
    assert_eq!(run["completeness"]["events_stored"], 169);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_before_a_block_is_refused() {
    let collector = Collector::start();
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_block("r1", 1..=4).await;
    sensor.send_block("r1", 9..=10).await;
    let (acked, status) = sensor.end().await;
    assert_eq!((acked, status.code()), (4, Code::FailedPrecondition));
    assert!(status.message().contains("expected position 5, got 9"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn single_events_of_older_sensors_are_stored_in_blocks() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let mixed =
        (1..=2000_u64).map(|n| item::Item::Event(event(if n.is_multiple_of(3) { "r1" } else { "r2" }, n)));
    sensor.send(1, mixed.collect()).await;
    sensor.acked(2000).await;
    assert_eq!(count(&collector, "SELECT count(*) FROM blocks"), 2);
    // As they came, whatever stands in which block.
    let listed: Vec<String> = collector.walk("/api/v1/events?limit=999&order=asc", uid);
    let sent: Vec<String> =
        (1..=2000_u64).map(|n| format!("{}-e-{n}", if n.is_multiple_of(3) { "r1" } else { "r2" })).collect();
    assert_eq!(listed, sent);
    let newest: Vec<String> = collector.walk("/api/v1/events?limit=999", uid);
    assert_eq!(newest, sent.into_iter().rev().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn small_blocks_are_merged_and_a_walk_goes_on_over_it() {
    const EVENTS: u64 = 400;
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    // Two slow runs, each event in a commit of its own.
    let name = |n: u64| if n.is_multiple_of(2) { "r1" } else { "r2" };
    for n in 1..=EVENTS / 2 {
        sensor.send_events(name(n), n..=n, 1).await;
        sensor.acked(n).await;
    }
    let half = collector.read("/api/v1/events?limit=60&order=asc");
    let cursor = half["next_cursor"].as_str().unwrap().to_owned();
    let newest = collector.read("/api/v1/events?limit=60");
    let newest_cursor = newest["next_cursor"].as_str().unwrap().to_owned();
    for n in EVENTS / 2 + 1..=EVENTS {
        sensor.send_events(name(n), n..=n, 1).await;
        sensor.acked(n).await;
    }
    block_in_place(|| {
        wait_until("blocks are merged", || count(&collector, "SELECT count(*) FROM blocks") < 2 * 64 + 2);
    });
    let id = |n: u64| format!("{}-e-{n}", name(n));
    let rest = |query: &str| -> Vec<String> {
        collector.items(&format!("/api/v1/events?limit=1000&{query}")).iter().map(uid).collect()
    };
    let newer: Vec<String> = (61..=EVENTS).map(id).collect();
    assert_eq!(rest(&format!("order=asc&cursor={cursor}")), newer);
    let older: Vec<String> = (1..=EVENTS / 2 - 60).rev().map(id).collect();
    assert_eq!(rest(&format!("cursor={newest_cursor}")), older);
    assert_eq!(stored(&collector, "r1").len() as u64, EVENTS / 2);
    let without = "SELECT (SELECT count(*) FROM bodies) - (SELECT count(*) FROM blocks)";
    assert_eq!(count(&collector, without), 0, "no body is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_for_a_block_is_stored_by_itself() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let mut large = event("r1", 2);
    let argv =
        v1::Argv { arguments: vec!["y".repeat(2 << 20)], truncated: false, full_length_bytes: 2 << 20 };
    large.process = Some(v1::Process { argv: Some(argv), ..process(7).unwrap() });
    let items = [event("r1", 1), large, event("r1", 3)].map(item::Item::Event);
    sensor.send(1, items.into()).await;
    sensor.acked(3).await;
    assert_eq!(collector.walk("/api/v1/events?order=asc&limit=1000", uid), ["r1-e-1", "r1-e-2", "r1-e-3"]);
    assert_eq!(collector.items("/api/v1/events?class_uid=1001").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_block_costs_itself_alone_and_is_counted() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let runs = ["r1", "r2", "r3"].map(|name| run(name, v1::RunState::Running, books(0, 0, 0)));
    sensor.send(1, runs.into()).await;
    for (name, first) in [("r1", 4), ("r2", 104), ("r3", 204)] {
        sensor.send_block(name, first..=first + 99).await;
        sensor.acked(first + 99).await;
    }
    let flipped = database(&collector).execute(
        "UPDATE bodies SET body = CAST(substr(body, 1, 200) || x'ff' || substr(body, 202) AS BLOB)
         WHERE id = (SELECT id FROM blocks WHERE run = 'r2')",
        [],
    );
    assert_eq!(flipped, Ok(1));
    let others =
        expected("r1", 4..=103).into_iter().chain(expected("r3", 204..=303)).collect::<BTreeSet<_>>();
    assert_eq!(BTreeSet::from_iter(collector.walk("/api/v1/events?limit=30", uid)), others);
    block_in_place(|| {
        wait_until("it is written off", || collector.metric("corrupt_blocks_total") == 1);
    });
    assert_eq!(collector.metric("lost_items_total"), 100);
    let gaps = collector.items("/api/v1/gaps");
    let told = ["first", "last", "lost", "reason", "items_by_run"].map(|key| gaps[0][key].clone());
    assert_eq!(told, [json!(104), json!(203), json!(100), json!("corrupt"), json!({"r2": 100})]);
    let of = |name: &str| collector.items(&format!("/api/v1/runs?run={name}"))[0]["completeness"].clone();
    assert_eq!((&of("r2")["complete"], &of("r2")["lost_in_gaps"]), (&json!(false), &json!(100)));
    assert_eq!(of("r1")["lost_in_gaps"], 0);
    assert_eq!(collector.items("/api/v1/sensors")[0]["epochs"][0]["lost"], 100);
    // Found once.
    assert_eq!(collector.walk("/api/v1/events?limit=1000", uid).len(), 200);
    assert_eq!(collector.metric("corrupt_blocks_total"), 1);
    sensor.send_block("r2", 304..=310).await;
    sensor.acked(310).await;
}

/// A block as somebody would make it who knows how checksums are made.
fn forged(block: &v1::Block, change: impl FnOnce(&mut v1::BlockHead, &mut Vec<u8>)) -> v1::Block {
    let mut head = v1::BlockHead::decode(&*block.head).unwrap();
    let mut body = block.body.clone();
    change(&mut head, &mut body);
    let head = head.encode_to_vec();
    let checksum = XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(&head), &body);
    v1::Block { head, body, checksum }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_blocks_are_refused_by_position_and_nothing_of_them_is_stored() {
    let collector = Collector::start();
    let good = block(&[event("r1", 3), event("r1", 4)]);
    let with = |change: fn(&mut v1::Event)| {
        let mut events = [event("r1", 3), event("r1", 4)];
        events.iter_mut().for_each(change);
        block(&events)
    };
    let hostile = [
        ("checksum", v1::Block { checksum: good.checksum ^ 1, ..good.clone() }),
        ("checksum", v1::Block { body: vec![0; 9], ..good.clone() }),
        ("checksum", v1::Block::default()),
        ("laid out", forged(&good, |head, _| head.count = 3)),
        ("laid out", forged(&good, |head, _| head.count = 1)),
        ("count", forged(&good, |head, _| head.count = 0)),
        ("count", forged(&good, |head, _| head.count = u32::MAX)),
        ("size", forged(&good, |head, _| head.plain_bytes = u32::MAX)),
        ("decompress", forged(&good, |head, _| head.plain_bytes /= 2)),
        ("decompress", forged(&good, |_, body| body.truncate(9))),
        ("layout 9", forged(&good, |head, _| head.layout = 9)),
        ("no run", forged(&good, |head, _| head.run.clear())),
        ("no run", forged(&good, |head, _| head.run = "r".repeat(1025))),
        ("no agent", forged(&good, |head, _| head.agent = None)),
        ("time of an event", forged(&good, |head, _| head.latest_unix_ns = head.earliest_unix_ns)),
        ("no process", with(|event| event.process = None)),
        ("no process", with(|event| event.process = Some(v1::Process::default()))),
        ("no kind", with(|event| event.kind = None)),
        ("no id", with(|event| event.id.clear())),
        ("no id", with(|event| event.id = "x".repeat(1025))),
    ];
    for (index, (why, bad)) in hostile.into_iter().enumerate() {
        let (sensor, _) = Sensor::connect(&collector, "s1", &format!("e{index}")).await;
        sensor.send_events("r1", 1..=1, 1).await;
        sensor.send(2, vec![item::Item::Event(event("r1", 2)), item::Item::Block(bad)]).await;
        let (acked, status) = sensor.end().await;
        assert_eq!((acked, status.code()), (1, Code::InvalidArgument), "{index} {why}");
        assert!(status.message().contains("position 3"), "{index} {why}: {}", status.message());
        assert!(status.message().contains(why), "{index} {why}: {}", status.message());
    }
    assert_eq!(count(&collector, "SELECT sum(events) FROM blocks WHERE run = 'r1'"), 20, "one of each epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_no_sensor_can_have_got_to_is_refused() {
    let collector = Collector::start();
    for (position, code) in [(u64::MAX, Code::InvalidArgument), ((1 << 63) - 3, Code::InvalidArgument)] {
        let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
        let bad = block(&[event("r1", 1), event("r1", 2), event("r1", 3)]);
        sensor.send(position, vec![item::Item::Block(bad)]).await;
        let (acked, status) = sensor.end().await;
        assert_eq!((acked, status.code()), (0, code), "{status:?}");
    }
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let bad = block(&[event("r1", 1)]);
    sensor.send((1 << 63) - 3, vec![item::Item::Block(bad)]).await;
    let (_, status) = sensor.end().await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("leap"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_that_swell_are_refused_together() {
    let collector = Collector::start();
    // 800 KiB that compress to nothing, 64 times.
    let mut swollen = event("r1", 1);
    let argv = v1::Argv { arguments: vec!["y".repeat(800 << 10)], truncated: false, full_length_bytes: 0 };
    swollen.process = Some(v1::Process { argv: Some(argv), ..process(7).unwrap() });
    let one = block(&[swollen]);
    assert!(one.body.len() < 8 << 10);
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![item::Item::Block(one); 64]).await;
    let (acked, status) = sensor.end().await;
    assert_eq!((acked, status.code()), (0, Code::InvalidArgument));
    assert!(status.message().contains("32 MiB"), "{}", status.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_blocks_go_when_there_are_too_many() {
    let collector = Collector::with("retention_bytes: 2097152");
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    for first in (2..=6_001).step_by(300) {
        let events: Vec<v1::Event> = (first..first + 300).map(|n| bulky("r1", n, 128)).collect();
        sensor.send(first, vec![item::Item::Block(block(&events))]).await;
    }
    sensor.acked(6_001).await;
    let mut left = Vec::new();
    block_in_place(|| {
        wait_until("it is below the limit and at rest", || {
            left = collector.walk("/api/v1/events?limit=1000&order=asc", uid);
            let pruned = &collector.items("/api/v1/runs")[0]["completeness"]["pruned"];
            left.len() < 6_000
                && *pruned == json!(6_000 - left.len())
                && collector.metric("stored_bytes") <= 2_097_152
        });
    });
    assert_eq!(left.last().map(String::as_str), Some("r1-e-6001"), "the oldest went");
    assert_eq!(left.len() % 300, 0, "block by block");
}
