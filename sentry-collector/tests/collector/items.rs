//! Items as a sensor would send them.

use std::collections::HashMap;

use sentry_proto::{
    block::Packer,
    v1::{self, event::Kind, item},
};

pub(crate) const START_NS: u64 = 1_700_000_000_000_000_000;

pub(crate) fn agent() -> Option<v1::Agent> {
    Some(v1::Agent { id: "claude".to_owned(), name: "Claude".to_owned() })
}

pub(crate) fn process(tgid: u32) -> Option<v1::Process> {
    Some(v1::Process {
        key: Some(v1::ProcessKey { tgid, start_boot_ns: 1000 + u64::from(tgid) }),
        tid: tgid,
        ..v1::Process::default()
    })
}

/// Event `n` of a run: its id is `<run>-e-<n>`, its time `n` ms after the start.
pub(crate) fn event(run: &str, n: u64) -> v1::Event {
    let kinds = [
        Kind::Exec(v1::Exec::default()),
        Kind::Connect(v1::Connect {
            destination: Some(v1::Endpoint { address: vec![127, 0, 0, 1], port: 80, protocol: 6 }),
        }),
        Kind::Unlink(v1::Unlink {
            file: Some(v1::File {
                path: Some(v1::Path { text: format!("/tmp/{n}"), source: 1, truncated: false }),
                key: None,
            }),
            attempt: false,
        }),
    ];
    v1::Event {
        id: format!("{run}-e-{n}"),
        run: run.to_owned(),
        agent: agent(),
        ring: v1::event::Ring::Critical as i32,
        sequence: n,
        time_unix_ns: START_NS + n * 1_000_000,
        process: process(100),
        kind: Some(kinds[usize::try_from(n % 3).unwrap()].clone()),
    }
}

/// Event `n` of a run with so many times eight bytes that no compression makes smaller.
pub(crate) fn bulky(run: &str, n: u64, words: usize) -> v1::Event {
    let mut bits = n + 1;
    let digits = std::iter::repeat_with(|| {
        // Xorshift.
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        format!("{bits:016x}")
    });
    let arguments = vec![digits.take(words).collect()];
    let mut event = event(run, n);
    let argv = v1::Argv { arguments, truncated: false, full_length_bytes: 0 };
    event.process = Some(v1::Process { argv: Some(argv), ..process(100).unwrap_or_default() });
    event
}

/// All of these events, of one run, in one block.
pub(crate) fn block(events: &[v1::Event]) -> v1::Block {
    let packed = Packer::new().unwrap().pack(events).unwrap();
    assert_eq!(packed.events, events.len(), "the events fit into one block");
    packed.block.unwrap()
}

pub(crate) fn finding(run: &str, n: u64, severity: v1::Severity) -> item::Item {
    item::Item::Finding(v1::Finding {
        id: format!("{run}-f-{n}"),
        run: run.to_owned(),
        agent: agent(),
        time_unix_ns: START_NS + n * 1_000_000,
        since_unix_ns: START_NS,
        rule: "spawn-storm".to_owned(),
        confidence: 0.9,
        severity: severity as i32,
        summary: "many births".to_owned(),
        arithmetic: Vec::new(),
        evidence: vec![format!("{run}-e-1")],
        tags: vec!["attack:T1499".to_owned()],
        complete: true,
    })
}

pub(crate) fn run(run: &str, state: v1::RunState, books: v1::RingBooks) -> item::Item {
    let ended = state == v1::RunState::Ended;
    item::Item::Run(v1::Run {
        id: run.to_owned(),
        agent: agent(),
        state: state as i32,
        mode: v1::Mode::Enforce as i32,
        cgroup_path: "/agentsentry/a".to_owned(),
        cgroup_id: u64::MAX,
        started_unix_ns: START_NS,
        ended_unix_ns: ended.then_some(START_NS + 60_000_000_000),
        critical: Some(books),
        bulk: Some(v1::RingBooks::default()),
        execs: 3,
        command: vec!["claude".to_owned(), "-p".to_owned()],
        ..v1::Run::default()
    })
}

pub(crate) fn books(generated: u64, delivered: u64, lost: u64) -> v1::RingBooks {
    v1::RingBooks { generated, delivered, lost, throttled: 0 }
}

pub(crate) fn gap(first: u64, last: u64, by_run: &[(&str, u64)]) -> item::Item {
    let items_by_run: HashMap<String, u64> =
        by_run.iter().map(|(run, items)| ((*run).to_owned(), *items)).collect();
    item::Item::Gap(v1::Gap { first, last, reason: "spool-full".to_owned(), items_by_run })
}

pub(crate) fn outcome(run: &str) -> v1::Outcome {
    v1::Outcome {
        decision: format!("{run}-d-1"),
        run: run.to_owned(),
        action: v1::Action::Freeze as i32,
        result: v1::outcome::Result::Applied as i32,
        why: String::new(),
        time_unix_ns: START_NS,
        took_ns: 1_200_000,
        processes: 4,
        survivors: 0,
    }
}

pub(crate) fn decision(run: &str) -> item::Item {
    item::Item::Decision(v1::Decision {
        id: format!("{run}-d-1"),
        run: run.to_owned(),
        action: v1::Action::Freeze as i32,
        mode: v1::Mode::Enforce as i32,
        finding: Some(format!("{run}-f-1")),
        origin: "rule".to_owned(),
        reason: "spawn storm".to_owned(),
        time_unix_ns: START_NS,
    })
}
