//! Every scenario of `tests/scenarios`, in one sensor, one run each.

use std::{fs::File, io::Write as _};

use sentry_tests::{
    require,
    scenario::{self, Verdict},
    sensor::Sensor,
};

#[test]
fn every_scenario_is_seen_or_a_documented_limit() {
    require!("root");
    let sensor = Sensor::start();
    let mut table = std::env::var_os("AGENTSENTRY_COVERAGE")
        .map(|path| File::options().create(true).append(true).open(path).unwrap());
    // For a look at one of them while it is written.
    let only = std::env::var("AGENTSENTRY_SCENARIO").unwrap_or_default();
    let mut wrong = Vec::new();
    for (number, scenario) in scenario::to_run().iter().enumerate() {
        if !scenario.id.starts_with(&only) {
            continue;
        }
        let verdict = scenario::play(scenario, &sensor, number);
        let line = verdict.line(scenario).to_string();
        println!("coverage: {line}");
        if let Some(table) = &mut table {
            writeln!(table, "{line}").unwrap();
        }
        if let Verdict::Wrong(what) = verdict {
            wrong.push(format!("{} {}: {what}", scenario.id, scenario.title));
        }
    }
    assert!(wrong.is_empty(), "{} scenarios are not as their files say:\n{}", wrong.len(), wrong.join("\n"));
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
