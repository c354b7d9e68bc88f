//! Requests to services outside of the run: what is one, and how often it is a finding.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use sentry_detect::{
    act::{FileAct, SocketAct},
    decision::Action,
    event::{Endpoint, EventKind, OpenIntent, Ring},
    finding::{Finding, Reach},
    rule::left_control::LEFT_CONTROL,
    rule::settings::Settings,
    run::{Mode, ProcessKey, fate::Fate},
    runaway::{Severity, Term},
};

use crate::support::{Input, START, Trace, detector, feed, file, findings, run_id, settings};

const LISTED: [&str; 13] = [
    "docker",
    "containerd",
    "podman",
    "cri-o",
    "buildkit",
    "lxd",
    "incus",
    "libvirt",
    "systemd",
    "snapd",
    "tmux",
    "screen",
    "dbus",
];

fn unix(service: Option<&str>, peer_in_run: bool, error: Option<u32>) -> EventKind {
    EventKind::Unix {
        name: "/run/some.sock".to_owned(),
        datagram: false,
        peer: Some(ProcessKey { tgid: 812, start_boot_ns: 5 }),
        peer_uid: Some(0),
        peer_in_run,
        peer_executable: Some("/usr/bin/somed".to_owned()),
        service: service.map(str::to_owned),
        error,
    }
}

fn connected(local: [u8; 4], remote: [u8; 4], port: u16, error: Option<u32>) -> EventKind {
    let side =
        |address: [u8; 4], port| Endpoint { address: IpAddr::V4(Ipv4Addr::from(address)), port, protocol: 6 };
    EventKind::Socket {
        act: SocketAct::Connected,
        family: 2,
        socket_type: 1,
        local: Some(side(local, 40_000)),
        remote: Some(side(remote, port)),
        cookie: 1,
        error,
    }
}

fn opened(path: &str, write: bool) -> EventKind {
    let intent = OpenIntent { read: !write, write, truncate: false, append: false, path_only: false, raw: 0 };
    EventKind::Open { file: file(path), intent, created: write, attempt: false }
}

fn linked(path: &str) -> EventKind {
    EventKind::File {
        act: FileAct::Link,
        file: Some(file("/tmp/mine")),
        new_path: Some(file(path).path),
        detail: 0,
        text: None,
        attempt: false,
        error: None,
    }
}

fn found(kinds: Vec<EventKind>) -> Vec<Finding> {
    let mut trace = Trace::new();
    for kind in kinds {
        trace.event(Ring::Bulk, kind, &["/usr/bin/agent"]);
    }
    trace.pass(100, 0.0);
    findings(Settings::default(), &trace.inputs)
}

#[test]
fn a_request_names_who_asked_whom() {
    let all = found(vec![unix(Some("docker"), false, None)]);
    let [finding] = all.as_slice() else { unreachable!("{all:?}") };
    assert_eq!(finding.signal.rule, LEFT_CONTROL);
    assert_eq!((finding.signal.severity, finding.signal.confidence), (Severity::High, 0.9));
    assert_eq!(
        finding.signal.summary,
        "/usr/bin/agent turned to docker, which can work for it outside of the run: socket /run/some.sock of \
        process 812 (/usr/bin/somed)."
    );
    assert_eq!(finding.evidence, [format!("{}-b-1", run_id())]);
    assert_eq!(finding.tags, ["attack:T1610", "attack:T1609", "owasp-asi:ASI03", "owasp-asi:ASI10"]);
    assert!(finding.signal.arithmetic.iter().all(Term::holds));
    let value =
        |name: &str| finding.signal.arithmetic.iter().find(|term| term.name == name).map(|term| term.value);
    assert_eq!((value("requests so far"), value("peer process")), (Some(1.0), Some(812.0)));
    assert!(finding.since_unix_ns >= START && finding.since_unix_ns <= finding.time_unix_ns);
}

#[test]
fn every_listed_service_is_one_finding() {
    let all = found(LISTED.iter().flat_map(|name| vec![unix(Some(name), false, None); 3]).collect());
    assert_eq!(all.len(), LISTED.len());
    for (finding, name) in all.iter().zip(LISTED) {
        assert!(finding.signal.summary.contains(&format!(" {name}, ")), "{finding:?}");
    }
}

#[test]
fn what_an_agent_does_anyway_is_none() {
    let harmless = ["journald", "syslog", "nscd", "sd-notify", "ssh-agent", "x11", "pulseaudio"];
    let mut kinds: Vec<_> = harmless.iter().map(|name| unix(Some(name), false, None)).collect();
    kinds.extend([
        unix(None, false, None),
        // Its own server, and one that was not reached.
        unix(Some("tmux"), true, None),
        unix(Some("docker"), false, Some(111)),
        connected([127, 0, 0, 1], [127, 0, 0, 1], 22, Some(111)),
        connected([127, 0, 0, 1], [127, 0, 0, 1], 443, None),
        // Another host is no way out of this one.
        connected([192, 0, 2, 1], [192, 0, 2, 9], 22, None),
        opened("/etc/crontab", false),
        opened("/home/a/var/spool/cron/x", true),
        linked("/tmp/other"),
    ]);
    assert_eq!(found(kinds), []);
}

#[test]
fn ports_are_ways_too() {
    let one = |kind| found(vec![kind]).pop().map(|finding| (finding.signal.summary, finding.tags));
    let ways = [
        (
            connected([127, 0, 0, 1], [127, 0, 0, 1], 22, None),
            "ssh",
            "TCP 127.0.0.1 port 22",
            "attack:T1021.004",
        ),
        (
            connected([192, 0, 2, 1], [192, 0, 2, 1], 2375, None),
            "docker",
            "TCP 192.0.2.1 port 2375",
            "attack:T1610",
        ),
    ];
    for (kind, name, way, tag) in ways {
        let (summary, tags) = one(kind).unwrap_or_default();
        assert!(
            summary.contains(&format!(" {name}, ")) && summary.ends_with(&format!("{way}.")),
            "{summary}"
        );
        assert!(tags.contains(&tag.to_owned()), "{tags:?}");
    }
}

#[test]
fn a_request_that_nobody_can_take_is_found_later() {
    let mut trace = Trace::new();
    trace.event(Ring::Bulk, unix(Some("docker"), false, None), &["/usr/bin/agent"]);
    let mut detector = detector(Settings::default());
    assert_eq!(feed(&mut detector, &trace.inputs), []);
    assert!(detector.record(trace.now + 50 * crate::support::MS, trace.counters));
    let mut later = |ms| {
        let counters = trace.counters;
        let input = Input::Reading { now_unix_ns: trace.now + ms * crate::support::MS, counters };
        feed(&mut detector, &[input])
    };
    let found = later(100);
    assert!(found[0].signal.summary.starts_with("/usr/bin/agent turned to docker"), "{found:?}");
    assert_eq!((found.len(), later(200)), (1, vec![]));
}

#[test]
fn it_is_only_recorded() {
    let all = found(vec![unix(Some("docker"), false, None)]);
    let mut fate = Fate::new(run_id(), run_id().0, Mode::Enforce, true);
    let decisions = fate.on_finding(&all[0], Reach::Kill, &Settings::default(), START);
    assert_eq!(decisions.iter().map(|decision| decision.action).collect::<Vec<_>>(), [Action::Observe]);
}

proptest! {
    /// One finding per service and cool-down, whatever is asked when; each has an event of the run
    /// as its evidence.
    #[test]
    fn a_service_is_found_once_per_cool_down(
        acts in prop::collection::vec((0..LISTED.len() + 3, 1..3_000u64), 1..80),
    ) {
        let mut trace = Trace::new();
        for (number, ms) in &acts {
            trace.event(Ring::Bulk, unix(LISTED.get(*number).copied(), false, None), &["/usr/bin/agent"]);
            trace.pass(*ms, 0.0);
        }
        let limits = settings(|limits| limits.common.cool_down_ms = 5_000);
        let all = findings(limits, &trace.inputs);
        let asked: std::collections::HashSet<_> =
            acts.iter().filter_map(|(number, _)| LISTED.get(*number)).collect();
        for name in LISTED {
            let of_it: Vec<_> =
                all.iter().filter(|finding| finding.signal.summary.contains(&format!(" {name}, "))).collect();
            prop_assert_eq!(!of_it.is_empty(), asked.contains(&name));
            for pair in of_it.windows(2) {
                prop_assert!(pair[1].time_unix_ns - pair[0].time_unix_ns >= 5_000 * crate::support::MS);
            }
        }
        for finding in &all {
            prop_assert_eq!(finding.evidence.len(), 1);
            prop_assert!(finding.signal.arithmetic.iter().all(Term::holds));
        }
    }
}
