//! A sensor that was killed, and the one after it.

use sentry_detect::decision::{Action, OutcomeKind};

use super::*;

#[test]
fn a_run_is_watched_again() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Enforce);
    sensor.ticks(Duration::from_secs(1));
    let mut sensor = sensor.killed_and_started();
    let live = sensor.registry.live();
    assert_eq!(live.len(), 1);
    assert_eq!((&live[0].id, live[0].mode()), (&before.id, Mode::Enforce));
    assert_eq!(sensor.registry.of_process(pid).unwrap().id, before.id);
    assert_eq!(sensor.troubles, Vec::<String>::new());
    // And what it does from now on leads to acts.
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&live[0]));
    assert_eq!(sensor.findings(), ["spawn-storm"]);
}

#[test]
fn a_run_that_ended_meanwhile_is_ended_in_the_books() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    sensor.tick();
    let world = sensor.world.clone();
    world.exit(pid);
    let sensor = sensor.killed_and_started();
    assert_eq!(sensor.registry.live().len(), 0);
    let stored = sensor.stored(&before);
    assert_eq!((stored.state(), stored.end_unseen), (v1::RunState::Ended, true));
    assert_eq!(sensor.world.groups(), ["agentsentry"]);
    assert_eq!(sensor.ledger(), ["run-start", "run-end"]);
}

#[test]
fn a_frozen_run_stays_frozen_and_is_thawed_by_the_next_sensor() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    sensor.by_hand(&before, Action::Freeze);
    let mut sensor = sensor.killed_and_started();
    assert!(sensor.world.stands_still(pid));
    let run = sensor.registry.find("agent").unwrap();
    assert_eq!(run.wire().state(), v1::RunState::Frozen);
    assert_eq!(sensor.by_hand(&run, Action::Thaw).result, OutcomeKind::Applied);
    assert!(!sensor.world.stands_still(pid));
}

#[test]
fn members_that_were_stopped_outside_of_the_group_are_continued_by_the_next_sensor() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    let outside = sensor.world.fork(pid).unwrap();
    sensor.world.make_group("elsewhere");
    sensor.world.leave(outside, Path::new("elsewhere"));
    sensor.by_hand(&before, Action::Freeze);
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    assert_eq!(sensor.registry.members(&run).len(), 2);
    sensor.by_hand(&run, Action::Thaw);
    assert!(!sensor.world.stands_still(outside) && !sensor.world.stands_still(pid));
}

#[test]
fn members_that_were_stopped_outside_keep_a_run_with_an_empty_group() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    sensor.world.make_group("elsewhere");
    sensor.world.leave(pid, Path::new("elsewhere"));
    sensor.by_hand(&before, Action::Freeze);
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    assert_eq!(sensor.by_hand(&run, Action::Kill).result, OutcomeKind::Applied);
    assert!(!sensor.world.is_alive(pid));
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
}

#[test]
fn the_counts_of_both_lives_add_up() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    for _ in 0..3 {
        sensor.world.fork_and_end(pid, 1);
    }
    sensor.world.act(pid, 5, Ring::Bulk, |block| block.counts.opens += 5);
    sensor.deliver();
    let (registry, journal) = (Arc::clone(&sensor.registry), sensor.journal.clone());
    sensor.runtime.block_on(crate::app::recover::tell(&registry, &journal));
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    sensor.world.fork_and_end(pid, 2);
    sensor.world.act(pid, 4, Ring::Bulk, |block| block.counts.opens += 4);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    let stored = sensor.stored(&before);
    assert_eq!((stored.processes_entered, stored.processes_born, stored.processes_ended), (1, 5, 6));
    assert_eq!((stored.opens, stored.interruptions), (9, 1));
}

#[test]
fn a_run_that_only_its_group_shows_is_watched_as_unknown() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Enforce);
    let world = sensor.world.clone();
    drop(sensor);
    // With all that was written.
    world.unload();
    let mut sensor = Sensor::on(&world);
    let run = sensor.registry.find("unknown").unwrap();
    assert_eq!((&run.id, run.mode()), (&before.id, Mode::Enforce), "its mark has the mode");
    assert_eq!(sensor.troubles.len(), 1, "{:?}", sensor.troubles);
    assert_eq!(sensor.findings(), ["unknown-run"]);
    world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
}

#[test]
fn empty_groups_of_earlier_runs_are_removed() {
    let mut sensor = Sensor::new();
    let (_before, pid) = sensor.run(Mode::Observe);
    let world = sensor.world.clone();
    let dir = Arc::clone(&sensor.dir);
    drop(sensor);
    fs::remove_file(dir.path().join("journal.db")).unwrap();
    fs::remove_dir_all(dir.path().join("ledger")).unwrap();
    world.exit(pid);
    world.unload();
    let sensor = Sensor::begin(&world, dir, act::QUEUE_CASES);
    assert_eq!(sensor.world.groups(), ["agentsentry"]);
    assert_eq!(sensor.registry.live().len(), 0);
}

#[test]
fn a_third_sensor_takes_up_what_the_second_took_up() {
    let mut sensor = Sensor::new();
    let (before, pid) = sensor.run(Mode::Observe);
    sensor.tick();
    let mut sensor = sensor.killed_and_started();
    sensor.tick();
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    assert_eq!(run.id, before.id);
    sensor.world.exit(pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert_eq!(sensor.stored(&run).interruptions, 2);
    let ledger = sensor.ledger();
    assert_eq!(ledger.iter().filter(|kind| *kind == "run-end").count(), 1, "{ledger:?}");
}

#[test]
fn what_a_killed_sensor_had_found_and_not_done_is_found_again() {
    let mut sensor = Sensor::new();
    let (_before, pid) = sensor.run(Mode::Enforce);
    bomb(&sensor.world, pid);
    for _ in 0..10 {
        sensor.watch();
        sensor.world.advance(TICK);
    }
    let mut sensor = sensor.killed_and_started();
    let run = sensor.registry.find("agent").unwrap();
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert!(!sensor.world.is_alive(pid));
}
