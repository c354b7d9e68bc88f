//! Every scenario of `tests/scenarios`, in one sensor, one run each.

use std::{
    fs::File,
    io::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sentry_tests::{
    require,
    scenario::{self, Scenario, Verdict},
    sensor::Sensor,
};

#[test]
fn every_scenario_is_seen_or_a_documented_limit() {
    require!("root");
    let sensor = Sensor::start();
    // For a look at some of them while they are written.
    let only = std::env::var("AGENTSENTRY_SCENARIO").unwrap_or_default();
    let mut scenarios = scenario::to_run();
    scenarios.retain(|scenario| only.split(',').any(|start| scenario.id.starts_with(start)));
    // For what fails now and then.
    let rounds = std::env::var("AGENTSENTRY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let scenarios = vec![scenarios; rounds].concat();
    let verdicts = play_all(&scenarios, &sensor);
    let mut table = std::env::var_os("AGENTSENTRY_COVERAGE")
        .map(|path| File::options().create(true).append(true).open(path).unwrap());
    let mut wrong = Vec::new();
    for (scenario, verdict) in scenarios.iter().zip(verdicts) {
        let line = verdict.line(scenario).to_string();
        println!("coverage: {line}");
        if let Some(table) = &mut table {
            writeln!(table, "{line}").unwrap();
        }
        if let Verdict::Wrong(what) = verdict {
            wrong.push(format!("{} {}: {what}", scenario.id, scenario.title));
        }
    }
    println!("{rounds} rounds; faults of the sensor: {}", sensor.health()["faults"]);
    assert!(wrong.is_empty(), "{} scenarios are not as their files say:\n{}", wrong.len(), wrong.join("\n"));
}

/// Several at a time: most of the time goes into starting programs.
fn play_all(scenarios: &[Scenario], sensor: &Sensor) -> Vec<Verdict> {
    const AT_ONCE: usize = 3;
    let (next, verdicts) = (AtomicUsize::new(0), Mutex::new(vec![None; scenarios.len()]));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(number) else { return };
                    let verdict = scenario::play(scenario, sensor, number);
                    verdicts.lock().unwrap()[number] = Some(verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap().into_iter().flatten().collect()
}

/// So that a test that gets another name is not forgotten in the table of rows.
#[test]
fn the_tests_that_rows_name_are_there() {
    let own = std::env::current_exe().unwrap();
    let listed = std::process::Command::new(own).args(["--list", "--format", "terse"]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout);
    for row in scenario::rows() {
        for test in row.tests {
            assert!(listed.lines().any(|line| line == format!("{test}: test")), "{}: no test {test}", row.id);
        }
    }
}

#[test]
fn pending_scenarios_can_be_read_and_have_ids_of_their_own() {
    let mut ids: Vec<String> =
        scenario::pending().into_iter().chain(scenario::to_run()).map(|scenario| scenario.id).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
