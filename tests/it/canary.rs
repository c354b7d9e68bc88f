//! The sensor notices that it does not see any more.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sentry_tests::{
    cgroup::{self, TestCgroup},
    links, procs, programs, require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};

use crate::workload;

#[test]
fn health_sends_a_canary_through_every_hook() {
    require!("root");
    let sensor = Setup::default().start();
    let health = sensor.health();
    assert_eq!(health["health"], "serving", "{health:#}");
    let ring = health["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "ring").unwrap();
    assert!(ring["handled"].as_u64() > Some(0), "its records came through the rings: {ring}");
    assert_eq!(sensor.json(&["agents", "--all"]), [] as [serde_json::Value; 0], "it is no run");
}

#[test]
fn the_canary_flies_in_a_cgroup_namespace_and_without_a_place_for_temporary_files() {
    require!("root");
    let group = TestCgroup::new("contained");
    let sensor = Setup::default().contained_in(&group).variable("TMPDIR", "/nowhere").start();
    let health = sensor.health();
    assert_eq!((&health["health"], &health["ready"]), (&"serving".into(), &true.into()), "{health:#}");
    // It is in the sensor's own group, from which the namespace lets it move, and gone again.
    let below: Vec<_> =
        fs::read_dir(group.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).collect();
    assert!(below.is_empty(), "{below:?}");
}

#[test]
fn a_sensor_that_sees_is_live_and_ready() {
    require!("root");
    let sensor = Sensor::start();
    assert_eq!(probes(&sensor), (Some(0), Some(0)));
}

/// What `health --live` and `--ready` end with.
fn probes(sensor: &Sensor) -> (Option<i32>, Option<i32>) {
    (sensor.cli(&["health", "--live"]).status.code(), sensor.cli(&["health", "--ready"]).status.code())
}

#[test]
fn the_canary_of_a_sensor_that_was_killed_is_swept_up_and_no_other() {
    require!("root");
    let ended = Command::new("true").spawn().and_then(|mut child| child.wait().map(|_| child.id())).unwrap();
    let mine = std::process::id();
    let groups = [ended, mine].map(|pid| cgroup::mount().join(format!("agentsentry/canary-{pid}-0")));
    groups.iter().for_each(|group| fs::create_dir_all(group).unwrap());
    let _sensor = Setup::default().start();
    let left = groups.each_ref().map(|group| group.exists());
    groups.iter().for_each(|group| cgroup::remove(group));
    assert_eq!(left, [false, true]);
}

#[test]
fn a_hook_that_is_detached_is_an_alarm() {
    require!("root");
    detached_is_an_alarm(links::CONNECT4);
}

#[test]
fn a_hook_that_is_detached_beside_one_with_the_same_fact_is_an_alarm() {
    require!("root");
    // The canary's connects are IPv4: they still come back.
    detached_is_an_alarm(links::CONNECT6);
}

/// Everything in the group stands still while this exists.
struct Frozen(PathBuf);

impl Frozen {
    fn new(group: &Path) -> Self {
        let switch = group.join("cgroup.freeze");
        fs::write(&switch, "1").unwrap();
        Self(switch)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        fs::write(&self.0, "0").unwrap();
    }
}

#[test]
fn a_canary_that_is_late_is_no_silent_hook() {
    require!("root");
    let sensor = Setup::default().start();
    let runs = cgroup::mount().join("agentsentry");
    fs::create_dir_all(&runs).unwrap();
    let frozen = Frozen::new(&runs);
    let health = sensor.beside(sensor.sentry(&["health"]).arg("--json"));
    // The sensor waits for four seconds.
    let late = wait::until("a canary that stands still", || {
        let canary = format!("canary-{}-", sensor.pid());
        let groups = fs::read_dir(&runs).unwrap().flatten();
        let mine = groups.map(|group| group.path()).find(|path| path.to_string_lossy().contains(&canary));
        let process = mine.and_then(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
        let pid = process.and_then(|process| process.trim().parse().ok()).ok_or("there is none yet")?;
        let age = procs::age(pid).ok_or("it is gone")?;
        if age.as_secs() >= 5 { Ok(pid) } else { Err(format!("{pid} is {age:?} old")) }
    });
    drop(frozen);
    let output = health.wait();
    assert_eq!(output.status.code(), Some(0), "process {late}: {}", programs::text(&output));
    assert!(!sensor.log().contains("does not see everything"), "{}", sensor.log());
}

fn detached_is_an_alarm(attach_type: u32) {
    let sensor = Setup::default().start();
    let number = sensor.scratch().join("number");
    let run = Order::new(&sensor, "counter").start(&workload("workload_count", &[number.to_str().unwrap()]));
    let id = run.run();
    let _started = wait::file(&number);
    links::detach(sensor.pid(), attach_type);
    // Nobody asks for it: the alarm is the sensor's own.
    wait::until("the alarm", || {
        let log = sensor.log();
        if log.contains("TCP, UDP connect") { Ok(()) } else { Err(log) }
    });
    let output = sensor.cli(&["health"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("silent hooks: TCP, UDP connect"), "{text}");
    assert_eq!(probes(&sensor), (Some(0), Some(1)), "it works, and does not see everything");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
}
