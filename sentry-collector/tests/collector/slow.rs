//! Clients that take no answer, send no request, or do so too slowly: they cost little and are
//! closed, and whoever reads is served meanwhile.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use sentry_proto::v1::{self, event::Kind, item::Item};
use serde_json::json;
use tokio::task::block_in_place;

use crate::{
    harness::{Collector, PATIENCE, Sensor, wait_until},
    items::{books, event, run},
};

/// A page of events is more than a kernel takes from us for a client that reads nothing.
const PAGE: &str = "/api/v1/events?limit=1000";
/// What answers that nobody takes may add to the process.
const GROWTH_KIB: u64 = 128 << 10;

/// A run and a page of large events.
async fn fill(collector: &Collector) -> Sensor {
    let (mut sensor, _) = Sensor::connect(collector, "s1", "e1").await;
    sensor.send(1, vec![run("r1", v1::RunState::Running, books(0, 0, 0))]).await;
    let large = |n| {
        let mut event = event("r1", n);
        let arguments = vec!["x".repeat(8 << 10)];
        event.kind = Some(Kind::Exec(v1::Exec::default()));
        event.process.as_mut().unwrap().argv =
            Some(v1::Argv { arguments, truncated: false, full_length_bytes: 8 << 10 });
        Item::Event(event)
    };
    for first in [2, 102] {
        sensor.send(first, (first..first + 100).map(large).collect()).await;
    }
    sensor.acked(201).await;
    sensor
}

/// A connection that sent this and reads nothing.
fn send(collector: &Collector, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(collector.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// What is left in the connection, to its end.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut left = Vec::new();
    match stream.read_to_end(&mut left) {
        Ok(_) => left,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => left,
        Err(error) => panic!("it is not closed: {error}"),
    }
}

fn resident_kib(collector: &Collector) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", collector.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_that_stand_still_keep_nobody_else_waiting() {
    // Nobody is closed for being slow while this runs: what is shown is that places are found all
    // the same.
    let collector = Collector::with("http_patience_seconds: 300");
    let _sensor = fill(&collector).await;
    block_in_place(|| {
        let before = resident_kib(&collector);
        let (page, head) = (collector.get_text(PAGE), "GET /healthz HT");
        let mut idle = Vec::new();
        idle.extend((0..250).map(|_| send(&collector, &page)));
        idle.extend((0..600).map(|_| send(&collector, head)));
        let start = Instant::now();
        assert_eq!(collector.get("/healthz").0, 200);
        assert_eq!(collector.get("/readyz").0, 200);
        let (status, made) =
            collector.post("/api/v1/runs/r1/freeze", &json!({"reason": "too many forks", "key": "k1"}));
        assert_eq!(status, 202, "{made}");
        assert_eq!(collector.read("/api/v1/commands/k1")["key"], "k1");
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(collector.metric("http_closed_total") >= 88, "the places are fewer than the connections");
        let grown = resident_kib(&collector).saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{grown} KiB");
        drop(idle);
        // When they are gone listings are answered again.
        wait_until("a listing is answered", || collector.get(PAGE).0 == 200);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_or_sends_too_little_is_closed() {
    let collector = Collector::with("http_patience_seconds: 1");
    let _sensor = fill(&collector).await;
    block_in_place(|| {
        let page = collector.get_text(PAGE);
        let keep = page.replace("Connection: close\r\n", "");
        let whole = rest(&send(&collector, &page)).len();
        assert!(whole > 1 << 20, "{whole}");
        let reads_nothing = send(&collector, &page);
        let sends_ahead = send(&collector, &keep.repeat(100));
        let silent = send(&collector, "");
        let is_done = send(&collector, &keep.replace(PAGE, "/healthz"));
        let mut dribbles = send(&collector, "GET /healthz HTTP/1.1\r\n");
        wait_until("the dribbling one is closed", || dribbles.write_all(b"X: y\r\n").is_err());
        // This asks on a connection of its own, which is one of them.
        wait_until("all are closed", || collector.metric("http_connections") == 1);
        assert!(rest(&reads_nothing).len() < whole);
        assert!(rest(&sends_ahead).len() < 2 * whole);
        assert_eq!(rest(&silent).len(), 0);
        assert!(rest(&is_done).starts_with(b"HTTP/1.1 200"));
        assert_eq!(collector.metric("http_closed_total"), 5);
        assert_eq!(collector.get(PAGE).0, 200);
    });
}
