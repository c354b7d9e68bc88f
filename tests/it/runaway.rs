//! Runaways: found, and stopped where the run is enforced.

use std::process::Command;

use sentry_tests::{
    capability, procs,
    programs::{self, Gathered},
    require,
    sensor::{Sensor, Setup},
    story,
    supervised::{Ended, Order},
    wait::{self, Heartbeat},
};
use serde_json::Value;

use crate::workload;

/// A machine that is shared with other work gives a spinner less than a core.
const QUICK: &str = "detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05, cpu_leads_to_acts: true}";
/// The same, where CPU alone leads to no act.
const QUICK_TO_FIND: &str = "detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05}";

/// A user that no other test run on this machine has now.
fn own_user() -> u32 {
    64_100 + std::process::id() % 800
}

/// Action and result of every outcome.
fn outcomes(report: &Value) -> Vec<(String, String)> {
    let text = |outcome: &Value, key: &str| outcome[key].as_str().unwrap().to_owned();
    report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| (text(outcome, "action"), text(outcome, "result")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(action, result)| ((*action).to_owned(), (*result).to_owned())).collect()
}

/// The rule of every finding; each is valid OCSF.
fn rules(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap();
    for finding in findings {
        assert_eq!(sentry_proto::ocsf::check(finding), Ok(()), "{finding:#}");
    }
    findings.iter().map(|finding| finding["finding_info"]["title"].as_str().unwrap().to_owned()).collect()
}

fn was_stopped(sensor: &Sensor, ended: &Ended, rule: &str) {
    let report = ended.report();
    assert_eq!(ended.code(), Some(137), "{}\n{report:#}", programs::text(&ended.output));
    // An emulated machine may be too slow to bring forth what the rule asks for; then another one
    // stops the run.
    assert!(wait::slow() || rules(report).contains(&rule.to_owned()), "{report:#}");
    let mut acts = outcomes(report);
    // A program's start takes so long there that a first finding may be too uncertain to act on.
    if wait::slow() && acts.first() == pairs(&[("observe", "applied")]).first() {
        acts.remove(0);
    }
    assert_eq!(acts, pairs(&[("freeze", "applied"), ("kill", "applied")]), "{report:#}");
    let last = report["outcomes"].as_array().and_then(|outcomes| outcomes.last());
    assert_eq!(last.map(|kill| &kill["survivors"]), Some(&0.into()), "{report:#}");
    // The report does not wait for long; on a slow machine the last records of hundreds of
    // processes come later.
    wait::until("the run is over", || {
        let state = sensor.state_of(&ended.run);
        if state["state"] == "ended" {
            Ok(())
        } else {
            Err(format!("{state}; {}", sensor.health()["faults"]))
        }
    });
}

/// Processes that a stop must not touch: the same program and user, outside of the run.
struct Bystanders(Vec<Gathered>, Vec<u32>);

impl Bystanders {
    fn start(sensor: &Sensor, uid: u32) -> Self {
        let dir = sensor.scratch().dir("bystanders");
        let files: Vec<_> = (0..3).map(|number| dir.join(number.to_string())).collect();
        let started = files
            .iter()
            .map(|file| {
                let mut command: Command = programs::command("workload_forkbomb");
                command.args([&uid.to_string(), "idle"]).arg(file);
                sensor.beside(&mut command)
            })
            .collect();
        Self(started, files.iter().map(|file| wait::file(file).parse().unwrap()).collect())
    }

    fn are_untouched(&mut self) -> bool {
        let running = self.0.iter_mut().all(|process| !process.ended());
        running && self.1.iter().all(|pid| procs::state(*pid).is_some_and(|state| state != 'T'))
    }
}

#[test]
fn a_fork_bomb_is_stopped_and_nobody_else() {
    require!("root");
    let (rounds, uid) = (wait::rounds(5, 2, 50), own_user());
    let sensor = Sensor::start();
    let mut bystanders = Bystanders::start(&sensor, uid);
    let mut others = bystanders.1.clone();
    others.sort_unstable();
    for round in 1..=rounds {
        let heart = Heartbeat::start();
        let bomb = workload("workload_forkbomb", &[&uid.to_string(), "300", "50"]);
        let ended = Order::new(&sensor, "bomb").flag("--enforce").finish(&bomb);
        let mut left = procs::of_user(uid);
        let pulse = heart.stop();
        was_stopped(&sensor, &ended, "spawn-storm");
        // Also where the kernel left out programs.
        let count = |name: &str| ended.report()["run"]["counters"][name].as_u64().unwrap();
        let begun = count("processes_born") + count("processes_entered");
        assert_eq!(begun, count("processes_ended"), "round {round}: {:#}", ended.report()["run"]);
        left.sort_unstable();
        assert_eq!(left, others, "round {round}");
        assert!(bystanders.are_untouched(), "round {round}");
        // The machine answered all along: far from any measurement of speed.
        let limit = if wait::slow() { 30 } else { 5 };
        assert!(pulse.longest_gap.as_secs() < limit, "round {round}: {pulse:?}");
        assert!(u64::from(pulse.beats) * limit >= pulse.took.as_secs(), "round {round}: {pulse:?}");
    }
    assert!(sensor.verified_ledger() > u64::from(6 * rounds));
}

#[test]
fn a_spinning_run_is_frozen_and_killed_where_it_is_enforced() {
    require!("root");
    let sensor = Setup::default().config(QUICK).start();
    let file = sensor.scratch().join("pid");
    let spin = workload("workload_spin", &["2", file.to_str().unwrap()]);
    let ended = Order::new(&sensor, "spinner").flag("--enforce").finish(&spin);
    was_stopped(&sensor, &ended, "cpu-spin");
    let events = sensor.events(&ended.run);
    let ends = story::only(&events, "exit");
    assert_eq!((ends.len(), &ends[0]["unmapped"]["signal"]), (1, &9.into()), "{ends:#?}");
    // Not from its file: on a slow machine its start alone is CPU enough to be frozen for.
    let pid = ends[0]["process"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap();
    assert!(!procs::is_alive(pid));
    assert!(sensor.verified_ledger() >= 7, "start, finding, two decisions, two outcomes, end");
}

#[test]
fn a_spinning_run_goes_on_where_it_is_observed() {
    require!("root");
    let sensor = Setup::default().config(QUICK).start();
    let file = sensor.scratch().join("pid");
    let run =
        Order::new(&sensor, "spinner").start(&workload("workload_spin", &["1", file.to_str().unwrap()]));
    let (id, pid) = (run.run(), wait::file(&file).parse::<u32>().unwrap());
    let report = wait::until("the spin is found and decided on", || {
        let report = sensor.json(&["report", &id]).remove(0);
        if outcomes(&report).len() < 2 { Err(format!("{report:#}")) } else { Ok(report) }
    });
    assert_eq!(rules(&report)[0], "cpu-spin");
    assert_eq!(outcomes(&report), pairs(&[("freeze", "would_apply"), ("kill", "would_apply")]));
    assert_eq!(procs::state(pid), Some('R'));
    assert_eq!(sensor.state_of(&id)["state"], "running");
    // How it came about can be asked for.
    let finding = report["findings"][0]["finding_info"]["uid"].as_str().unwrap();
    let explained = sensor.json(&["explain", finding]);
    assert_eq!(explained[0]["finding_info"]["uid"], finding);
    let rest = |kind: &str| explained.iter().filter(|value| value["type"] == kind).count();
    assert_eq!((rest("decision"), rest("outcome")), (2, 2), "{explained:#?}");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
    let _entries = sensor.verified_ledger();
}

#[test]
fn a_spinning_run_is_a_finding_only_unless_the_configuration_asks_for_acts() {
    require!("root");
    let sensor = Setup::default().config(QUICK_TO_FIND).start();
    let file = sensor.scratch().join("pid");
    let spin = workload("workload_spin", &["2", file.to_str().unwrap()]);
    let run = Order::new(&sensor, "spinner").flag("--enforce").start(&spin);
    let (id, pid) = (run.run(), wait::file(&file).parse::<u32>().unwrap());
    let report = wait::until("the spin is found and decided on", || {
        let report = sensor.json(&["report", &id]).remove(0);
        if outcomes(&report).is_empty() { Err(format!("{report:#}")) } else { Ok(report) }
    });
    assert_eq!(
        (rules(&report), outcomes(&report)),
        (vec!["cpu-spin".into()], pairs(&[("observe", "applied")]))
    );
    assert_eq!(procs::state(pid), Some('R'));
    assert_eq!(sensor.state_of(&id)["state"], "running");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
}

#[test]
fn a_busy_run_that_works_is_left_alone() {
    require!("root");
    let sensor = Sensor::start();
    let dir = sensor.scratch().dir("files");
    let count = if wait::slow() { "2000" } else { "20000" };
    let line = workload("workload_flood", &[dir.to_str().unwrap(), count, "0"]);
    let ended = Order::new(&sensor, "worker").flag("--enforce").finish(&line);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    assert_eq!(outcomes(ended.report()), [], "{:#}", ended.report());
}

#[test]
fn a_killed_run_is_started_again_as_often_as_allowed() {
    require!("root");
    let sensor = Setup::default().config(QUICK).start();
    let file = sensor.scratch().join("pid");
    let spin = workload("workload_spin", &["2", file.to_str().unwrap()]);
    let ended = Order::new(&sensor, "phoenix").flag("--enforce").flag("--restart=1").finish(&spin);
    was_stopped(&sensor, &ended, "cpu-spin");
    assert_eq!(ended.reports.len(), 2, "{}", programs::text(&ended.output));
    let lives: Vec<&str> = ended.reports.iter().map(|report| report["run"]["id"].as_str().unwrap()).collect();
    assert_ne!(lives[0], lives[1]);
    let note = format!("sentry: the sensor killed run {}; starting again, 1 of 1\n", lives[0]);
    assert!(ended.stderr().contains(&note), "{}", ended.stderr());
    assert_eq!(sensor.json(&["agents", "--all"]).len(), 2);
}

#[test]
fn a_run_that_a_person_killed_is_not_started_again() {
    require!("root");
    let sensor = Sensor::start();
    let file = sensor.scratch().join("pid");
    let line = workload("workload_count", &["once", file.to_str().unwrap()]);
    let run = Order::new(&sensor, "unwanted").flag("--enforce").flag("--restart=3").start(&line);
    let _pid = wait::file(&file);
    assert_eq!(sensor.cli(&["kill", "unwanted"]).status.code(), Some(0));
    let ended = run.wait();
    assert_eq!((ended.code(), ended.reports.len()), (Some(137), 1), "{}", programs::text(&ended.output));
}

/// What the doctor says of this machine is what the sensor runs with.
#[test]
fn the_sensor_runs_on_the_tier_that_the_doctor_found() {
    require!("root");
    let sensor = Sensor::start();
    assert_eq!(sensor.health()["tier"], capability::tier());
    assert_eq!(sensor.health()["health"], "serving");
}

/// Hundreds of processes leave one that is their equal a few thousandths of a processor.
#[test]
fn the_threads_that_stop_a_run_come_before_all_others() {
    require!("root");
    let sensor = Sensor::start();
    let mut nice = procs::nice_by_thread(sensor.pid());
    let stages = ["ring", "analyse", "watch", "act", "reconcile"];
    nice.retain(|thread, _| stages.contains(&thread.as_str()));
    let expected = [("ring", -10), ("analyse", -10), ("watch", -20), ("act", -20), ("reconcile", -10)];
    assert_eq!(nice, expected.map(|(thread, nice)| (thread.to_owned(), nice)).into());
}
