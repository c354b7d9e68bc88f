//! Rules about files, secrets and other processes: what each finds, and the lawful work beside it
//! that is no finding.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use proptest::prelude::*;
use sentry_common::record::other::access;
use sentry_detect::{
    act::{FileAct, TargetAct},
    event::{Endpoint, EventKind, OpenIntent, Ring},
    finding::Finding,
    rule::settings::Settings,
    run::ProcessKey,
    runaway::{Severity, Term},
};

use crate::support::{Input, Trace, file, findings, settings};

/// The rules that found something, in their order.
fn rules(found: &[Finding]) -> Vec<&str> {
    found.iter().map(|finding| finding.signal.rule.as_str()).collect()
}

/// The findings of a run whose `program` did all of this within a tenth of a second.
fn found_by(program: &str, kinds: Vec<EventKind>) -> Vec<Finding> {
    let mut trace = Trace::new();
    for kind in kinds {
        trace.event(Ring::Bulk, kind, &[program]);
    }
    trace.pass(100, 0.0);
    findings(Settings::default(), &trace.inputs)
}

fn found(kinds: Vec<EventKind>) -> Vec<Finding> {
    found_by("/opt/agent", kinds)
}

fn opened(path: &str, change: impl FnOnce(&mut OpenIntent)) -> EventKind {
    let mut intent =
        OpenIntent { read: true, write: false, truncate: false, append: false, path_only: false, raw: 0 };
    change(&mut intent);
    EventKind::Open { file: file(path), intent, created: false, attempt: false }
}

fn read(path: &str) -> EventKind {
    opened(path, |_| {})
}

fn written(path: &str) -> EventKind {
    opened(path, |intent| (intent.read, intent.write) = (false, true))
}

fn emptied(path: &str) -> EventKind {
    opened(path, |intent| (intent.read, intent.write, intent.truncate) = (false, true, true))
}

fn created(path: &str) -> EventKind {
    let EventKind::Open { file, intent, attempt, .. } = written(path) else { unreachable!() };
    EventKind::Open { file, intent, created: true, attempt }
}

fn unlinked(path: &str) -> EventKind {
    EventKind::Unlink { file: file(path), attempt: false }
}

fn renamed(from: &str, to: &str) -> EventKind {
    EventKind::Rename { file: file(from), new_path: file(to).path, attempt: false }
}

fn acted(act: FileAct, path: &str) -> EventKind {
    EventKind::File {
        act,
        file: Some(file(path)),
        new_path: None,
        detail: 0,
        text: None,
        attempt: false,
        error: None,
    }
}

fn connected(address: [u8; 4], port: u16) -> EventKind {
    let address = IpAddr::V4(Ipv4Addr::from(address));
    EventKind::Connect { destination: Endpoint { address, port, protocol: 6 } }
}

fn answered(name: &str, answers: &[&str]) -> EventKind {
    EventKind::Dns {
        server: Endpoint { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 53, protocol: 17 },
        answer: true,
        name: name.to_owned(),
        record_type: "A".to_owned(),
        code: Some("NOERROR".to_owned()),
        answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
    }
}

fn removals(folder: &str, count: usize) -> Vec<EventKind> {
    (0..count).map(|n| unlinked(&format!("{folder}/{n}.txt"))).collect()
}

#[test]
fn a_removed_tree_that_the_run_did_not_make_is_a_burst_from_the_limit_on() {
    assert_eq!(found_by("/usr/bin/rm", removals("/home/u/notes", 99)), []);
    let all = found_by("/usr/bin/rm", removals("/home/u/notes", 100));
    assert_eq!(rules(&all), ["destructive-burst"]);
    let signal = &all[0].signal;
    assert_eq!((signal.severity, signal.confidence), (Severity::High, 0.9));
    assert_eq!(
        signal.summary,
        "100 files and folders that the run did not make were removed or emptied within 2.0 s (limit \
         100), such as /home/u/notes/0.txt by /usr/bin/rm."
    );
    assert_eq!(all[0].evidence.len(), 16, "the newest");
}

#[test]
fn files_that_are_cut_to_nothing_count_as_removed_and_count_once() {
    let mut kinds: Vec<_> =
        (0..60).map(|n| acted(FileAct::Truncate, &format!("/home/u/notes/{n}.txt"))).collect();
    kinds.extend(removals("/home/u/notes", 60));
    assert_eq!(found(kinds.clone()), []);
    kinds.extend(removals("/home/u/other", 40));
    assert_eq!(rules(&found(kinds)), ["destructive-burst"]);
}

#[test]
fn work_that_removes_much_lawfully_is_no_burst() {
    let mut own = vec![acted(FileAct::MakeDirectory, "/srv/p/output")];
    own.extend(removals("/srv/p/output", 500));
    let singly = (0..200).flat_map(|n| {
        let path = format!("/srv/p/{n}.txt");
        [created(&path), unlinked(&path)]
    });
    for (program, kinds) in [
        ("/usr/bin/rm", own),
        ("/usr/bin/sqlite3", singly.collect()),
        ("/usr/bin/rm", removals("/srv/p/target/debug/deps", 500)),
        ("/usr/bin/rm", removals("/srv/p/node_modules/a", 500)),
        ("/usr/bin/python3", removals("/tmp/pytest-of-u/pytest-0/x", 500)),
        ("/usr/bin/make", (0..500).map(|n| unlinked(&format!("/srv/linux/fs/{n}.o"))).collect()),
        ("/usr/bin/git", removals("/srv/p/src", 500)),
        ("/usr/bin/mv", removals("/srv/p/src", 500)),
        ("/usr/bin/dpkg", removals("/usr/share/doc", 500)),
        // An editor, or a formatter, over all of them.
        ("/usr/bin/prettier", (0..500).map(|n| emptied(&format!("/srv/p/src/{n}.ts"))).collect()),
        ("/usr/bin/sed", (0..500).map(|n| renamed("/srv/p/sedX", &format!("/srv/p/src/{n}.ts"))).collect()),
    ] {
        assert_eq!(found_by(program, kinds), [], "{program}");
    }
}

#[test]
fn git_clean_and_a_program_that_only_has_the_name_are_a_burst() {
    let mut trace = Trace::new();
    for kind in removals("/srv/p/src", 100) {
        trace.event(Ring::Bulk, kind, &["/usr/bin/git", "clean", "-fdx"]);
    }
    trace.pass(100, 0.0);
    assert_eq!(rules(&findings(Settings::default(), &trace.inputs)), ["destructive-burst"]);
    assert_eq!(rules(&found_by("/tmp/git", removals("/srv/p/src", 100))), ["destructive-burst"]);
}

#[test]
fn a_tree_that_is_moved_into_a_folder_of_the_run_stays_another_s() {
    let mut kinds =
        vec![acted(FileAct::MakeDirectory, "/srv/p/trash"), renamed("/home/u/notes", "/srv/p/trash/notes")];
    kinds.extend(removals("/srv/p/trash/notes", 100));
    assert_eq!(rules(&found(kinds)), ["destructive-burst"]);
}

#[test]
fn a_tree_that_is_moved_to_the_name_of_a_build_is_still_a_burst() {
    let moved = |from: &str, folder: &str| {
        let mut kinds = vec![renamed(from, folder)];
        kinds.extend(removals(folder, 100));
        rules(&found_by("/usr/bin/rm", kinds)).len()
    };
    assert_eq!(moved("/home/u/notes", "/tmp/build"), 1);
    assert_eq!(moved("/home/u/p/node_modules", "/tmp/build"), 0, "made again before and after");
    assert_eq!(moved("/home/u/p/build", "/home/u/p/target"), 0);
}

#[test]
fn slow_removals_are_no_burst() {
    let mut trace = Trace::new();
    for n in 0..400 {
        trace.event(Ring::Bulk, unlinked(&format!("/home/u/notes/{n}")), &["/usr/bin/rm"]);
        trace.pass(25, 0.0);
    }
    assert_eq!(findings(Settings::default(), &trace.inputs), []);
}

#[test]
fn what_the_run_may_have_made_and_was_forgotten_is_not_sure_enough_to_act_on() {
    let made = (0..1000).map(|n| created(&format!("/srv/p/{n}/x.txt")));
    let kinds = made.chain((0..600).map(|n| unlinked(&format!("/srv/p/{n}/x.txt")))).collect();
    let all = found(kinds);
    assert_eq!(rules(&all), ["destructive-burst"]);
    assert_eq!(all[0].signal.confidence, 0.7);
}

proptest! {
    /// More removals never make less of it, whatever the run made between them.
    #[test]
    fn a_burst_is_monotone_in_removals(removed in 0usize..300, made in 0usize..50) {
        let mut kinds = removals("/home/u/notes", removed);
        kinds.extend((0..made).map(|n| created(&format!("/srv/p/{n}"))));
        let all = found(kinds);
        prop_assert_eq!(!all.is_empty(), removed >= 100);
        prop_assert!(all.iter().all(|finding| finding.signal.arithmetic.iter().all(Term::holds)));
    }
}

#[test]
fn a_secret_and_then_a_new_destination_are_one_finding_with_both_events() {
    let all = found_by(
        "/usr/bin/curl",
        vec![
            read("/home/u/.aws/credentials"),
            connected([203, 0, 113, 7], 443),
            connected([203, 0, 113, 7], 443),
        ],
    );
    assert_eq!(rules(&all), ["secret-read", "secret-then-send"]);
    let signal = &all[1].signal;
    assert_eq!(
        signal.summary,
        "/usr/bin/curl opened /home/u/.aws/credentials (cloud credentials); then /usr/bin/curl turned to \
         203.0.113.7 port 443, where the run had not been before."
    );
    assert_eq!((signal.severity, signal.arithmetic[1].value), (Severity::High, 1.0));
    let numbers: Vec<_> =
        all[1].evidence.iter().map(|id| id.rsplit('-').next().unwrap_or_default()).collect();
    assert_eq!(numbers, ["1", "2"]);
}

#[test]
fn a_read_of_low_weight_is_a_step_above_itself() {
    let all = found(vec![read("/srv/p/.env"), connected([203, 0, 113, 7], 443)]);
    assert_eq!(rules(&all), ["secret-read", "secret-then-send"]);
    assert_eq!(all[1].signal.severity, Severity::Medium);
}

#[test]
fn destinations_that_are_known_near_or_only_asked_for_names_are_none() {
    let secret = || read("/home/u/.aws/credentials");
    for kinds in [
        vec![connected([203, 0, 113, 7], 443), secret(), connected([203, 0, 113, 7], 8443)],
        vec![secret(), connected([127, 0, 0, 1], 443), connected([198, 51, 100, 1], 53)],
        vec![secret(), connected([198, 51, 100, 1], 0)],
        // Another address of the same name.
        vec![
            answered("api.example", &["203.0.113.7", "203.0.113.8"]),
            connected([203, 0, 113, 7], 443),
            secret(),
            connected([203, 0, 113, 8], 443),
            answered("api.example", &["203.0.113.9"]),
            connected([203, 0, 113, 9], 443),
        ],
        // The other way round is no order.
        vec![connected([203, 0, 113, 7], 443), secret()],
    ] {
        assert_eq!(rules(&found(kinds.clone())), ["secret-read"], "{kinds:?}");
    }
}

#[test]
fn a_program_that_a_secret_is_made_for_may_go_where_it_likes() {
    let kinds = || vec![read("/home/u/.aws/credentials"), connected([203, 0, 113, 7], 443)];
    assert_eq!(rules(&found_by("/usr/local/bin/aws", kinds())), ["secret-read"]);
    assert_eq!(rules(&found_by("/usr/local/bin/other", kinds())), ["secret-read", "secret-then-send"]);
}

#[test]
fn a_grave_read_that_was_followed_often_enough_does_not_silence_a_lighter_one() {
    let mut trace = Trace::new();
    trace.event(Ring::Bulk, read("/home/u/.aws/credentials"), &["/opt/agent"]);
    for n in 1..=5 {
        trace.event(Ring::Bulk, connected([203, 0, 113, n], 443), &["/opt/agent"]);
        trace.pass(2_000, 0.0);
    }
    trace.event(Ring::Bulk, read("/srv/p/.env"), &["/opt/agent"]);
    trace.event(Ring::Bulk, connected([203, 0, 113, 9], 443), &["/opt/agent"]);
    trace.pass(2_000, 0.0);
    let limits = settings(|limits| limits.common.cool_down_ms = 1_000);
    let all = findings(limits, &trace.inputs);
    let sent: Vec<Severity> = (all.iter())
        .filter(|finding| finding.signal.rule.as_str() == "secret-then-send")
        .map(|finding| finding.signal.severity)
        .collect();
    let high = Severity::High;
    assert_eq!(sent, [high, high, high, high, Severity::Medium]);
}

#[test]
fn one_read_is_at_most_four_findings() {
    let mut trace = Trace::new();
    trace.event(Ring::Bulk, read("/home/u/.aws/credentials"), &["/usr/bin/cat"]);
    for n in 0..20 {
        trace.event(Ring::Bulk, connected([203, 0, 113, n], 443), &["/usr/bin/curl"]);
        trace.pass(2_000, 0.0);
    }
    let limits = settings(|limits| limits.common.cool_down_ms = 1_000);
    let all = findings(limits, &trace.inputs);
    let sent: Vec<_> =
        all.iter().filter(|finding| finding.signal.rule.as_str() == "secret-then-send").collect();
    assert_eq!(sent.len(), 4, "{all:?}");
}

#[test]
fn each_place_that_outlives_the_run_is_a_finding_of_its_class() {
    let all = found(vec![
        written("/home/u/.bashrc"),
        renamed("/etc/cron.d/.x", "/etc/cron.d/x"),
        acted(FileAct::Symlink, "/etc/systemd/system/multi-user.target.wants/x.service"),
        created("/srv/p/.git/hooks/pre-commit"),
        created("/home/u/.ssh/authorized_keys"),
        created("/etc/ld.so.preload"),
        written("/home/u/.claude/settings.json"),
    ]);
    assert_eq!(rules(&all), ["persistence-write"; 7]);
    let mut titles: Vec<_> =
        all.iter().filter_map(|finding| finding.signal.summary.split(['(', ')']).nth(1)).collect();
    titles.sort_unstable();
    assert_eq!(
        titles,
        [
            "Git hooks",
            "cron",
            "keys that let in by SSH",
            "libraries for every program",
            "settings and hooks of agents",
            "shell start-up",
            "system services",
        ]
    );
    assert!(all[0].signal.summary.starts_with("/opt/agent wrote /home/u/.bashrc (shell start-up), which"));
}

#[test]
fn reading_such_places_or_installing_a_package_is_none() {
    assert_eq!(found(vec![read("/home/u/.bashrc"), unlinked("/etc/cron.d/x"), read("/etc/crontab")]), []);
    let kinds = vec![renamed("/usr/lib/systemd/system/x.dpkg-new", "/usr/lib/systemd/system/x.service")];
    assert_eq!(found_by("/usr/bin/dpkg", kinds), []);
}

#[test]
fn traces_that_are_removed_emptied_or_moved_are_found() {
    for (kind, summary) in [
        (unlinked("/root/.bash_history"), "/opt/agent removed /root/.bash_history (shell history)."),
        (emptied("/root/.zsh_history"), "/opt/agent emptied /root/.zsh_history (shell history)."),
        (
            renamed("/root/.bash_history", "/tmp/x"),
            "/opt/agent moved /root/.bash_history to /tmp/x (shell history).",
        ),
        (acted(FileAct::Truncate, "/var/log/syslog"), "/opt/agent emptied /var/log/syslog (log)."),
        (
            unlinked("/var/log/journal/a/system.journal"),
            "/opt/agent removed /var/log/journal/a/system.journal (record of logins, audit or journal).",
        ),
        (
            written("/var/lib/agentsentry/ledger"),
            "/opt/agent opened for writing /var/lib/agentsentry/ledger (the sensor's own).",
        ),
    ] {
        let all = found(vec![kind]);
        assert_eq!(rules(&all), ["anti-forensics"], "{summary}");
        assert_eq!(all[0].signal.summary, summary);
    }
}

#[test]
fn a_shell_that_saves_its_history_and_a_log_that_grows_are_none() {
    let kinds = vec![
        created("/root/.bash_history-01234.tmp"),
        renamed("/root/.bash_history-01234.tmp", "/root/.bash_history"),
        opened("/var/log/app.log", |intent| (intent.write, intent.append) = (true, true)),
        created("/var/log/app.log"),
        renamed("/var/log/app.log", "/var/log/app.log.1"),
    ];
    assert_eq!(found(kinds), []);
    assert_eq!(found_by("/usr/bin/python3.13", vec![emptied("/root/.python_history")]), []);
    assert_eq!(found_by("/usr/sbin/logrotate", vec![unlinked("/var/log/syslog.9.gz")]), []);
}

fn target(act: TargetAct, code: u32, target_in_run: bool) -> EventKind {
    let target = ProcessKey { tgid: 812, start_boot_ns: 5 };
    EventKind::Target { act, target, code, target_in_run, attempt: false, error: None }
}

#[test]
fn reaching_into_a_process_outside_is_found() {
    for (kind, severity, summary) in [
        (
            target(TargetAct::Trace, access::ATTACH, false),
            Severity::High,
            "/opt/agent traces process 812, which is not of the run.",
        ),
        (
            target(TargetAct::Access, access::READ_MEMORY_CALL, false),
            Severity::High,
            "/opt/agent read memory of process 812, which is not of the run.",
        ),
        (
            read("/proc/812/environ"),
            Severity::Medium,
            "/opt/agent opened /proc/812/environ, of a process that is not of the run.",
        ),
        (
            read("/proc/812/task/813/mem"),
            Severity::High,
            "/opt/agent opened /proc/812/task/813/mem, of a process that is not of the run.",
        ),
    ] {
        let all = found(vec![kind]);
        assert_eq!(rules(&all), ["other-process"], "{summary}");
        assert_eq!((all[0].signal.severity, all[0].signal.summary.as_str()), (severity, summary));
    }
}

#[test]
fn a_debugger_on_its_child_and_a_list_of_processes_are_none() {
    let born = |tgid| EventKind::Fork { child: ProcessKey { tgid, start_boot_ns: 9 } };
    let kinds = vec![
        target(TargetAct::Trace, access::ATTACH, true),
        target(TargetAct::Trace, access::TRACE_ME, false),
        target(TargetAct::Access, access::READ, false),
        target(TargetAct::Signal, 15, false),
        born(812),
        read("/proc/812/environ"),
        // Its own.
        read("/proc/1000/environ"),
        read("/proc/42/stat"),
        read("/proc/42/maps"),
    ];
    assert_eq!(found(kinds), []);
    let listed = (1..400).map(|pid| read(&format!("/proc/{pid}/environ"))).collect();
    assert_eq!(found_by("/usr/bin/ps", listed), []);
}

#[test]
fn after_a_crowd_of_members_a_foreign_environment_is_found_again() {
    let mut trace = Trace::new();
    for _ in 0..300 {
        trace.fork();
        trace.exec(&["/bin/sleep"]);
    }
    for tgid in 1001..=1300 {
        trace.exit();
        let Some(Input::Event { event }) = trace.inputs.last_mut() else { unreachable!() };
        Arc::make_mut(&mut event.process).key.tgid = tgid;
    }
    trace.event(Ring::Bulk, read("/proc/7/environ"), &["/opt/agent"]);
    trace.pass(100, 0.0);
    let all = findings(Settings::default(), &trace.inputs);
    assert!(rules(&all).contains(&"other-process"), "{all:?}");
}
