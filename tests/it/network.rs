//! What a run's sockets do is told: who connects to whom and how it ends, who listens and accepts, and the names that
//! the packets carry.

use std::collections::HashMap;

use sentry_tests::{programs, require, sensor::Sensor, story, supervised::Order};
use serde_json::Value;

use crate::workload;

/// An address of loopback where nobody else speaks DNS.
const SERVER: &str = "127.9.9.9";

/// Lines that begin with one of these words.
fn lines(told: &[String], acts: &[&str]) -> Vec<String> {
    let is_one = |line: &&String| acts.iter().any(|act| line.split(' ').next() == Some(act));
    told.iter().filter(is_one).cloned().collect()
}

/// The story of the workload, the ports that it printed, its directory, and all events.
fn told() -> (Vec<String>, HashMap<String, String>, String, Vec<Value>) {
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let path = dir.display().to_string();
    let ended = Order::new(&sensor, "network").finish(&workload("workload_network", &[&path, SERVER]));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let events = sensor.events(&ended.run);
    assert_eq!(ended.report()["complete"], true, "{:#}", ended.report());
    let printed = String::from_utf8(ended.output.stdout.clone()).unwrap();
    let ports = printed.lines().filter_map(|line| line.split_once(' '));
    let ports = ports.map(|(what, port)| (what.to_owned(), port.to_owned())).collect();
    (story::of(&events, "network", &ended.run, &[&dir]), ports, path, events)
}

#[test]
fn connects_end_and_listeners_begin() {
    require!("root");
    let (told, ports, _, events) = told();
    let (tcp, udp, sender) = (&ports["tcp"], &ports["udp"], &ports["sender"]);
    let (resolver, tls) = (&ports["resolver"], &ports["tls"]);
    let expected = [
        format!("bind tcp 127.0.0.1 {tcp}"),
        format!("listen tcp 127.0.0.1 {tcp}"),
        format!("connect tcp 127.0.0.1 {tcp}"),
        format!("connected tcp 127.0.0.1 {tcp}"),
        format!("connect tcp 127.0.0.1 {tcp}"),
        format!("connected tcp 127.0.0.1 {tcp} error 111"),
        format!("bind udp 127.0.0.1 {udp}"),
        format!("bind udp 127.0.0.1 {sender}"),
        format!("send udp 127.0.0.1 {udp}"),
        format!("bind udp {SERVER} 53"),
        format!("bind udp 127.0.0.1 {resolver}"),
        format!("connect udp {SERVER} 53"),
        format!("send udp 127.0.0.1 {resolver}"),
        format!("bind tcp {SERVER} 53"),
        format!("listen tcp {SERVER} 53"),
        format!("connect tcp {SERVER} 53"),
        format!("connected tcp {SERVER} 53"),
        format!("bind tcp 127.0.0.1 {tls}"),
        format!("listen tcp 127.0.0.1 {tls}"),
        format!("connect tcp 127.0.0.1 {tls}"),
        format!("connected tcp 127.0.0.1 {tls}"),
    ];
    assert_eq!(lines(&told, &["bind", "listen", "connect", "connected", "send"]), expected);
    // The outcome comes when no process runs, and is told of the one that connected.
    let actor = story::pid(story::only(&events, "connect")[0]);
    for end in story::only(&events, "connected") {
        assert_eq!(story::pid(end), actor, "{end:#}");
        assert_ne!(end["src_endpoint"]["port"], 0, "{end:#}");
    }
}
