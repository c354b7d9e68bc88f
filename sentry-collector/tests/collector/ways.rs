//! Ways to prove who is who: the unix socket, and that one way does not stand in for another.

use std::path::Path;

use tonic::Code;

use crate::harness::{Collector, Sensor, channel, hello, keys, run};

fn at_socket(dir: &Path, lines: &str) -> Collector {
    let socket = dir.join("feed.sock");
    let lines = format!("listen_grpc: unix:{}\n{lines}", socket.display());
    Collector::at(dir, &dir.join("data"), &lines)
}

/// The code and the message of who is refused.
async fn greets(collector: &Collector, sensor: &str) -> Result<u64, (Code, String)> {
    match Sensor::greet(channel(&collector.grpc).await, hello(sensor, "e1")).await {
        Ok((_, welcome)) => Ok(welcome.acked),
        Err(status) => Err((status.code(), status.message().to_owned())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_speaks_for_the_first_sensor_that_said_hello() {
    let dir = tempfile::tempdir().unwrap();
    let mut collector = at_socket(dir.path(), "");
    assert_eq!(greets(&collector, "a").await, Ok(0));
    for _ in 0..2 {
        let (code, why) = greets(&collector, "b").await.unwrap_err();
        assert_eq!(code, Code::PermissionDenied);
        assert!(
            why.contains("speaks for sensor \"a\"") && why.contains("set `feed_sensor` to b in"),
            "{why}"
        );
        assert_eq!(greets(&collector, "a").await, Ok(0));
        collector.kill_and_restart();
    }
    assert_eq!(collector.items("/api/v1/sensors").len(), 1, "who was refused left no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_speaks_for_the_sensor_that_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let collector = at_socket(dir.path(), "feed_sensor: b\n");
    let (code, why) = greets(&collector, "a").await.unwrap_err();
    assert_eq!(code, Code::PermissionDenied);
    assert!(why.contains("\"b\", not for \"a\""), "{why}");
    assert_eq!(greets(&collector, "b").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_not_listed_is_refused_at_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    // Neither root nor who runs this.
    let collector = at_socket(dir.path(), "feed_users: [4242]\n");
    let (code, why) = greets(&collector, "a").await.unwrap_err();
    assert_eq!(code, Code::PermissionDenied);
    let own = nix::unistd::geteuid();
    assert!(why.contains(&format!("user {own} may not speak")) && why.contains("feed_users"), "{why}");
    assert_eq!(collector.metric("unproven_streams_total"), 1);
    assert_eq!(collector.items("/api/v1/sensors").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_changes_its_way_of_proof_by_an_operator_only() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut collector = at_socket(dir.path(), "");
    assert_eq!(greets(&collector, "s1").await, Ok(0));
    collector.terminate();
    assert_eq!(collector.wait(), Some(0));
    let keyed = format!("listen_grpc: 127.0.0.1:0\n{}", keys(dir.path()));
    let start = || Collector::at(dir.path(), &data, &keyed);
    let mut collector = start();
    let refused = Sensor::prove(&collector, hello("s1", "e1")).await.err().unwrap();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("by socket so far and does by key now"), "{}", refused.message());
    assert!(refused.message().contains("`sentry-collector feed-reset s1`"), "{}", refused.message());
    let reset = |sensor: &str| {
        let output = run(&["feed-reset", sensor, "--data-dir", data.to_str().unwrap()]);
        output.status.code()
    };
    assert_eq!(reset("s1"), Some(73), "the collector runs");
    collector.terminate();
    assert_eq!(collector.wait(), Some(0));
    assert_eq!((reset("nobody"), reset("s1")), (Some(66), Some(0)));
    let collector = start();
    assert!(Sensor::prove(&collector, hello("s1", "e1")).await.is_ok());
}
