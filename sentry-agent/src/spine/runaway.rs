//! A runaway: what is found, decided and done about it.

use super::*;

const APPLIED: &str = "applied";

#[test]
fn an_enforced_fork_bomb_is_frozen_and_killed() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert_eq!(sensor.findings(), ["spawn-storm"]);
    assert_eq!(sensor.outcomes(), [(v1::Action::Freeze, APPLIED.into()), (v1::Action::Kill, APPLIED.into())]);
    assert_eq!(
        sensor.ledger(),
        ["run-start", "finding", "decision", "outcome", "decision", "outcome", "run-end"]
    );
    assert!(!sensor.world.is_alive(pid));
}

#[test]
fn a_fork_bomb_is_stopped_within_a_second_of_its_start() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    sensor.ticks(Duration::from_secs(5));
    let began = sensor.now();
    bomb(&sensor.world, pid);
    sensor.until("the run is stopped", |sensor| !sensor.outcomes().is_empty());
    let took = sensor.now() - began;
    assert!(took <= Duration::from_secs(1), "{took:?} of the machine's time");
    assert!(!sensor.world.is_alive(pid) && !run.is_awaited());
}

#[test]
fn an_observed_fork_bomb_is_found_and_left_alone() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Observe);
    bomb(&sensor.world, pid);
    sensor.ticks(Duration::from_secs(3));
    assert_eq!(sensor.findings(), ["spawn-storm"]);
    let would = "would apply".to_owned();
    assert_eq!(sensor.outcomes(), [(v1::Action::Freeze, would.clone()), (v1::Action::Kill, would)]);
    assert!(sensor.world.is_alive(pid) && !sensor.world.stands_still(pid));
    assert!(!run.is_ended());
}

#[test]
fn the_neighbour_of_a_runaway_goes_on() {
    let mut sensor = Sensor::new();
    let (bad, pid) = sensor.run(Mode::Enforce);
    let (good, neighbour) = sensor.run(Mode::Enforce);
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&bad));
    assert!(sensor.world.is_alive(neighbour) && !sensor.world.stands_still(neighbour));
    assert_eq!((good.is_ended(), sensor.stored(&good).findings), (false, 0));
}

#[test]
fn a_fork_bomb_in_somebodys_group_is_killed_and_what_starts_there_next_is_watched() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.tagged(Mode::Enforce, "agent.service");
    bomb(&sensor.world, pid);
    sensor.until("the bomb is gone", |sensor| !sensor.world.is_alive(pid));
    sensor.ticks(Duration::from_secs(1));
    assert!(!run.is_ended());
    assert_eq!(sensor.stored(&run).state(), v1::RunState::Running);
    // The service manager starts it again, and it does the same.
    let again = sensor.world.spawn();
    sensor.world.leave(again, Path::new("agent.service"));
    assert!(!sensor.world.stands_still(again), "the emptied group was thawed");
    bomb(&sensor.world, again);
    sensor.until("it is gone again", |sensor| !sensor.world.is_alive(again));
    assert_eq!(sensor.findings(), ["spawn-storm", "spawn-storm"]);
}

#[test]
fn a_member_outside_of_the_group_dies_with_the_run() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    let escaped = sensor.world.fork(pid).unwrap();
    sensor.world.make_group("elsewhere");
    sensor.world.leave(escaped, Path::new("elsewhere"));
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert!(!sensor.world.is_alive(escaped));
}

#[test]
fn a_bomb_that_goes_off_outside_of_the_group_is_stopped() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    sensor.world.make_group("elsewhere");
    sensor.world.leave(pid, Path::new("elsewhere"));
    bomb(&sensor.world, pid);
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert!(!sensor.world.is_alive(pid));
}

#[test]
fn a_process_that_cannot_be_killed_is_reported_and_killed_once_it_can() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    let stuck = sensor.world.fork(pid).unwrap();
    sensor.world.stick(stuck, true);
    bomb(&sensor.world, pid);
    sensor.until("an act has failed", |sensor| {
        sensor.outcomes().contains(&(v1::Action::Kill, "failed".into()))
    });
    assert!(sensor.world.is_alive(stuck) && !sensor.world.is_alive(pid));
    assert!(!run.is_ended(), "it is watched for as long as a process is left");
    sensor.world.stick(stuck, false);
    let outcome = sensor.by_hand(&run, Action::Kill);
    assert_eq!((outcome.survivors, outcome.processes), (0, 1));
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
}

#[test]
fn what_is_found_while_no_case_finds_room_is_found_again() {
    let mut sensor = Sensor::with_room(watch::MOST);
    let (run, pid) = sensor.run(Mode::Enforce);
    // The act stage hangs, and what it is asked piles up.
    while sensor.cases.capacity() > 0 {
        let (noted, _heard) = oneshot::channel();
        sensor.cases.try_send(Case::Started { run: Arc::clone(&run), noted }).unwrap();
    }
    bomb(&sensor.world, pid);
    for _ in 0..20 {
        sensor.watch();
        sensor.world.advance(TICK);
    }
    assert!(sensor.stats.lost.load(std::sync::atomic::Ordering::Relaxed) > 0, "and that is counted");
    sensor.until("the run ends", |sensor| sensor.is_over(&run));
    assert!(!sensor.world.is_alive(pid));
}

#[test]
fn what_ends_as_fast_as_it_is_born_is_no_storm() {
    let mut sensor = Sensor::new();
    let (_run, pid) = sensor.run(Mode::Enforce);
    for _ in 0..50 {
        sensor.world.fork_and_end(pid, 40);
        sensor.tick();
    }
    assert_eq!(sensor.findings(), Vec::<String>::new());
}

#[test]
fn processor_time_alone_is_a_finding_and_no_act() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    for _ in 0..60 {
        sensor.world.use_cpu(run.cgroup.id(), TICK);
        sensor.tick();
    }
    assert_eq!(sensor.findings(), ["cpu-spin"]);
    assert!(sensor.world.is_alive(pid) && !sensor.world.stands_still(pid));
    assert_eq!(sensor.outcomes(), [(v1::Action::Observe, APPLIED.into())]);
}

#[test]
fn bytes_that_are_moved_speak_against_a_spin() {
    let mut sensor = Sensor::new();
    let (run, pid) = sensor.run(Mode::Enforce);
    for _ in 0..60 {
        sensor.world.use_cpu(run.cgroup.id(), TICK);
        sensor.world.move_bytes(pid, 50_000_000);
        sensor.tick();
    }
    assert_eq!(sensor.findings(), Vec::<String>::new());
}
