//! Orders of a person.

use sentry_detect::decision::{Action, OutcomeKind};

use super::*;

#[test]
fn a_freeze_holds_until_the_thaw() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let outcome = sensor.by_hand(&run, Action::Freeze);
    assert_eq!((outcome.result, outcome.processes), (OutcomeKind::Applied, 1));
    sensor.ticks(Duration::from_secs(30));
    assert!(sensor.world.stands_still(pid));
    assert_eq!(sensor.stored(&run).state(), v1::RunState::Frozen);
    assert_eq!(sensor.by_hand(&run, Action::Thaw).result, OutcomeKind::Applied);
    assert!(!sensor.world.stands_still(pid));
    assert_eq!(sensor.stored(&run).state(), v1::RunState::Running);
}

#[test]
fn a_freeze_stops_members_outside_of_the_group_and_the_thaw_continues_them() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let outside = sensor.world.fork(pid).unwrap();
    sensor.world.make_group("elsewhere");
    sensor.world.leave(outside, Path::new("elsewhere"));
    assert_eq!(sensor.by_hand(&run, Action::Freeze).processes, 2);
    assert!(sensor.world.stands_still(outside));
    assert_eq!(sensor.stored(&run).stopped.len(), 1);
    assert_eq!(sensor.by_hand(&run, Action::Thaw).processes, 2);
    assert!(!sensor.world.stands_still(outside));
    assert_eq!(sensor.stored(&run).stopped, []);
}

#[test]
fn a_freeze_that_does_not_take_hold_in_time_is_said_to_have_failed() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.stick(pid, true);
    let before = sensor.now();
    let outcome = sensor.by_hand(&run, Action::Freeze);
    assert!(matches!(&outcome.result, OutcomeKind::Failed { why } if why.contains("frozen")), "{outcome:?}");
    assert_eq!(sensor.now() - before, Duration::from_secs(2), "of the machine's time");
    assert_eq!(outcome.took_ns, 2_000_000_000);
    assert_eq!(sensor.stored(&run).state(), v1::RunState::Running);
}

#[test]
fn a_kill_ends_a_frozen_run() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let child = sensor.world.fork(pid).unwrap();
    sensor.by_hand(&run, Action::Freeze);
    let outcome = sensor.by_hand(&run, Action::Kill);
    assert_eq!((outcome.result, outcome.processes, outcome.survivors), (OutcomeKind::Applied, 2, 0));
    assert!(!sensor.world.is_alive(pid) && !sensor.world.is_alive(child));
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
}

#[test]
fn a_kill_in_observe_mode_is_enforced_all_the_same() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    assert_eq!(sensor.by_hand(&run, Action::Kill).result, OutcomeKind::Applied);
    assert!(!sensor.world.is_alive(pid) && !run.is_awaited());
}

#[test]
fn an_order_for_a_run_that_has_ended_meanwhile_touches_nothing() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    for action in [Action::Freeze, Action::Thaw, Action::Kill] {
        let outcome = sensor.by_hand(&run, action);
        assert!(matches!(&outcome.result, OutcomeKind::Refused { .. }), "{outcome:?}");
    }
    assert_eq!(sensor.stored(&run).state(), v1::RunState::Ended);
}

#[test]
fn a_restart_is_nothing_that_the_sensor_does() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    assert!(matches!(sensor.by_hand(&run, Action::Restart).result, OutcomeKind::Refused { .. }));
    assert!(sensor.world.is_alive(pid));
}

#[test]
fn the_fence_holds_for_members_that_are_the_sensor_pid_1_or_the_kernel() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let thread = sensor.world.spawn_kernel_thread();
    for member in [std::process::id(), 1, thread] {
        sensor.world.adopt(member, run.tag);
    }
    let outcome = sensor.by_hand(&run, Action::Kill);
    assert_eq!(outcome.survivors, 3, "{outcome:?}");
    assert!(matches!(outcome.result, OutcomeKind::Failed { .. }));
    assert!(!sensor.world.is_alive(pid));
    for member in [std::process::id(), 1, thread] {
        assert!(sensor.world.is_alive(member) && !sensor.world.stands_still(member));
    }
}

#[test]
fn a_group_that_holds_the_sensor_by_now_is_not_acted_on() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    run.cgroup.add(std::process::id()).unwrap();
    for action in [Action::Freeze, Action::Kill] {
        let outcome = sensor.by_hand(&run, action);
        assert!(matches!(&outcome.result, OutcomeKind::Refused { why } if why.contains("sensor itself")));
    }
    assert!(sensor.world.is_alive(pid) && !sensor.world.stands_still(pid));
}
