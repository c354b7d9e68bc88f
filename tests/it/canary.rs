//! The sensor notices that it does not see any more.

use std::{fs, process::Command};

use sentry_tests::{cgroup, links, require, sensor::Setup, supervised::Order, wait};

use crate::workload;

#[test]
fn health_sends_a_canary_through_every_hook() {
    require!("root");
    let sensor = Setup::default().start();
    let health = sensor.health();
    assert_eq!(health["health"], "serving", "{health:#}");
    assert_eq!(sensor.json(&["agents", "--all"]), [] as [serde_json::Value; 0], "it is no run");
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
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
}
