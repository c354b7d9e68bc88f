//! Rules of somebody's own, in the sensor and in a replay.

use std::fs;

use sentry_detect::{event::Event, run::State};
use sentry_recording::{Other, Recording, differences, replay, replay_by};

use super::{replay::recorded, *};

const RULES: &str = "version: 1
rules:
  - id: own/seeds
    title: Seeds
    on: [seed]
    when: agent == 'agent'
    tags: [attack:T1059]
    again: 1h
";
const BLOCK: &str = "    verdict: block\n";

/// Configures a file of these rules.
fn rules(sensor: &Sensor, text: &str) -> std::path::PathBuf {
    let path = sensor.dir.path().join("own.yaml");
    fs::write(&path, text).unwrap();
    sensor.configure(&format!("rules: [{}]", path.display()));
    path
}

fn event(run: &Run, sequence: u64) -> Event {
    let event = record(run, event::Ring::Critical);
    Event { id: format!("{}-c-{sequence}", run.id), sequence, ..event }
}

fn give(sensor: &mut Sensor, run: &Run, sequence: u64) {
    run.events(&[Arc::new(event(run, sequence))], true);
    sensor.ticks(Duration::from_millis(300));
}

fn ids(recording: &Recording) -> Vec<&str> {
    recording.findings().iter().map(|finding| finding.rule.as_str()).collect()
}

#[test]
fn an_own_rule_finds_and_only_observes_where_it_says_nothing_else() {
    let mut sensor = Sensor::new();
    rules(&sensor, RULES);
    let (run, _pid) = sensor.run(Mode::Enforce);
    (1..4).for_each(|sequence| give(&mut sensor, &run, sequence));
    assert_eq!(sensor.findings(), ["own/seeds"]);
    let found = sensor.items().into_iter().find_map(|item| match item {
        Kind::Finding(finding) => Some(finding),
        _ => None,
    });
    let found = found.unwrap();
    assert_eq!(found.evidence, [format!("{}-c-1", run.id)]);
    assert_eq!(found.tags, ["attack:T1059"]);
    assert_eq!(run.state(), State::Running);
}

#[test]
fn a_rule_that_blocks_freezes_an_enforced_run_and_kills_none() {
    let mut sensor = Sensor::new();
    rules(&sensor, &format!("{RULES}{BLOCK}"));
    let (run, _pid) = sensor.run(Mode::Enforce);
    give(&mut sensor, &run, 1);
    assert_eq!(sensor.outcomes(), [(v1::Action::Freeze, "applied".into())]);
    assert_eq!(run.state(), State::Frozen);
    let (observed, _pid) = sensor.run(Mode::Observe);
    give(&mut sensor, &observed, 1);
    assert_eq!(observed.state(), State::Running);
}

#[test]
fn a_run_under_way_gets_other_rules_and_keeps_none_that_are_gone() {
    let mut sensor = Sensor::new();
    let (run, _pid) = sensor.run(Mode::Observe);
    give(&mut sensor, &run, 1);
    assert_eq!(sensor.findings(), Vec::<String>::new());
    rules(&sensor, RULES);
    give(&mut sensor, &run, 2);
    rules(&sensor, &RULES.replace("own/seeds", "own/other"));
    give(&mut sensor, &run, 3);
    sensor.configure("");
    give(&mut sensor, &run, 4);
    assert_eq!(sensor.findings(), ["own/seeds", "own/other"]);
}

#[test]
fn what_an_own_rule_found_is_in_the_recording_and_needs_no_rules_to_be_found_again() {
    let mut sensor = Sensor::new();
    let path = rules(&sensor, &format!("{RULES}{BLOCK}"));
    let (run, _pid) = sensor.run(Mode::Enforce);
    give(&mut sensor, &run, 1);
    fs::remove_file(path).unwrap();
    let recording = recorded(&sensor, &run);
    let first = replay(&recording, None).unwrap();
    assert_eq!((ids(&recording), differences(&recording, &first)), (vec!["own/seeds"], Vec::new()));
    assert_eq!(replay(&recording, None).unwrap().lines().unwrap(), first.lines().unwrap());
    // Other rules find what they find, and not what was found then.
    let none = Arc::default();
    let other = replay_by(&recording, Other { limits: None, rules: Some(&none) }).unwrap();
    assert_eq!(other.findings().count(), 0);
}
