//! With real processes in real groups.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{path::Path, process::Child};

use group::{Group, line_of, real_root, release, waiting_shell};
use sentry_kernel::{
    cgroup::{Cgroup, CgroupRoot},
    process,
    real::Procfs,
};

use super::*;

#[path = "../../../sentry-kernel/src/cgroup/tests/group.rs"]
mod group;

fn decision(action: Action, mode: Mode) -> Decision {
    Decision {
        id: "r-d-1".into(),
        run: RunId("r".into()),
        action,
        mode,
        finding: None,
        origin: "user:0".into(),
        reason: "test".into(),
        time_unix_ns: Clock::real().unix_ns(),
    }
}

/// An enforcer of this machine.
fn real(limits: Limits) -> Enforcer {
    Enforcer::new(limits, Arc::new(Procfs), Clock::real())
}

fn target(group: &Group, members: &[ProcessKey]) -> Target {
    let members = members.to_vec();
    Target { cgroup: group.0.clone(), members: Box::new(move || members.clone()), tagged: true }
}

fn enforce(enforcer: &Enforcer, action: Action, target: &Target) -> Outcome {
    enforcer.act(&decision(action, Mode::Enforce), target)
}

fn key(child: &Child) -> ProcessKey {
    process::key_of(child.id()).unwrap()
}

fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    process::Stat::parse(&stat).unwrap().state
}

/// A group with its hierarchy, or the test is skipped with the reason.
fn setup(name: &str) -> Option<(CgroupRoot, Group)> {
    let root = real_root()?;
    let group = Group::make(&root, name);
    Some((root, group))
}

#[test]
fn freeze_and_thaw_are_verified_in_the_cgroup_and_outside() {
    let Some((_root, group)) = setup("freeze") else { return };
    let mut inside = group.shell("sleep 600 & echo ready; wait");
    line_of(&mut inside);
    let mut outside = release(waiting_shell("echo ready; while :; do :; done"));
    line_of(&mut outside);
    let enforcer = real(Limits::default());
    let target = target(&group, &[key(&inside), key(&outside)]);

    let frozen = enforce(&enforcer, Action::Freeze, &target);
    assert_eq!(frozen.result, OutcomeKind::Applied);
    assert_eq!((frozen.processes, frozen.survivors), (3, 0));
    assert!(group.0.is_frozen().unwrap());
    assert_eq!(state(outside.id()), 'T');

    let thawed = enforce(&enforcer, Action::Thaw, &target);
    assert_eq!((thawed.result, thawed.processes), (OutcomeKind::Applied, 3));
    assert!(!group.0.is_frozen().unwrap());
    assert_ne!(state(outside.id()), 'T');

    // A frozen run dies as well, and leaves a group that is not frozen.
    assert_eq!(enforce(&enforcer, Action::Freeze, &target).result, OutcomeKind::Applied);
    let killed = enforce(&enforcer, Action::Kill, &target);
    assert_eq!(killed.result, OutcomeKind::Applied);
    assert_eq!((killed.processes, killed.survivors), (3, 0));
    assert!(!group.0.is_frozen().unwrap());
    inside.wait().unwrap();
    outside.wait().unwrap();
}

#[test]
fn a_tree_of_two_hundred_processes_dies_in_one_act() {
    let Some((_root, group)) = setup("tree200") else { return };
    let mut top = group.shell(
        "for i in 1 2 3 4 5 6 7 8 9 10; do (for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do \
         sleep 600 & done; echo leaf; wait) & done; wait",
    );
    for _leaf in 0..10 {
        assert_eq!(line_of(&mut top), "leaf");
    }
    let outcome = enforce(&real(Limits::default()), Action::Kill, &target(&group, &[key(&top)]));
    assert_eq!(outcome.result, OutcomeKind::Applied, "{outcome:?}");
    assert_eq!((outcome.processes, outcome.survivors), (201, 0));
    assert!(outcome.took_ns > 0 && outcome.took_ns < 5_000_000_000, "{}", outcome.took_ns);
    assert!(!group.0.populated().unwrap());
    top.wait().unwrap();
}

#[test]
fn a_growing_tree_dies_completely_each_of_a_hundred_times() {
    let Some((_root, group)) = setup("hundred") else { return };
    let enforcer = real(Limits::default());
    let mut survivors = 0;
    for _round in 0..100 {
        // Children that go on making children while they are killed; each level is short-lived but
        // the last.
        let mut top =
            group.shell("echo ready; (while :; do (sleep 600) & sleep 0.001; done) & (sleep 600) & wait");
        line_of(&mut top);
        let outcome = enforce(&enforcer, Action::Kill, &target(&group, &[key(&top)]));
        assert_eq!(outcome.result, OutcomeKind::Applied, "{outcome:?}");
        assert!(!group.0.populated().unwrap());
        survivors += group.0.procs().unwrap().len();
        top.wait().unwrap();
    }
    assert_eq!(survivors, 0);
}

#[test]
fn members_that_appear_outside_during_the_kill_die_too() {
    let Some((_root, group)) = setup("outside") else { return };
    let mut first = release(waiting_shell("echo ready; while :; do :; done"));
    let mut second = release(waiting_shell("echo ready; while :; do :; done"));
    line_of(&mut first);
    line_of(&mut second);
    let (early, late) = (key(&first), key(&second));
    let calls = std::sync::atomic::AtomicU32::new(0);
    // The lineage table learns of the second member only after the first was killed.
    let members = move || match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 | 1 => vec![early],
        _ => vec![early, late],
    };
    let target = Target { cgroup: group.0.clone(), members: Box::new(members), tagged: true };
    let outcome = enforce(&real(Limits::default()), Action::Kill, &target);
    assert_eq!(outcome.result, OutcomeKind::Applied, "{outcome:?}");
    assert_eq!((outcome.processes, outcome.survivors), (2, 0));
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    assert_eq!(second.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_reused_process_id_is_not_hit() {
    let Some((_root, group)) = setup("pidreuse") else { return };
    let mut bystander = release(waiting_shell("echo ready; read end; exit 7"));
    line_of(&mut bystander);
    let other_life =
        ProcessKey { start_boot_ns: key(&bystander).start_boot_ns - 50_000_000, ..key(&bystander) };
    let target = target(&group, &[other_life]);
    let enforcer = real(Limits::default());
    for action in [Action::Freeze, Action::Kill] {
        let outcome = enforce(&enforcer, action, &target);
        assert_eq!((outcome.result, outcome.processes), (OutcomeKind::Applied, 0));
    }
    bystander = release(bystander);
    assert_eq!(bystander.wait().unwrap().code(), Some(7));
}

#[test]
fn the_sensor_pid_1_and_kernel_threads_are_fenced() {
    let Some((root, group)) = setup("fence") else { return };
    let enforcer = real(Limits { freeze: Duration::from_millis(200), kill: Duration::from_millis(200) });
    let own = process::key_of(std::process::id()).unwrap();
    let init = process::key_of(1).unwrap();
    // As lineage members: left alone, and the outcome does not claim success.
    let outcome = enforce(&enforcer, Action::Kill, &target(&group, &[own, init]));
    assert!(
        matches!(&outcome.result, OutcomeKind::Failed { why } if why.contains("still alive")),
        "{outcome:?}"
    );
    assert_eq!(outcome.survivors, 2);
    if let Some(kthreadd) = process::key_of(2) {
        let outcome = enforce(&enforcer, Action::Kill, &target(&group, &[kthreadd]));
        assert_eq!(outcome.survivors, 1, "{outcome:?}");
    }
    // The root cgroup cannot even be opened as a target.
    assert!(root.open(Path::new("")).is_err());
    // Not tagged.
    let untagged = Target { tagged: false, ..target(&group, &[]) };
    let outcome = enforce(&enforcer, Action::Freeze, &untagged);
    assert!(
        matches!(&outcome.result, OutcomeKind::Refused { why } if why.contains("not tagged")),
        "{outcome:?}"
    );
    let outcome = enforce(&enforcer, Action::Restart, &target(&group, &[]));
    assert!(matches!(outcome.result, OutcomeKind::Refused { .. }));
}

#[test]
fn a_cgroup_that_holds_the_sensor_is_refused() {
    let Some((_root, group)) = setup("self") else { return };
    // A copy of this test binary plays the sensor: it enters the group and asks to kill it.
    if std::env::var_os("AGENTSENTRY_TEST_SELF").is_some() {
        group.0.add(std::process::id()).unwrap();
        let outcome = enforce(&real(Limits::default()), Action::Kill, &target(&group, &[]));
        let home = std::fs::write(format!("{}/cgroup.procs", group.0.root().mount().display()), "0");
        assert!(matches!(&outcome.result, OutcomeKind::Refused { why } if why.contains("sensor itself")));
        return home.unwrap();
    }
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "enforce::tests::a_cgroup_that_holds_the_sensor_is_refused"])
        .env("AGENTSENTRY_TEST_SELF", "1")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn observe_mode_changes_nothing() {
    let Some((_root, group)) = setup("observe") else { return };
    let mut inside = group.shell("echo ready; read end; exit 5");
    line_of(&mut inside);
    let enforcer = real(Limits::default());
    let target = target(&group, &[key(&inside)]);
    for action in [Action::Freeze, Action::Thaw, Action::Kill] {
        let outcome = enforcer.act(&decision(action, Mode::Observe), &target);
        assert_eq!(outcome.result, OutcomeKind::WouldApply);
        assert!(!group.0.is_frozen().unwrap());
    }
    inside = release(inside);
    assert_eq!(inside.wait().unwrap().code(), Some(5));
}

#[test]
fn the_time_counts_from_the_decision() {
    let Some((_root, group)) = setup("took") else { return };
    let mut old = decision(Action::Freeze, Mode::Enforce);
    old.time_unix_ns -= 3_000_000_000;
    let outcome = real(Limits::default()).act(&old, &target(&group, &[]));
    assert!(outcome.took_ns >= 3_000_000_000, "{}", outcome.took_ns);
}
