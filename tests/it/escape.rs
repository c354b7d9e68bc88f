//! Whatever a process of a run does to get away, it stays in its run.

use std::path::Path;

use sentry_tests::{
    cgroup::TestCgroup,
    procs, programs, require,
    sensor::{Sensor, lines},
    story,
    supervised::{Order, Supervised},
    wait,
};

use crate::workload;

const KINDS: [&str; 5] = ["setsid", "double-fork", "move", "child-cgroup", "orphan-move"];

fn escape<'a>(sensor: &'a Sensor, kind: &str, dir: &Path, outside: &TestCgroup) -> Supervised<'a> {
    let line = [kind, dir.to_str().unwrap(), outside.path().to_str().unwrap()];
    Order::new(sensor, "runaway").start(&workload("workload_escape", &line))
}

/// Pid of the process that got away by this kind, once it has arrived.
fn arrived(dir: &Path, kind: &str) -> u32 {
    wait::file(&dir.join(kind)).parse().unwrap()
}

/// What the run did after `kind`; the process that got away ends with it.
fn told_of(kind: &str) -> (u32, String, Vec<serde_json::Value>, TestCgroup) {
    let sensor = Sensor::start();
    let (dir, outside) = (sensor.scratch().dir("arrived"), TestCgroup::new("outside"));
    let run = escape(&sensor, kind, &dir, &outside);
    let (id, pid) = (run.run(), arrived(&dir, kind));
    assert!(procs::is_alive(pid));
    let killed = sensor.json(&["kill", &id]);
    assert_eq!(killed[1]["result"], "applied", "{killed:?}");
    assert!(!procs::is_alive(pid), "{kind}");
    assert_eq!(run.wait().code(), Some(137));
    (pid, id.clone(), sensor.events(&id), outside)
}

#[test]
fn a_session_of_its_own_is_still_the_run() {
    require!("root");
    for kind in ["setsid", "double-fork"] {
        let (pid, _run, events, _outside) = told_of(kind);
        let ends: Vec<u32> = story::only(&events, "exit").iter().map(|event| story::pid(event)).collect();
        assert!(ends.contains(&pid), "{kind}: the end of {pid} is among {ends:?}");
    }
}

#[test]
fn a_move_out_of_the_run_is_told_and_changes_nothing() {
    require!("root");
    let (pid, _run, events, outside) = told_of("move");
    let moves: Vec<(u32, String)> = story::only(&events, "cgroup_move")
        .iter()
        .map(|event| (story::pid(event), story::line(event)))
        .filter(|(mover, _)| *mover == pid)
        .collect();
    assert_eq!(moves, [(pid, format!("move member outside {}", outside.shown()))]);
    let ends: Vec<u32> = story::only(&events, "exit").iter().map(|event| story::pid(event)).collect();
    assert!(ends.contains(&pid), "the end of {pid} is among {ends:?}");
}

#[test]
fn a_cgroup_made_in_the_run_is_the_runs() {
    require!("root");
    let (pid, run, events, _outside) = told_of("child-cgroup");
    let child = format!("/agentsentry/{run}/child");
    let told: Vec<(u32, String)> = events
        .iter()
        .filter(|event| event["unmapped"]["act"].as_str().is_some_and(|act| act.starts_with("cgroup")))
        .map(|event| (story::pid(event), story::line(event)))
        .filter(|(actor, _)| *actor == pid)
        .collect();
    assert_eq!(told, [(pid, format!("cgroup_make {child}")), (pid, format!("move member inside {child}"))]);
}

/// The acceptance: nothing lives after a kill, however it hid.
#[test]
fn a_kill_leaves_nothing_alive() {
    require!("root");
    let rounds = wait::rounds(100, 5, 100);
    let sensor = Sensor::start();
    for round in 1..=rounds {
        let (dir, outside) = (sensor.place("arrived"), TestCgroup::new("outside"));
        std::fs::create_dir(&dir).unwrap();
        let run = escape(&sensor, "all", &dir, &outside);
        let pids: Vec<u32> = KINDS.iter().map(|kind| arrived(&dir, kind)).collect();
        let _main = arrived(&dir, "main");
        for pid in &pids {
            assert!(procs::is_alive(*pid), "round {round}: {pid} of {pids:?}");
        }
        let output = sensor.cli(&["kill", "runaway", "--reason", "the test is over", "--json"]);
        // Before anything else: the answer says that it is done.
        let mut survivors = procs::marked(sensor.mark());
        survivors.retain(|pid| *pid != run.pid());
        assert_eq!(output.status.code(), Some(0), "round {round}: {}", programs::text(&output));
        assert_eq!(survivors, [] as [u32; 0], "round {round}: {}", programs::text(&output));
        let told = lines(&output.stdout);
        assert_eq!((&told[1]["result"], &told[1]["survivors"]), (&"applied".into(), &0.into()), "{told:?}");
        assert!(told[1]["processes"].as_u64().unwrap() >= 6, "round {round}: {told:?}");
        assert_eq!(outside.procs(), [] as [u32; 0], "round {round}");
        assert_eq!(run.wait().code(), Some(137), "round {round}");
    }
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
    assert!(sensor.verified_ledger() > u64::from(4 * rounds));
}
