//! A run that nothing is wrong with: its beginning, its books, its end.

use sentry_common::abi::ring;
use sentry_detect::{decision::Action, run::machine::Over};

use super::*;
use crate::runs::NEVER_ENTERED;

#[test]
fn a_run_begins_is_counted_and_ends_with_its_last_process() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let child = sensor.world.fork(pid).unwrap();
    sensor.world.act(child, 1, Ring::Critical, |block| block.counts.execs += 1);
    sensor.world.act(child, 7, Ring::Bulk, |block| block.counts.opens += 7);
    sensor.ticks(Duration::from_secs(1));
    assert!(!run.is_ended());
    sensor.world.exit(child);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let stored = sensor.stored(&run);
    assert_eq!(stored.state(), v1::RunState::Ended);
    assert_eq!((stored.processes_entered, stored.processes_born, stored.processes_ended), (1, 1, 2));
    assert_eq!((stored.execs, stored.opens, stored.findings), (1, 7, 0));
    assert_eq!(stored.critical.map(|books| (books.generated, books.delivered, books.lost)), Some((5, 5, 0)));
    assert_eq!(stored.bulk.map(|books| (books.generated, books.delivered, books.lost)), Some((7, 7, 0)));
    assert_eq!(sensor.ledger(), ["run-start", "run-end"]);
}

#[test]
fn nothing_of_a_run_is_left_in_the_kernel() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    assert_eq!((sensor.world.slots_in_use(), sensor.world.rows_in_use()), (1, 2));
    assert!(sensor.world.is_armed());
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert_eq!((sensor.world.slots_in_use(), sensor.world.rows_in_use()), (0, 0));
    assert_eq!(sensor.world.groups(), ["agentsentry"]);
}

#[test]
fn the_programs_are_detached_ten_seconds_after_the_last_run() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    sensor.ticks(Duration::from_secs(9));
    assert!(sensor.world.is_armed(), "another run may come");
    sensor.ticks(Duration::from_secs(2));
    assert!(!sensor.world.is_armed());
    let _another = sensor.run(Mode::Observe);
    assert!(sensor.world.is_armed());
}

#[test]
fn a_run_that_nobody_enters_is_given_up_after_a_minute() {
    let mut sensor = Sensor::new();
    let run = sensor.empty_run(Mode::Observe).unwrap();
    sensor.ticks(NEVER_ENTERED);
    assert!(!run.is_ended());
    sensor.ticks(Duration::from_secs(1));
    assert!(sensor.is_over(&run));
}

#[test]
fn a_run_over_somebodys_group_ends_when_that_is_removed_and_not_when_it_is_empty() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.tagged(Mode::Observe, "system.slice");
    sensor.world.exit(pid);
    sensor.ticks(Duration::from_secs(10));
    assert!(!run.is_ended(), "a service may be started again in it");
    sensor.world.remove_group("system.slice");
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert_eq!(sensor.world.rows_in_use(), 0);
}

#[test]
fn a_member_that_left_the_group_keeps_the_run_alive() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.make_group("elsewhere");
    sensor.world.leave(pid, Path::new("elsewhere"));
    sensor.ticks(Duration::from_secs(10));
    assert!(!run.is_ended());
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert_eq!(sensor.stored(&run).cgroup_moves, 2);
}

#[test]
fn an_end_that_no_program_saw_is_found_and_counted() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    let child = sensor.world.fork(pid).unwrap();
    sensor.world.exit_unseen(child);
    sensor.ticks(Duration::from_secs(11));
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let stored = sensor.stored(&run);
    assert_eq!((stored.processes_ended, stored.untold), (2, 1));
}

#[test]
fn the_end_waits_for_records_that_are_still_on_their_way_and_not_for_ever() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.exit(pid);
    // Nobody delivers.
    for _ in 0..49 {
        sensor.watch();
        sensor.act();
        sensor.world.advance(TICK);
    }
    assert!(!run.is_ended());
    for _ in 0..3 {
        sensor.watch();
        sensor.act();
        sensor.world.advance(TICK);
    }
    assert!(sensor.is_over(&run));
    let books = sensor.stored(&run).critical.unwrap();
    assert_eq!((books.generated, books.delivered), (2, 0), "and the books stay open");
}

#[test]
fn lost_and_throttled_records_close_the_books_too() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    sensor.world.lose(run.tag, Ring::Bulk, 5);
    sensor.world.act(pid, 3, Ring::Bulk, |block| block.throttled[ring::BULK] += 3);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let books = sensor.stored(&run).bulk.unwrap();
    assert_eq!((books.generated, books.delivered, books.lost, books.throttled), (8, 0, 5, 3));
}

#[test]
fn slots_are_used_again_under_another_generation() {
    let mut sensor = Sensor::new();
    let mut tags = Vec::new();
    for _ in 0..3 {
        let (run, pid) = sensor.run(Mode::Observe);
        tags.push(run.tag);
        sensor.world.exit(pid);
        sensor.until("the run ends", |sensor| sensor.is_over(&run));
    }
    assert!(tags.windows(2).all(|pair| pair[0].generation < pair[1].generation), "{tags:?}");
}

#[test]
fn a_run_that_ended_is_neither_entered_nor_found_by_name() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    assert_eq!(sensor.registry.find("agent").unwrap().id, run.id);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let late = sensor.world.spawn();
    assert!(matches!(sensor.registry.enter(&run, late), Err(RunError::Ended { .. })));
    assert!(matches!(sensor.registry.find("agent"), Err(RunError::Unknown { .. })));
}

#[test]
fn a_group_belongs_to_one_run() {
    let mut sensor = Sensor::new();
    let (run, _pid) = sensor.tagged(Mode::Observe, "team");
    sensor.world.make_group("team/one");
    let tag = |below: &str| sensor.registry.tag(Path::new(below), start(Mode::Observe, 0));
    assert!(matches!(tag("team"), Err(RunError::Tagged { run: owner, .. }) if owner == run.id.0));
    assert!(matches!(tag("team/one"), Err(RunError::Tagged { .. })), "made in a watched group");
    sensor.world.make_group("all");
    sensor.world.make_group("all/below");
    let _below = sensor.registry.tag(Path::new("all/below"), start(Mode::Observe, 0)).unwrap();
    assert!(matches!(
        sensor.registry.tag(Path::new("all"), start(Mode::Observe, 0)),
        Err(RunError::Contains { .. })
    ));
}

#[test]
fn the_sensors_own_group_and_that_of_pid_1_are_not_watched() {
    let sensor = Sensor::new();
    sensor.world.make_group("own");
    sensor.world.leave(std::process::id(), Path::new("own"));
    let tag = |below: &str| sensor.registry.tag(Path::new(below), start(Mode::Observe, 0));
    assert!(matches!(tag("own"), Err(RunError::Protected { what: "the sensor itself", .. })));
    sensor.world.make_group("init.scope");
    sensor.world.leave(1, Path::new("init.scope"));
    assert!(matches!(tag("init.scope"), Err(RunError::Protected { .. })));
    assert!(matches!(tag(""), Err(RunError::Cgroup(_))), "the root");
    assert!(matches!(tag("nowhere"), Err(RunError::Cgroup(error)) if error.is_gone()));
    assert_eq!(sensor.world.slots_in_use(), 0);
}

#[test]
fn a_user_may_have_a_quarter_of_the_runs_and_root_finds_a_slot() {
    let mut sensor = Sensor::new();
    let mut pids = Vec::new();
    for _ in 0..256 {
        pids.push(sensor.run(Mode::Observe).1);
    }
    let refused = sensor.empty_run(Mode::Observe).err().unwrap();
    assert!(matches!(refused, RunError::Share { uid: 1_000 }), "{refused}");
    assert!(sensor.registry.start(start(Mode::Observe, 0)).is_ok());
}

#[test]
fn a_user_may_have_sixteen_runs_that_wait_for_their_command() {
    let mut sensor = Sensor::new();
    for _ in 0..16 {
        sensor.empty_run(Mode::Observe).unwrap();
    }
    let refused = sensor.empty_run(Mode::Observe).err().unwrap();
    assert!(matches!(refused, RunError::Awaited { uid: 1_000 }), "{refused}");
}

#[test]
fn a_run_that_is_released_is_forgotten_and_its_processes_live_on() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.tagged(Mode::Observe, "team");
    sensor.tick();
    sensor.registry.release(&run).unwrap();
    assert_eq!(sensor.registry.of_process(pid).map(|run| run.id.clone()), None);
    sensor.cases.try_send(Case::Over { run: Arc::clone(&run), over: Over::Released }).unwrap();
    sensor.act();
    assert!(sensor.is_over(&run) && sensor.world.is_alive(pid));
    assert_eq!(sensor.world.groups(), ["team"]);
}

#[test]
fn a_frozen_run_is_thawed_before_it_is_released() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.tagged(Mode::Observe, "team");
    assert_eq!(sensor.by_hand(&run, Action::Freeze).result, sentry_detect::decision::OutcomeKind::Applied);
    assert!(sensor.world.stands_still(pid));
    sensor.registry.release(&run).unwrap();
    sensor.cases.try_send(Case::Over { run: Arc::clone(&run), over: Over::Released }).unwrap();
    sensor.act();
    assert!(sensor.is_over(&run) && !sensor.world.stands_still(pid));
}
