//! Order, duplicates, gaps, refusals, replacement, drain.

use std::collections::BTreeSet;

use sentry_proto::v1::{self, from_sensor, item};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    harness::{Collector, Sensor, hello, wait_until},
    items::{event, finding, gap},
};

pub(crate) fn uid(event: &serde_json::Value) -> String {
    event["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Every event of the run, and that none came twice.
pub(crate) fn stored(collector: &Collector, run: &str) -> BTreeSet<String> {
    let ids = collector.walk(&format!("/api/v1/events?limit=1000&run={run}"), uid);
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "an event is stored twice");
    set
}

pub(crate) fn expected(run: &str, positions: impl Iterator<Item = u64>) -> BTreeSet<String> {
    positions.map(|n| format!("{run}-e-{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_every_position_once_whatever_is_repeated() {
    let collector = Collector::start();
    let (mut sensor, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 0);
    sensor.send_events("r1", 1..=300, 7).await;
    sensor.acked(300).await;
    // All again, in other pieces, with 100 new ones at the end.
    sensor.send_events("r1", 1..=400, 64).await;
    sensor.acked(400).await;
    sensor.send_events("r1", 350..=360, 3).await;
    assert_eq!(sensor.close().await.1.code(), Code::Ok);
    assert_eq!(stored(&collector, "r1"), expected("r1", 1..=400));
    assert_eq!(collector.metric("items_total{kind=\"event\"}"), 400);
    assert_eq!(collector.metric("duplicate_items_total"), 311);
    // Another epoch of the same sensor begins at 1 again; the old one is remembered.
    let (sensor, acked) = Sensor::connect(&collector, "s1", "e2").await;
    assert_eq!(acked, 0);
    drop(sensor);
    assert_eq!(Sensor::connect(&collector, "s1", "e1").await.1, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_in_groups_under_load() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=5000, 5).await;
    sensor.acked(5000).await;
    let per_commit = 5000 / collector.metric("commits_total");
    assert!(per_commit >= 64, "{per_commit} items per commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_hole_and_names_it() {
    let collector = Collector::start();
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=4, 4).await;
    sensor.send_events("r1", 9..=10, 2).await;
    let (acked, status) = sensor.end().await;
    assert_eq!(acked, 4, "what came before the hole is acknowledged");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("expected position 5, got 9"), "{}", status.message());
    assert_eq!(stored(&collector, "r1"), expected("r1", 1..=4));
    assert_eq!(collector.metric("refused_streams_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_stands_for_its_positions() {
    let collector = Collector::start();
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let start = crate::items::run("r1", v1::RunState::Running, crate::items::books(0, 0, 0));
    let other = crate::items::run("r2", v1::RunState::Running, crate::items::books(0, 0, 0));
    sensor.send(1, vec![start, other, item::Item::Event(event("r1", 3))]).await;
    // The gap stands at 4 and covers 4..=10; the next item is 11.
    sensor.send(4, vec![gap(4, 10, &[("r1", 5)]), item::Item::Event(event("r1", 11))]).await;
    sensor.acked(11).await;
    // The same gap again, then a wider one of which only 12..=20 is new.
    sensor.send(4, vec![gap(4, 10, &[("r1", 5)])]).await;
    sensor.send(8, vec![gap(8, 20, &[("r2", 3)]), item::Item::Event(event("r1", 21))]).await;
    sensor.acked(21).await;
    assert_eq!(stored(&collector, "r1"), expected("r1", [3, 11, 21].into_iter()));
    let gaps = collector.items("/api/v1/gaps?order=asc");
    let ranges: Vec<_> = gaps.iter().map(|gap| (gap["first"].as_u64(), gap["last"].as_u64())).collect();
    assert_eq!(ranges, [(Some(4), Some(10)), (Some(12), Some(20))]);
    assert_eq!(gaps[0]["items_by_run_exact"], true);
    assert_eq!(gaps[1]["items_by_run_exact"], false);
    assert_eq!(collector.metric("lost_items_total"), 16);
    let sensors = collector.items("/api/v1/sensors");
    assert_eq!(sensors[0]["epochs"][0]["acked"], 21);
    assert_eq!(sensors[0]["epochs"][0]["lost"], 16, "5 stored + 16 lost = 21 positions");
    // Both runs are named as incomplete, each with its own count.
    let run = &collector.items("/api/v1/runs?run=r1")[0];
    assert_eq!(run["completeness"]["complete"], false);
    assert_eq!(run["completeness"]["lost_in_gaps"], 5);
    assert_eq!(collector.items("/api/v1/gaps?run=r2").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_malformed_and_names_the_position() {
    let collector = Collector::start();
    let mut nameless = event("r1", 3);
    nameless.run.clear();
    let mut kindless = event("r1", 3);
    kindless.kind = None;
    let bad = [
        (item::Item::Event(nameless), "no run"),
        (item::Item::Event(kindless), "no kind"),
        (gap(2, 5, &[]), "does not begin"),
        (gap(3, 2, &[]), "ends before"),
        (gap(3, u64::MAX, &[]), "2^63"),
        (gap(3, 4, &[("r1", 3)]), "more items than it covers"),
        (finding("", 1, v1::Severity::High), "no run"),
    ];
    for (index, (item, why)) in bad.into_iter().enumerate() {
        let (sensor, _) = Sensor::connect(&collector, "s1", &format!("e{index}")).await;
        sensor.send_events("r1", 1..=1, 1).await;
        sensor.send(2, vec![item::Item::Event(event("r1", 2)), item]).await;
        let (acked, status) = sensor.end().await;
        assert_eq!((acked, status.code()), (1, Code::InvalidArgument), "{why}");
        assert!(status.message().contains("position 3"), "{}", status.message());
        assert!(status.message().contains(why), "{}", status.message());
    }
    let (sensor, _) = Sensor::connect(&collector, "s1", "zero").await;
    sensor.send_events("r1", 0..=0, 1).await;
    assert_eq!(sensor.end().await.1.code(), Code::InvalidArgument);
    let (sensor, _) = Sensor::connect(&collector, "s1", "end").await;
    sensor.send(u64::MAX, vec![item::Item::Event(event("r1", 1)); 2]).await;
    assert_eq!(sensor.end().await.1.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_with_one_good_hello() {
    let collector = Collector::start();
    let sensor = Sensor::silent(collector.channel().await).await;
    sensor.send_events("r1", 1..=1, 1).await;
    assert_eq!(sensor.end().await.1.code(), Code::FailedPrecondition);
    for bad in [hello("", "e1"), hello("s1", ""), hello(&"s".repeat(1025), "e1")] {
        let refused = Sensor::greet(collector.channel().await, bad).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.say(from_sensor::Message::Hello(hello("s1", "e1"))).await;
    assert_eq!(sensor.end().await.1.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_stream_replaces_the_older() {
    let collector = Collector::start();
    let (mut older, _) = Sensor::connect(&collector, "s1", "e1").await;
    older.send_events("r1", 1..=5, 5).await;
    older.acked(5).await;
    let (mut newer, acked) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(acked, 5);
    assert_eq!(older.end().await.1.code(), Code::Aborted);
    newer.send_events("r1", 6..=6, 1).await;
    newer.acked(6).await;
    assert_eq!(collector.metric("sensors_connected"), 1);
    let (other, _) = Sensor::connect(&collector, "s2", "e1").await;
    assert_eq!(collector.metric("sensors_connected"), 2);
    drop((newer, other));
    wait_until("both are gone", || collector.metric("sensors_connected") == 0);
}

/// Passes bytes to the collector, at most `budget`, then cuts the connection.
async fn cutting_proxy(tasks: &mut JoinSet<()>, target: String, budget: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(target).await.unwrap();
        let (client_read, mut client_write) = client.split();
        let (mut server_read, mut server_write) = server.split();
        let mut limited = client_read.take(budget);
        tokio::select! {
            _ = copy(&mut limited, &mut server_write) => {}
            _ = copy(&mut server_read, &mut client_write) => {}
        }
        server_write.shutdown().await.ok();
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_anywhere_loses_and_repeats_nothing() {
    const LAST: u64 = 600;
    let collector = Collector::start();
    let mut proxies = JoinSet::new();
    let mut acked = 0;
    for cut in 0.. {
        let budget = 700 + cut * 4001;
        let address = cutting_proxy(&mut proxies, collector.grpc.clone(), budget).await;
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let Ok(channel) = endpoint.connect().await else { continue };
        let greeted = Sensor::prove_at(channel, collector.address(), hello("s1", "e1")).await;
        let Ok((sensor, welcome)) = greeted else { continue };
        assert!(welcome.acked >= acked, "what was acknowledged stays");
        acked = welcome.acked;
        if acked == LAST {
            break;
        }
        // Resend from far behind what is stored.
        sensor.send_events("r1", (acked / 2 + 1)..=LAST, 50).await;
        acked = acked.max(sensor.close().await.0);
        assert!(cut < 100, "no progress");
    }
    assert_eq!(stored(&collector, "r1"), expected("r1", 1..=LAST));
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_on_sigterm() {
    let mut collector = Collector::start();
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor.send_events("r1", 1..=200, 10).await;
    wait_until("something is stored", || collector.metric("items_total{kind=\"event\"}") > 0);
    collector.terminate();
    let (acked, status) = sensor.end().await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(collector.wait(), Some(0));
    collector.kill_and_restart();
    assert_eq!(Sensor::connect(&collector, "s1", "e1").await.1, acked, "all that is stored was acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_that_it_serves() {
    let collector = Collector::start();
    let mut health = HealthClient::new(collector.channel().await);
    let request = HealthCheckRequest { service: "agentsentry.v1.Feed".to_owned() };
    let status = health.check(request).await.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::Serving as i32);
    assert_eq!(collector.read("/healthz")["status"], "ok");
    assert_eq!(collector.read("/readyz")["ready"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn listens_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("feed.sock");
    let mut collector = Collector::with(&format!("listen_grpc: unix:{}", socket.display()));
    assert_eq!(collector.grpc, format!("unix:{}", socket.display()));
    let connect = || async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("unix:{}", socket.display())).unwrap();
        let channel = endpoint.connect().await.unwrap();
        Sensor::greet(channel, hello("s1", "e1")).await.unwrap()
    };
    let (mut sensor, _) = connect().await;
    sensor.send_events("r1", 1..=3, 3).await;
    sensor.acked(3).await;
    // The socket file that a killed process leaves is no obstacle.
    collector.kill_and_restart();
    assert_eq!(connect().await.1.acked, 3);
    collector.terminate();
    assert_eq!(collector.wait(), Some(0));
    assert!(!socket.exists(), "the socket is removed at the end");
}
