//! A full disk: no acknowledgement without a commit, reads go on, and when there is room again the
//! books close.

use std::{fs, path::Path};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::harness::{Collector, Sensor, hello, wait_until};

/// A file system of 2 MiB in memory; unmounted when the value goes.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    /// `None` where this process may not mount (needs `CAP_SYS_ADMIN`).
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        match mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some("size=2m")) {
            Ok(()) => Some(Self { dir }),
            Err(Errno::EPERM | Errno::EACCES) => None,
            Err(error) => panic!("cannot mount: {error}"),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        umount2(self.dir.path(), MntFlags::MNT_DETACH).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_acknowledgements_and_nothing_else() {
    const LAST: u64 = 3000;
    let Some(small) = Small::mount() else {
        println!("skipped: this process lacks CAP_SYS_ADMIN, which mounting a small file system needs");
        return;
    };
    let config = tempfile::tempdir().unwrap();
    let filler = small.path().join("filler");
    fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let mut collector = Collector::at(config.path(), &small.path().join("data"), "");
    let (mut sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    sensor
        .send(
            1,
            vec![crate::items::run("r1", sentry_proto::v1::RunState::Running, crate::items::books(0, 0, 0))],
        )
        .await;
    sensor.send_events("r1", 2..=10, 9).await;
    sensor.acked(10).await;
    let mut feed = JoinSet::new();
    feed.spawn(async move {
        sensor.send_bulky("r1", 11..=LAST, 10, 48).await;
        sensor
    });
    tokio::task::block_in_place(|| wait_until("the disk is full", || collector.get("/readyz").0 == 503));
    let (_, ready) = collector.get("/readyz");
    let reason = ready["reasons"][0].as_str().unwrap();
    assert!(reason.contains("full") && reason.contains("make room"), "{reason}");
    let mut health = HealthClient::new(collector.channel().await);
    let request = HealthCheckRequest { service: "agentsentry.v1.Feed".to_owned() };
    let status = health.check(request).await.unwrap().into_inner().status;
    assert_eq!(status, ServingStatus::NotServing as i32);
    // Reads go on, and show a state that does not move.
    let stored = collector.metric("items_total{kind=\"event\"}");
    assert!((9..LAST - 1).contains(&stored), "{stored}");
    let failures = collector.metric("commit_failures_total");
    tokio::task::block_in_place(|| {
        wait_until("it tries again", || collector.metric("commit_failures_total") > failures + 1);
    });
    assert_eq!(collector.metric("items_total{kind=\"event\"}"), stored);
    assert_eq!(collector.walk("/api/v1/events?limit=500", Value::to_string).len() as u64, stored);
    let (code, answer) = collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "a"}));
    assert_eq!((code, &answer["code"]), (503, &json!("unavailable")));
    assert!(collector.alive());
    // Room again: everything that was sent arrives without being sent again.
    fs::remove_file(&filler).unwrap();
    let mut sensor = feed.join_next().await.unwrap().unwrap();
    let mut acked = 10;
    while acked < LAST {
        match sensor.hear().await.unwrap() {
            Some(sentry_proto::v1::from_collector::Message::Ack(ack)) => acked = ack.seq,
            other => assert!(other.is_none(), "{other:?}"),
        }
    }
    assert_eq!(acked, LAST);
    assert_eq!(collector.get("/readyz").0, 200);
    let ids = collector.walk("/api/v1/events?limit=500", |event| event["metadata"]["uid"].to_string());
    assert_eq!(ids.len() as u64, LAST - 1);
    assert_eq!(collector.metric("duplicate_items_total"), 0);
    let (_, welcome) = Sensor::prove(&collector, hello("s1", "e1")).await.unwrap();
    assert_eq!(welcome.acked, LAST, "acknowledged = stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_with_a_full_disk_gives_up_in_time_and_loses_nothing_acknowledged() {
    let Some(small) = Small::mount() else {
        println!("skipped: this process lacks CAP_SYS_ADMIN, which mounting a small file system needs");
        return;
    };
    let config = tempfile::tempdir().unwrap();
    let filler = small.path().join("filler");
    fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let mut collector = Collector::at(config.path(), &small.path().join("data"), "");
    let (sensor, _) = Sensor::connect(&collector, "s1", "e1").await;
    let mut feed = JoinSet::new();
    feed.spawn(async move {
        sensor.send_bulky("r1", 1..=20_000, 100, 48).await;
        sensor.end().await
    });
    tokio::task::block_in_place(|| {
        wait_until("the disk is full", || collector.get("/readyz").0 == 503);
        collector.terminate();
        // Uncommitted items are no success.
        assert_eq!(collector.wait(), Some(74));
        fs::remove_file(&filler).unwrap();
    });
    let (acked, _) = feed.join_next().await.unwrap().unwrap();
    collector.kill_and_restart();
    let (_, stored) = Sensor::connect(&collector, "s1", "e1").await;
    assert_eq!(stored, acked);
}
