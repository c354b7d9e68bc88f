//! What is normal for an agent: learned over its runs, kept over a crash, departed from.

use std::{collections::HashSet, fs};

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup},
    supervised::{Order, Supervised},
    wait,
};
use serde_json::Value;

const AGENT: &str = "builder";
/// Short windows, so that a run of a moment has one.
const CONFIG: &str = "baselines: {window: 1 s, min_runs: 3, min_windows: 3}";
/// What it always does; then it waits for a line.
const USUAL: &str = "for i in 1 2 3 4 5; do /bin/true; done; read line";
/// Far more writes, though none that a rule looks for, and a program that it never ran.
const UNUSUAL: &str = "i=0; while [ $i -lt 400 ]; do : > \"$OUT\"; i=$((i+1)); done; \"$NEW\"; read line";

/// What is known of the agent; null where nothing is.
fn standing(sensor: &Sensor) -> Value {
    let output = sensor.cli(&["explain", AGENT, "--json"]);
    let lines = sentry_tests::sensor::lines(&output.stdout);
    lines.into_iter().find(|line| line["type"] == "standing").unwrap_or_default()
}

fn until_standing(sensor: &Sensor, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait::until(what, || {
        let standing = standing(sensor);
        if holds(&standing["baseline"]) { Ok(standing) } else { Err(format!("{standing:#}")) }
    })
}

/// Findings of a run, as rule and sentence.
fn findings(sensor: &Sensor, run: &str) -> Vec<(String, String)> {
    let findings = sensor.findings(run).into_iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .map(|found| (text(&found["finding_info"]["title"]), text(&found["finding_info"]["desc"])))
        .collect()
}

/// Lets the run end; nothing was done to it.
fn ends_by_itself(mut run: Supervised<'_>) {
    drop(run.stdin());
    let ended = run.wait();
    assert_eq!(ended.code(), Some(1), "{}", programs::text(&ended.output));
    let outcomes = ended.report()["outcomes"].as_array().unwrap();
    assert!(outcomes.iter().all(|outcome| outcome["action"] == "observe"), "{outcomes:#?}");
}

#[test]
fn what_departs_from_what_was_learned_before_a_crash_is_found_and_explained() {
    require!("root");
    let mut sensor = Setup::default().config(CONFIG).start();
    for _ in 0..3 {
        let ended = Order::new(&sensor, AGENT).finish(&["sh", "-c", USUAL]);
        assert_eq!(findings(&sensor, &ended.run), []);
    }
    let learned = until_standing(&sensor, "three runs are learned", |baseline| baseline["runs"] == 3);
    assert_eq!(learned["baseline"]["known"], true, "{learned:#}");
    sensor.kill();
    sensor.start_again();
    assert_eq!(standing(&sensor)["baseline"], learned["baseline"]);

    // The lawful twin, looked at while it lives.
    let run = Order::new(&sensor, AGENT).with_stdin().start(&["sh", "-c", USUAL]);
    let id = run.run();
    let windows = |baseline: &Value| baseline["windows"].as_u64();
    until_standing(&sensor, "a window is closed", |baseline| {
        windows(baseline) > windows(&learned["baseline"])
    });
    ends_by_itself(run);
    assert_eq!(findings(&sensor, &id), []);

    let new = sensor.scratch().join("never-seen");
    fs::copy("/bin/true", &new).unwrap();
    let new = new.to_str().unwrap();
    let out = sensor.scratch().join("out");
    let order = Order::new(&sensor, AGENT).variable("NEW", new).variable("OUT", out.to_str().unwrap());
    let order = order.flag("--enforce").with_stdin();
    let run = order.start(&["sh", "-c", UNUSUAL]);
    let id = run.run();
    let found = wait::until("the departures are found", || {
        let found = findings(&sensor, &id);
        let is_there = |words: &str| found.iter().any(|(_, text)| text.contains(words));
        if is_there("writes in") && is_there(new) { Ok(found) } else { Err(format!("{found:?}")) }
    });
    assert!(found.iter().all(|(rule, _)| rule == "departure"), "{found:?}");
    let text = programs::text(&sensor.cli(&["explain", &id]));
    assert!(text.contains("windows learned") && text.contains("(limit "), "{text}");
    ends_by_itself(run);
    // One for each cause, however long it went on: the words are those of the sentence that say it.
    let cause = |text: &str| {
        let at = if text.starts_with("first use") { 5 } else { 1 };
        text.split_whitespace().nth(at).map(str::to_owned)
    };
    let causes: Vec<_> = findings(&sensor, &id).iter().map(|(_, text)| cause(text)).collect();
    let distinct: HashSet<_> = causes.iter().collect();
    assert_eq!(distinct.len(), causes.len(), "{causes:?}");
    let text = programs::text(&sensor.cli(&["explain", AGENT]));
    assert!(text.contains("Trust in builder") && text.contains("executed programs as root"), "{text}");
    let table = programs::text(&sensor.cli(&["agents", "--all"]));
    assert!(table.contains("TRUST"), "{table}");
}

#[test]
fn a_torn_baseline_stands_aside_and_is_learned_anew() {
    require!("root");
    let mut sensor = Setup::default().config(CONFIG).start();
    drop(Order::new(&sensor, AGENT).finish(&["sh", "-c", USUAL]));
    until_standing(&sensor, "a run is learned", |baseline| baseline["runs"] == 1);
    sensor.kill();
    let file = sensor.state_dir().join("baselines/builder.baseline");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    sensor.start_again();
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    assert!(health.contains("a baseline was not taken: it is torn"), "{health}");
    assert_eq!(fs::read(file.with_extension("aside")).unwrap(), bytes[..bytes.len() / 2]);
    drop(Order::new(&sensor, AGENT).finish(&["sh", "-c", USUAL]));
    let again = until_standing(&sensor, "it is learned anew", |baseline| baseline["runs"] == 1);
    assert_eq!(again["baseline"]["known"], false);
}
