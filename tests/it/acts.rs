//! What a run does is reported act by act.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
};

use sentry_tests::{
    capability, programs, require,
    sensor::Sensor,
    story,
    supervised::{Ended, Order},
};
use serde_json::Value;

use crate::workload;

/// Listeners of one address family; the ports are in use as long as the value lives.
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn listeners(host: &str) -> (TcpListener, UdpSocket, [String; 2]) {
    let tcp = TcpListener::bind((host, 0)).unwrap();
    let udp = UdpSocket::bind((host, 0)).unwrap();
    let ports = [tcp.local_addr().unwrap().port().to_string(), udp.local_addr().unwrap().port().to_string()];
    (tcp, udp, ports)
}

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn act(sensor: &Sensor, dir: &std::path::Path, v4: &[String; 2], v6: &[String; 2]) -> (Ended, Vec<Value>) {
    let arguments = [dir.to_str().unwrap(), &v4[0], &v6[0], &v4[1], &v6[1]];
    let ended = Order::new(sensor, "acts").finish(&workload("workload_acts", &arguments));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let events = sensor.events(&ended.run);
    (ended, events)
}

/// First words of the lines that are compared.
const IN_ALL_TIERS: [&str; 14] = [
    "move ",
    "fork",
    "exec ",
    "exit ",
    "signal ",
    "read ",
    "create ",
    "update ",
    "rename ",
    "delete ",
    "connect ",
    "connected ",
    "bind ",
    "send ",
];

#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn stories_match(v6: &[String; 2]) {
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let (_tcp, _udp, v4) = listeners("127.0.0.1");
    let (ended, events) = act(&sensor, &dir, &v4, v6);
    let original = fs::canonicalize("/bin/true").unwrap();
    let acts = programs::path("workload_acts").canonicalize().unwrap();
    let told = story::of(&events, "acts", &ended.run, &[&dir, &original]);
    // Sockets are reported where they are made only on some tiers; `network.rs` asks for them.
    let told = told.into_iter().filter(|line| !line.starts_with("socket "));
    // The kernel chose the port of the UDP socket.
    let told: Vec<String> = told
        .map(|line| match line.rsplit_once(' ') {
            Some((bind, _port)) if line.starts_with("bind ") => bind.to_owned(),
            _ => line,
        })
        .collect();
    let (dir, acts) = (dir.display(), acts.display());
    let mut expected = vec![
        format!("move newcomer inside /agentsentry/{}", ended.run),
        format!("exec {acts}: {acts} {dir} {} {} {} {}", v4[0], v6[0], v4[1], v6[1]),
        format!("read {}", original.display()),
        format!("create {dir}/true"),
        "fork".to_owned(),
        format!("exec {dir}/true: {dir}/true 'an argument'"),
        format!("exit 0: {dir}/true"),
        format!("read {dir}/true"),
        format!("read {dir}/true"),
        format!("rename {dir}/true to {dir}/renamed"),
        format!("delete {dir}/renamed"),
    ];
    for (ip, any, [tcp, udp]) in [("127.0.0.1", "0.0.0.0", &v4), ("::1", "::", v6)] {
        if tcp != "0" {
            expected.extend([
                format!("connect tcp {ip} {tcp}"),
                format!("connected tcp {ip} {tcp}"),
                format!("bind udp {any}"),
                format!("send udp {ip} {udp}"),
                format!("connect udp {ip} {udp}"),
            ]);
        }
    }
    expected.push(format!("exit 0: {acts}"));
    // The other acts differ from tier to tier; they have tests of their own.
    let (mut told, mut expected) = (told, expected);
    told.retain(|line| IN_ALL_TIERS.iter().any(|act| line.starts_with(act)));
    // Each ring has an order of its own; between them only the times give an order.
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    whole(&ended, &events);
}

/// The sequences have no holes, the books close, and the run says that it is complete.
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn whole(ended: &Ended, events: &[Value]) {
    let report = ended.report();
    assert_eq!(report["complete"], true, "{report:#}");
    for ring in ["critical", "bulk"] {
        let sequences: Vec<u64> = events
            .iter()
            .filter(|event| event["unmapped"]["ring"] == ring)
            .map(|event| event["metadata"]["sequence"].as_u64().unwrap())
            .collect();
        let books = &report["run"]["rings"][ring];
        assert_eq!(books["generated"], books["delivered"], "{report:#}");
        assert_eq!(sequences, (1..=books["generated"].as_u64().unwrap()).collect::<Vec<_>>());
    }
}

#[test]
fn every_act_is_one_valid_event_with_its_real_object() {
    require!("root");
    stories_match(&["0".into(), "0".into()]);
}

#[test]
fn acts_over_ipv6_are_told_too() {
    require!("root", "ipv6");
    let (_tcp, _udp, v6) = listeners("::1");
    stories_match(&v6);
}

#[test]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn an_exec_is_described_in_full() {
    require!("root");
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let (_tcp, _udp, v4) = listeners("127.0.0.1");
    let (ended, events) = act(&sensor, &dir, &v4, &["0".into(), "0".into()]);
    let execs = story::only(&events, "exec");
    assert_eq!(execs.len(), 2, "{execs:#?}");
    let (parent, child) = (execs[0], execs[1]);
    let path = dir.join("true");
    assert_eq!(child["class_uid"], 1007);
    assert_eq!(child["type_uid"], 100_701);
    assert_eq!(child["launch_type"], "Exec");
    assert_eq!(child["process"]["file"]["path"], path.to_str().unwrap());
    assert_eq!(child["process"]["file"]["type"], "Regular File");
    assert_eq!(child["process"]["user"]["uid"], "0");
    assert_eq!(child["process"]["parent_process"]["uid"], parent["process"]["uid"]);
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(child["process"]["working_directory"], here.to_str().unwrap());
    assert_eq!(child["unmapped"]["argv"], Value::Null, "it stands with the process");
    let argv = &child["unmapped"]["process"]["argv"];
    assert_eq!(argv["arguments"], serde_json::json!([path.to_str().unwrap(), "an argument"]));
    assert_eq!(argv["truncated"], false);
    // The same process from its exec to its end.
    let ends = story::only(&events, "exit");
    assert_eq!(ends[0]["process"]["uid"], child["process"]["uid"]);
    assert_eq!(ends[0]["exit_code"], 0);
    assert_eq!(ended.report()["run"]["counters"]["execs"], 2);
}

#[test]
fn an_open_says_whether_it_was_only_an_attempt() {
    require!("root");
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let (_tcp, _udp, v4) = listeners("127.0.0.1");
    let (_ended, events) = act(&sensor, &dir, &v4, &["0".into(), "0".into()]);
    // Tier C sees what the call returned, the better tiers see it before the kernel's last checks.
    let early = capability::tier() != "C";
    for act in ["open", "unlink", "rename"] {
        for event in story::only(&events, act) {
            assert_eq!(event["unmapped"]["attempt"], early, "{event:#}");
            assert_eq!(event.get("status_id").is_some(), !early, "{event:#}");
        }
    }
}
