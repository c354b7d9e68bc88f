//! Runs over cgroups that are another's: stopped more than once, let go, and one inside the other.

use sentry_tests::{
    cgroup::TestCgroup,
    procs,
    programs::{self, Gathered},
    require,
    sensor::{Sensor, Setup},
    wait,
};

fn tag(sensor: &Sensor, group: &TestCgroup, flags: &[&str]) -> String {
    let path = group.path().to_str().unwrap().to_owned();
    let mut line = vec!["tag", &path];
    line.extend(flags);
    sensor.json(&line).remove(0)["id"].as_str().unwrap().to_owned()
}

fn counter(sensor: &Sensor, group: &TestCgroup) -> Gathered {
    let number = sensor.place("pid");
    let mut command = programs::command("workload_count");
    let counter = sensor.beside(command.args(["once"]).arg(&number));
    let _ready = wait::file(&number);
    group.add(counter.pid());
    counter
}

#[test]
fn a_service_that_is_started_again_in_its_cgroup_is_stopped_again() {
    require!("root");
    let detect = "detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05, cpu_leads_to_acts: true}";
    let sensor = Setup::default().config(detect).start();
    let group = TestCgroup::new("service");
    let id = tag(&sensor, &group, &["--name", "service", "--enforce"]);
    for life in 1..=2 {
        let ready = sensor.place("spin");
        let spin = sensor.beside(programs::command("workload_spin").arg("1").arg(&ready));
        let _ready = wait::file(&ready);
        group.add(spin.pid());
        wait::until("the spinner is killed", || {
            if procs::is_alive(spin.pid()) { Err(format!("life {life}")) } else { Ok(()) }
        });
        wait::until("the run stands as it did before", || {
            let state = sensor.state_of(&id);
            if state["state"] == "running" { Ok(()) } else { Err(format!("{state:#}")) }
        });
    }
    let report = sensor.json(&["untag", &id]).remove(0);
    let acts: Vec<_> = report["outcomes"].as_array().unwrap().iter().map(|act| &act["action"]).collect();
    assert_eq!(acts, ["freeze", "kill", "freeze", "kill"], "{report:#}");
}

#[test]
fn a_frozen_cgroup_is_let_go_thawed() {
    require!("root");
    let sensor = Sensor::start();
    let group = TestCgroup::new("let-go");
    let mut member = counter(&sensor, &group);
    let id = tag(&sensor, &group, &["--name", "let-go"]);
    let told = sensor.json(&["freeze", &id]);
    assert_eq!(told[1]["result"], "applied");
    assert!(group.frozen());
    let report = sensor.json(&["untag", &id]).remove(0);
    assert!(!group.frozen());
    assert!(!member.ended());
    let acts: Vec<_> = report["outcomes"].as_array().unwrap().iter().map(|act| &act["action"]).collect();
    assert_eq!(acts, ["freeze", "thaw"], "{report:#}");
    assert_eq!(sensor.json(&["agents"]), [] as [serde_json::Value; 0]);
    let _entries = sensor.verified_ledger();
}

#[test]
fn a_cgroup_above_a_run_is_not_taken() {
    require!("root");
    let sensor = Sensor::start();
    let outer = TestCgroup::new("outer");
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let id = sensor.json(&["tag", inner.to_str().unwrap(), "--name", "inner"]).remove(0);
    let id = id["id"].as_str().unwrap();
    let output = sensor.cli(&["tag", outer.path().to_str().unwrap(), "--name", "outer"]);
    assert_eq!(output.status.code(), Some(1), "{}", programs::text(&output));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("run {id} is below cgroup")), "{told}");
    // The inner run has its members as before.
    let number = sensor.place("pid");
    let mut command = programs::command("workload_count");
    let member = sensor.beside(command.args(["once"]).arg(&number));
    let _ready = wait::file(&number);
    std::fs::write(inner.join("cgroup.procs"), member.pid().to_string()).unwrap();
    let killed = sensor.json(&["kill", id]);
    assert_eq!((&killed[1]["result"], &killed[1]["processes"]), (&"applied".into(), &1.into()), "{killed:?}");
    let _report = sensor.json(&["untag", id]);
    let runs = sentry_tests::cgroup::mount().join("agentsentry");
    let output = sensor.cli(&["tag", runs.to_str().unwrap(), "--name", "all"]);
    assert_eq!(output.status.code(), Some(1), "{}", programs::text(&output));
}

#[test]
fn an_agent_is_not_called_like_a_run() {
    require!("root");
    let sensor = Sensor::start();
    let name = "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11";
    let output = sensor.cli(&["run", "--name", name, "--", "/bin/true"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("an agent cannot be called like a run id"), "{told}");
}
