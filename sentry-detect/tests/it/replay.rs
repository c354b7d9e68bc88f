//! A recorded run gives the findings that it gave when it was recorded, byte for byte.
//!
//! `tests/fixtures/runaways.jsonl` holds the inputs, `runaways.findings.jsonl` the findings;
//! `UPDATE_GOLDEN=1` writes both anew. A change of either file is a change of behaviour.

use std::{error::Error, fs, path::PathBuf};

use serde::Serialize;

use crate::support::{Input, Trace, findings, settings};

type Checked = Result<(), Box<dyn Error>>;

/// An agent that works for a while, then loops over an exec, spins and ends in a fork bomb.
fn runaways() -> Trace {
    let mut trace = Trace::new();
    trace.spawn(&["/usr/bin/python3", "agent.py"]);
    for tick in 0..4 {
        trace.connect([127, 0, 0, 1]);
        trace.open(&format!("/srv/app/src/module{tick}.py"));
        trace.spawn(&["/usr/bin/grep", "-n", &format!("TODO{tick}"), "src"]);
        trace.pass(100, 0.4);
    }
    for tick in 0..22 {
        for _ in 0..[4, 4, 5][tick % 3] {
            trace.exec(&["/usr/bin/false"]);
        }
        trace.pass(100, 0.3);
    }
    for tick in 0..24 {
        if tick % 10 == 0 {
            trace.open("/proc/loadavg");
        }
        trace.pass(100, 0.99);
    }
    for births in [10, 30, 90, 200] {
        for _ in 0..4 {
            trace.fork();
        }
        trace.counters.processes_born += births;
        trace.counters.lost_critical += births;
        trace.pass(100, 2.0);
    }
    trace
}

#[test]
fn a_recorded_run_gives_the_recorded_findings() -> Checked {
    let built = runaways().inputs;
    let settings = settings(|limits| limits.cpu_spin.hold_ms = 2000);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(fixture("runaways.jsonl"), lines(&built)?)?;
        fs::write(fixture("runaways.findings.jsonl"), lines(&findings(settings.clone(), &built))?)?;
    }
    let recorded = fs::read_to_string(fixture("runaways.jsonl"))?;
    let inputs: Vec<Input> = recorded.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    // By what it says: a counter that was added later is zero in it.
    assert!(inputs == built, "the fixture is what the builder makes");
    let found = findings(settings, &inputs);
    let rules: Vec<_> = found.iter().map(|finding| finding.signal.rule.as_str()).collect();
    assert_eq!(rules, ["exec-loop", "cpu-spin", "spawn-storm"]);
    assert_eq!(lines(&found)?, fs::read_to_string(fixture("runaways.findings.jsonl"))?);
    Ok(())
}

#[test]
fn the_fixture_stays_small() -> Checked {
    assert!(fs::metadata(fixture("runaways.jsonl"))?.len() < 120_000);
    Ok(())
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn lines<T: Serialize>(values: &[T]) -> Result<String, serde_json::Error> {
    values.iter().map(|value| serde_json::to_string(value).map(|line| line + "\n")).collect()
}
