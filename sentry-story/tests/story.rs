//! Runs that are made up: what a known agent does not show.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use proptest::prelude::*;
use sentry_proto::v1::{self, event::Kind};
use sentry_story::{Knowledge, Story};
use sentry_view::{Activity, Call, CallSource, Exit};

fn key(pid: u32) -> Option<v1::ProcessKey> {
    Some(v1::ProcessKey { tgid: pid, start_boot_ns: u64::from(pid) })
}

fn file(path: &str) -> Option<v1::File> {
    Some(v1::File { path: Some(v1::Path { text: path.into(), ..v1::Path::default() }), key: None })
}

fn event(pid: u32, time_unix_ns: u64, kind: Kind) -> v1::Event {
    let process = v1::Process { key: key(pid), ..v1::Process::default() };
    v1::Event {
        id: format!("{time_unix_ns}"),
        process: Some(process),
        time_unix_ns,
        kind: Some(kind),
        ..v1::Event::default()
    }
}

fn exec(pid: u32, time_unix_ns: u64, argv: &[&str]) -> v1::Event {
    let mut event = event(pid, time_unix_ns, Kind::Exec(v1::Exec::default()));
    let arguments: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
    let process = event.process.as_mut().unwrap();
    process.executable = file(argv[0]);
    process.argv = Some(v1::Argv { arguments, ..v1::Argv::default() });
    process.cwd = Some(v1::Path { text: "/srv/p".into(), ..v1::Path::default() });
    event
}

fn fork(pid: u32, time_unix_ns: u64, child: u32) -> v1::Event {
    event(pid, time_unix_ns, Kind::Fork(v1::Fork { child: key(child) }))
}

fn exit(pid: u32, time_unix_ns: u64, code: u32) -> v1::Event {
    event(pid, time_unix_ns, Kind::Exit(v1::Exit { code: Some(code), signal: None }))
}

fn open(pid: u32, path: &str, write: bool) -> v1::Event {
    let intent = Some(v1::OpenIntent { write, read: !write, ..v1::OpenIntent::default() });
    event(pid, 5, Kind::Open(v1::Open { file: file(path), intent, ..v1::Open::default() }))
}

fn told(events: &[v1::Event], findings: &[v1::Finding]) -> Activity {
    let knowledge = Knowledge::built_in().unwrap();
    let mut story = Story::new(&knowledge, findings);
    events.iter().for_each(|event| story.event(event));
    story.finish(&[])
}

#[test]
fn each_child_of_a_program_that_is_no_known_agent_is_a_call() {
    let activity = told(
        &[
            exec(1, 1, &["/bin/sh", "-c", "date; cat x"]),
            fork(1, 2, 2),
            exec(2, 3, &["/bin/date"]),
            exit(2, 4, 0),
            fork(1, 5, 3),
            exec(3, 6, &["/bin/cat", "x"]),
            exit(3, 9, 1),
            exit(1, 10, 1),
        ],
        &[],
    );
    let calls: Vec<(u32, &str, CallSource, Option<Exit>, u64)> = activity
        .calls
        .iter()
        .map(|call: &Call| {
            (call.number, call.command.as_str(), call.source, call.exit, call.lasted_ns.unwrap().0)
        })
        .collect();
    let ended = |code| Some(Exit { code: Some(code), signal: None });
    assert_eq!(
        calls,
        [
            (1, "/bin/date", CallSource::DirectChild, ended(0), 1),
            (2, "/bin/cat x", CallSource::DirectChild, ended(1), 3),
        ]
    );
    assert_eq!((activity.ended, activity.directory.as_deref()), (ended(1), Some("/srv/p")));
}

#[test]
fn what_a_call_starts_belongs_to_it_whoever_the_parent_is() {
    let activity = told(
        &[
            exec(1, 1, &["/usr/bin/claude"]),
            fork(1, 2, 2),
            exec(2, 3, &["/bin/bash", "-c", "source /s && eval 'make' < /dev/null && pwd -P >| /tmp/c"]),
            fork(2, 4, 3),
            exec(3, 5, &["/usr/bin/make"]),
            fork(3, 6, 4),
            exit(3, 7, 0),
            exec(4, 8, &["/usr/bin/cc"]),
            open(4, "/srv/p/out.o", true),
        ],
        &[],
    );
    assert_eq!(activity.calls.len(), 1);
    assert_eq!(activity.calls[0].processes, 3);
    assert_eq!(activity.changes[0].by.call, Some(1));
}

#[test]
fn a_finding_stands_with_the_call_that_its_evidence_is_of() {
    let finding =
        v1::Finding { id: "f".into(), evidence: vec!["3".into(), "9".into()], ..v1::Finding::default() };
    let events = [exec(1, 1, &["/bin/sh"]), fork(1, 2, 2), exec(2, 3, &["/bin/true"])];
    assert_eq!(told(&events, &[finding]).calls[0].findings, ["f"]);
}

#[test]
fn a_process_that_outlives_the_first_one_was_left_behind() {
    const SECOND: u64 = 1_000_000_000;
    let activity = told(
        &[
            exec(1, 1, &["/bin/sh"]),
            fork(1, 2, 2),
            exec(2, 3, &["/usr/bin/server"]),
            fork(1, 4, 3),
            exec(3, 5, &["/usr/bin/brief"]),
            exit(1, 10, 0),
            exit(3, 11, 0),
            exit(2, 3 * SECOND, 0),
        ],
        &[],
    );
    let left: Vec<(u32, bool)> = activity.left.iter().map(|left| (left.pid, left.is_running)).collect();
    assert_eq!(left, [(2, false)], "the brief one was on its way out");
}

#[test]
fn a_destination_has_the_name_that_its_process_looked_up() {
    let address = vec![192, 0, 2, 7];
    let remote = Some(v1::Endpoint { address, port: 443, protocol: 6 });
    let dns = |answer, name: &str, answers: &[&str], code: Option<&str>| {
        Kind::Dns(v1::Dns {
            answer,
            name: name.into(),
            code: code.map(str::to_owned),
            answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
            ..v1::Dns::default()
        })
    };
    let activity = told(
        &[
            exec(1, 1, &["/usr/bin/curl"]),
            event(1, 2, dns(false, "www.example.org", &[], None)),
            event(1, 3, dns(true, "www.example.org", &["192.0.2.7"], Some("NOERROR"))),
            event(1, 4, dns(true, "none.example.org", &[], Some("NAMEERROR"))),
            event(1, 5, Kind::Connect(v1::Connect { destination: remote })),
        ],
        &[],
    );
    let names: Vec<_> =
        activity.destinations.iter().map(|one| (one.remote.as_str(), one.name.as_deref())).collect();
    assert_eq!(names, [("192.0.2.7:443 tcp", Some("www.example.org"))]);
    let failures: Vec<_> =
        activity.lookups.iter().map(|one| (one.name.as_str(), one.failure.as_deref())).collect();
    assert_eq!(failures, [("none.example.org", Some("NXDOMAIN")), ("www.example.org", None)]);
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let path = prop_oneof![Just("/srv/p/a"), Just("/srv/p/b"), Just("/home/u/.netrc"), Just("")];
    prop_oneof![
        (0_u32..6).prop_map(|child| Kind::Fork(v1::Fork { child: key(child) })),
        any::<Option<u32>>().prop_map(|code| Kind::Exit(v1::Exit { code, signal: None })),
        Just(Kind::Exec(v1::Exec::default())),
        (path.clone(), any::<[bool; 3]>()).prop_map(|(path, [write, created, path_only])| {
            let intent = Some(v1::OpenIntent { write, path_only, ..v1::OpenIntent::default() });
            Kind::Open(v1::Open { file: file(path), intent, created, attempt: false })
        }),
        path.clone().prop_map(|path| Kind::Unlink(v1::Unlink { file: file(path), attempt: false })),
        (path.clone(), path).prop_map(|(from, to)| {
            let new_path = file(to).and_then(|file| file.path);
            Kind::Rename(v1::Rename { file: file(from), new_path, attempt: false })
        }),
    ]
}

proptest! {
    #[test]
    fn any_events_make_a_story_in_which_every_number_of_a_call_exists(
        events in proptest::collection::vec((0_u32..6, any_kind(), any::<bool>()), 0..200),
    ) {
        let events: Vec<v1::Event> = events
            .into_iter()
            .zip(1..)
            .map(|((pid, kind, is_shell), time)| match kind {
                Kind::Exec(_) if is_shell => exec(pid, time, &["/bin/bash", "-c", "x"]),
                Kind::Exec(_) => exec(pid, time, &["/usr/bin/claude"]),
                kind => event(pid, time, kind),
            })
            .collect();
        let activity = told(&events, &[]);
        let calls = u32::try_from(activity.calls.len()).unwrap();
        let by = activity.changes.iter().map(|change| &change.by);
        let numbers = by.chain(activity.sensitive.iter().map(|file| &file.by)).filter_map(|by| by.call);
        prop_assert!(numbers.into_iter().all(|number| (1..=calls).contains(&number)));
        let mut paths: Vec<&String> = activity.changes.iter().map(|change| &change.path).collect();
        let listed = paths.len();
        paths.dedup();
        prop_assert_eq!(paths.len(), listed);
    }
}
