//! What a run's sockets do is reported: who connects to whom and how it ends, who listens and
//! accepts, and the names that the packets carry.

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
    // The outcome comes when no process runs, and is reported for the one that connected.
    let actor = story::pid(story::only(&events, "connect")[0]);
    for end in story::only(&events, "connected") {
        assert_eq!(story::pid(end), actor, "{end:#}");
        assert_ne!(end["src_endpoint"]["port"], 0, "{end:#}");
    }
}

#[test]
fn sockets_of_every_family_and_their_peers_are_told() {
    require!("root", "trampoline");
    let (told, ports, dir, events) = told();
    let local = |what: &str| format!("accept tcp 127.0.0.1 {}", ports[what]);
    assert_eq!(
        lines(&told, &["accept"]),
        [local("tcp"), format!("accept tcp {SERVER} 53"), local("tls")],
        "the sides are ours"
    );
    let accepted = story::only(&events, "accept");
    let connected = story::only(&events, "connected");
    for accept in accepted {
        assert_eq!(accept["connection_info"]["direction"], "Inbound");
        let side = |end: &&&Value| end["src_endpoint"] == accept["src_endpoint"];
        assert!(connected.iter().any(|end| side(&end)), "{accept:#}");
    }
    assert_eq!(
        lines(&told, &["unix_connect", "unix_send"]),
        [
            format!("unix_connect own {dir}/stream"),
            format!("unix_send foreign {dir}/datagram"),
            format!("unix_connect own @workload-network-{dir}"),
        ],
        "the kernel keeps no process of a datagram socket that was only bound"
    );
    let actor = story::pid(story::only(&events, "unix_connect")[0]);
    for event in story::only(&events, "unix_connect") {
        assert_eq!(event["unmapped"]["peer_uid"], 0, "{event:#}");
        assert_eq!(event["unmapped"]["peer"]["pid"], actor, "{event:#}");
    }
    let (tcp, udp, stream, datagram) = ("socket inet 1", "socket inet 2", "socket unix 1", "socket unix 2");
    assert_eq!(
        lines(&told, &["socket"]),
        [
            tcp, tcp, tcp, udp, udp, stream, stream, datagram, datagram, stream, stream, udp, udp, tcp, tcp,
            tcp, tcp
        ]
    );
}

#[test]
fn the_names_in_packets_are_told() {
    require!("root", "packets");
    let (told, ports, _, events) = told();
    assert_eq!(
        lines(&told, &["dns_question", "dns_answer", "tls_hello"]),
        [
            format!("dns_question udp {SERVER} 53 www.example.org A"),
            format!("dns_answer udp {SERVER} 53 www.example.org A NOERROR 192.0.2.80"),
            format!("dns_question tcp {SERVER} 53 www.example.org A"),
            format!("dns_answer tcp {SERVER} 53 www.example.org A NOERROR 192.0.2.80"),
            format!("tls_hello tcp 127.0.0.1 {} secret.example.net", ports["tls"]),
        ],
        "{}",
        programs::text(&programs::finish(programs::command("sentry").arg("doctor")))
    );
    let actor = story::pid(story::only(&events, "connect")[0]);
    for event in events.iter().filter(|event| event["class_uid"] == 4003) {
        assert_eq!(story::pid(event), actor, "{event:#}");
    }
}

#[test]
fn the_report_says_how_much_went_to_whom() {
    require!("root", "packets");
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files").display().to_string();
    let ended = Order::new(&sensor, "flows").finish(&workload("workload_network", &[&dir, SERVER]));
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let printed = String::from_utf8(ended.output.stdout.clone()).unwrap();
    let port = |what: &str| {
        let lines = printed.lines().filter_map(|line| line.split_once(' '));
        lines.into_iter().find(|(name, _)| *name == what).unwrap().1.to_owned()
    };
    let report = ended.report();
    let bytes = |remote: String| {
        // In JSON the address is first.
        let (protocol, place) = remote.split_once(' ').unwrap();
        let remote = format!("{place} {protocol}");
        let flows = report["flows"].as_array().unwrap();
        let flow = flows.iter().find(|flow| flow["remote"] == remote.as_str());
        flow.map(|flow| (flow["bytes_out"].as_u64().unwrap(), flow["bytes_in"].as_u64().unwrap()))
    };
    // The client's side of each exchange; a question has 33 bytes, its answer 49.
    assert_eq!(bytes(format!("tcp 127.0.0.1:{}", port("tcp"))), Some((10, 0)), "{report:#}");
    assert_eq!(bytes(format!("udp 127.0.0.1:{}", port("udp"))), Some((13, 0)), "{report:#}");
    assert_eq!(bytes(format!("udp {SERVER}:53")), Some((33, 49)), "{report:#}");
    assert_eq!(bytes(format!("tcp {SERVER}:53")), Some((35, 51)), "{report:#}");
    // The server's side of the same.
    assert_eq!(bytes(format!("udp 127.0.0.1:{}", port("from"))), Some((49, 33)), "{report:#}");
    assert_eq!(report["complete"], true, "{report:#}");
}
