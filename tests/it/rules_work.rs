//! Each rule about loops, resources, network and lineage by real processes, and beside it what only
//! looks like it.

use std::{collections::BTreeMap, ffi::OsString, fs, path::Path};

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;

use crate::workload;

/// Small numbers, so that nothing large has to be done for long.
const SMALL: &str = "detect: {memory_limit_mib: 300, memory_balloon_ms: 4000, memory_trend_ms: 12000, \
                     thread_storm_horizon_ms: 4000, thread_storm_threads: 100, \
                     descriptor_leak_horizon_ms: 12000, descriptor_leak_descriptors: 100}";

/// A run, and the rules that it is found by.
struct Case {
    name: &'static str,
    command: Vec<OsString>,
    rules: &'static [&'static str],
}

fn case(name: &'static str, words: &str, rules: &'static [&'static str]) -> Case {
    let args: Vec<&str> = words.split(' ').collect();
    Case { name, command: workload("workload_rules", &args), rules }
}

fn shell(name: &'static str, program: &Path, script: &str, rules: &'static [&'static str]) -> Case {
    let command = vec![program.into(), "-c".into(), script.into()];
    Case { name, command, rules }
}

/// The rules that each run was found by, with what they say, by its agent.
fn found(sensor: &Sensor) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for finding in sensor.json(&["findings"]) {
        let text = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
        let of = all.entry(text("/ai_agent/name")).or_default();
        of.push((text("/finding_info/title"), text("/message")));
    }
    all
}

#[test]
fn each_rule_finds_what_it_is_for_and_not_what_looks_like_it() {
    require!("root", "packets");
    let sensor = Setup::default().config(SMALL).start();
    let file = sensor.scratch().join("script");
    let dir = sensor.scratch().dir("agents");
    let agent = dir.join("claude");
    fs::copy("/bin/sh", &agent).unwrap();
    let name = agent.display();
    let sh = Path::new("/bin/sh");
    let cases = [
        case("failing", "fails 14", &["exec-loop"]),
        case("edited", &format!("edits 14 {}", file.display()), &[]),
        case("knocking", "connects 350 1 1", &["connect-storm"]),
        case("loading", "connects 350 0 1", &[]),
        case("ports", "connects 100 100 1", &["scan"]),
        case("addresses", "connects 100 1 100", &["scan"]),
        case("few", "connects 20 4 2", &[]),
        case("tunnel", "asks 90 127.9.9.7 long", &["dns-tunnel"]),
        case("names", "asks 90 127.9.9.8 short", &[]),
        case("balloon", "memory 220 8", &["memory-growth"]),
        case("trend", "memory 60 15", &["memory-growth"]),
        case("small", "memory 20 8", &[]),
        case("threads", "threads 200", &["thread-storm"]),
        case("pool", "threads 16", &[]),
        case("descriptors", "descriptors 200 15", &["descriptor-leak"]),
        case("files", "descriptors 40 15", &[]),
        shell("nested", &agent, &format!("sh -c '{name} -c :; :'; :"), &["nested-agents"]),
        shell("launcher", &agent, &format!("{name} -c :; :"), &[]),
        shell("left", sh, "sleep 4 >/dev/null 2>&1 & :", &["leftovers"]),
        shell("joined", sh, "sleep 0.2 & wait", &[]),
    ];
    let runs: Vec<_> = cases.iter().map(|case| Order::new(&sensor, case.name).start(&case.command)).collect();
    for (run, case) in runs.into_iter().zip(&cases) {
        let ended = run.wait();
        assert_eq!(ended.code(), Some(0), "{}: {}", case.name, programs::text(&ended.output));
    }
    wait::until("what was left has ended", || {
        let runs = sensor.json(&["agents"]);
        if runs.is_empty() { Ok(()) } else { Err(format!("{runs:?}")) }
    });
    let found = found(&sensor);
    let mut differ = Vec::new();
    for Case { name, rules, .. } in &cases {
        let of = found.get(*name).cloned().unwrap_or_default();
        let mut names: Vec<&str> = of.iter().map(|(rule, _)| rule.as_str()).collect();
        names.dedup();
        // One cause is one finding, or two subjects.
        if names != *rules || of.len() > 2 {
            differ.push((name, rules, of));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn a_loop_that_fails_is_stopped_and_one_that_ends_well_is_observed() {
    require!("root");
    let sensor = Sensor::start();
    let of = |name: &str, script: &str| {
        Order::new(&sensor, name).flag("--enforce").finish(&["/bin/sh", "-c", script])
    };
    let failing = of("failing", "while :; do /bin/false; done");
    assert_eq!(failing.code(), Some(137), "{}", programs::text(&failing.output));
    let well = of("well", "end=$(($(date +%s) + 5)); while [ $(date +%s) -lt $end ]; do /bin/true; done");
    assert_eq!(well.code(), Some(0), "{}", programs::text(&well.output));
    let found = found(&sensor);
    let rules = |name: &str| found[name].iter().map(|(rule, _)| rule.clone()).collect::<Vec<_>>();
    assert_eq!((rules("failing"), rules("well")), (vec!["exec-loop".into()], vec!["exec-loop".into()]));
}

#[test]
fn what_a_command_leaves_is_killed_where_it_is_asked_for() {
    require!("root");
    let sensor = Sensor::start();
    let left = ["/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & exit 4"];
    let killed = Order::new(&sensor, "killed").flag("--leftovers=kill").finish(&left);
    assert_eq!(killed.code(), Some(4), "{}", programs::text(&killed.output));
    assert_eq!(killed.report()["run"]["state"], "ended", "{:#}", killed.report());
    let kept = Order::new(&sensor, "kept").flag("--leftovers=ask").finish(&left);
    assert_eq!(kept.code(), Some(4), "{}", programs::text(&kept.output));
    assert_eq!(kept.report()["run"]["state"], "running", "{:#}", kept.report());
    assert!(kept.stderr().contains("nobody can be asked without a terminal"), "{}", kept.stderr());
    assert_eq!(sensor.cli(&["kill", "kept"]).status.code(), Some(0));
}
