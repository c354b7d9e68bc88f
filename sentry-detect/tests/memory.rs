//! What a run costs in memory, measured: by an allocator that counts what this thread holds.
#![expect(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use sentry_common::counter::Counts;
use sentry_detect::{
    agents::KnownAgents,
    decision::{Action, Outcome, OutcomeKind},
    event::{Argv, Event, EventKind, File, Path, PathSource, Process, Ring},
    rule::settings::{Limits, Settings},
    run::{AgentIdentity, Counted, Input, Mode, Output, ProcessKey, RunId, RunMachine, Setup, Usage},
};

const MOST_BYTES: isize = 32 * 1024;
const MS: u64 = 1_000_000;

struct Counting;

thread_local! {
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only this thread's
// plain cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.set(HELD_BYTES.get() + layout.size() as isize);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.set(HELD_BYTES.get() - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn event(n: u64, exec: bool) -> Event {
    let text = format!("/srv/{}/{n}", "long-directory-name/".repeat(10));
    let file = File { path: Path { text, source: PathSource::Kernel, truncated: false }, key: None };
    let arguments = vec!["tool".to_owned(), n.to_string(), "x".repeat(500)];
    Event {
        id: format!("0198c0de-0000-7000-8000-000000000001-c-{n}"),
        run: RunId(String::new()).into(),
        agent: AgentIdentity { id: String::new(), name: String::new() }.into(),
        ring: Ring::Critical,
        sequence: n,
        time_unix_ns: n,
        process: Arc::new(Process {
            key: ProcessKey { tgid: 1, start_boot_ns: 1 },
            tid: 1,
            parent: None,
            executable: Some(file.clone()),
            argv: Some(Argv { arguments, truncated: false, full_length_bytes: 520 }),
            cwd: None,
            uid: None,
            gid: None,
            euid: None,
            pre_existing: false,
        }),
        kind: if exec {
            EventKind::Exec { requested: None, script: None, by_thread: None }
        } else {
            EventKind::Unlink { file, attempt: false }
        },
    }
}

fn request(n: u64, service: &str) -> Event {
    let kind = EventKind::Unix {
        name: format!("/run/{}", "long-name/".repeat(10)),
        datagram: false,
        peer: Some(ProcessKey { tgid: 1, start_boot_ns: 1 }),
        peer_uid: Some(0),
        peer_in_run: false,
        peer_executable: Some("/usr/lib/long-name".repeat(100)),
        service: Some(service.to_owned()),
        error: None,
    };
    Event { kind, ..event(n, false) }
}

/// Takes an input and has every decision done; how many findings there were.
fn decide_all(machine: &mut RunMachine, input: Input<'_>, now: u64) -> usize {
    let mut found = 0;
    for output in machine.step(input, now) {
        let decisions = match output {
            Output::Found { decisions, .. } => {
                found += 1;
                decisions
            }
            Output::Decided(decision) => vec![decision],
            Output::LeftFrozen | Output::Close => Vec::new(),
        };
        for decision in decisions {
            let outcome = Outcome {
                decision: decision.id,
                run: decision.run,
                action: decision.action,
                result: OutcomeKind::Applied,
                time_unix_ns: now,
                took_ns: 0,
                processes: 0,
                survivors: 0,
            };
            machine.step(Input::Outcome { outcome: &outcome, stopped: Vec::new() }, now);
        }
    }
    found
}

/// Requests to services, then the longest horizons, readings every 10 ms, and nothing that is ever
/// the same twice.
#[test]
fn a_run_holds_at_most_32_kib_and_events_allocate_nothing() {
    let mut limits = Limits::default();
    limits.cpu_spin.hold_ms = 30_000;
    limits.exec_loop.hold_ms = 30_000;
    // Half of what follows are removals.
    limits.destructive_burst.files = 1_000_000;
    let Ok(settings) = Settings::new(limits) else { unreachable!("the limits are in range") };
    // All runs share the list, and what looking into it needs.
    for n in 0..1000 {
        let Process { executable, argv, .. } = &*event(n, true).process;
        let path = executable.as_ref().map(|file| file.path.text.as_str());
        let words = argv.as_ref().map_or(&[][..], |argv| &argv.arguments);
        assert_eq!(KnownAgents::shared().number_of(path, words), None);
    }
    let before = HELD_BYTES.get();
    let run = RunId("0198c0de-0000-7000-8000-000000000001".to_owned());
    let agent = AgentIdentity { id: "demo".to_owned(), name: "demo".to_owned() };
    let id_prefix = run.0.clone();
    let setup = Setup { id: run, id_prefix, agent, mode: Mode::Enforce, owned: true, settings, before: None };
    let mut machine = RunMachine::new(setup, &Usage::default(), 0);
    let services = [
        "docker",
        "containerd",
        "podman",
        "cri-o",
        "buildkit",
        "lxd",
        "incus",
        "libvirt",
        "systemd",
        "tmux",
        "snapd",
        "screen",
        "dbus",
        "ssh",
    ];
    for (n, service) in (1..).zip(services) {
        machine.step(Input::Event { event: &request(n, service), delivered: true }, n);
    }
    let (mut most, mut late_allocations, mut found) = (0, 0, 0);
    for n in 1..=20_000 {
        let event = event(n, n % 2 == 0);
        let allocations = ALLOCATIONS.get();
        machine.step(Input::Event { event: &event, delivered: true }, n);
        if n > 1000 {
            late_allocations += ALLOCATIONS.get() - allocations;
        }
        drop(event);
        let counts = Counts { execs: n / 2, unlinks: n / 2, ..Counts::default() };
        let counted = Counted { counts, ..Counted::default() };
        machine.step(Input::Counted { counted, began_boot_ns: n }, n * 10 * MS);
        let usage = Usage { cpu_usec: n * 10_000, ..Usage::default() };
        found += decide_all(&mut machine, Input::Reading { usage, room: true }, n * 10 * MS);
        most = most.max(HELD_BYTES.get() - before);
    }
    let bytes = most + size_of::<RunMachine>() as isize;
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    assert_eq!(late_allocations, 0);
    assert_eq!(found, services.len(), "varied work, after requests");

    let held = HELD_BYTES.get();
    let order = Input::Order { action: Action::Freeze, origin: String::new(), reason: String::new() };
    assert_eq!(decide_all(&mut machine, order, 0), 0);
    assert!(HELD_BYTES.get() <= held);
    drop(machine);
    assert_eq!(HELD_BYTES.get(), before, "all is given back");
}
