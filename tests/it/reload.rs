//! A configuration that is read again while runs live.

use std::fs;

use nix::sys::signal::Signal;
use sentry_tests::{
    procs, programs, require,
    sensor::{Sensor, Setup, lines},
    supervised::Order,
    wait,
};
use serde_json::{Value, json};

/// As many processes as are no storm by default, once the file is there.
const FORTY: &str = "until [ -e \"$GO\" ]; do sleep 0.05; done; n=0; while [ $n -lt 40 ]; do sleep 300 & \
    n=$((n+1)); done; wait";
const STRICT: &str = "detect: {storm_net_processes: 20, storm_births_per_s: 5}
agents: [{name: nightly, mode: enforce}]";

fn reload(sensor: &Sensor) -> (Option<i32>, Value) {
    let output = sensor.cli(&["config", "reload", "--json"]);
    let mut answers = lines(&output.stdout);
    assert_eq!(answers.len(), 1, "{}", programs::text(&output));
    (output.status.code(), answers.remove(0))
}

/// Bodies of the ledger's entries about the configuration.
fn changes_in_ledger(sensor: &Sensor) -> Vec<Value> {
    assert!(sensor.verified_ledger() > 0);
    let text = fs::read_to_string(sensor.state_dir().join("ledger/segment-00000001.jsonl")).unwrap();
    let entries = lines(text.as_bytes()).into_iter();
    entries.filter(|entry| entry["kind"] == "config-changed").map(|mut entry| entry["body"].take()).collect()
}

#[test]
fn a_run_under_way_gets_the_mode_and_the_thresholds_that_hold_now() {
    require!("root");
    let sensor = Setup::default().start();
    let go = sensor.place("go");
    let run = Order::new(&sensor, "nightly").variable("GO", go.to_str().unwrap()).start(&["sh", "-c", FORTY]);
    let id = run.run();
    assert_eq!(sensor.state_of(&id)["mode"], "observe");
    sensor.configure(STRICT);
    let (code, answer) = reload(&sensor);
    let change =
        |key: &str, before: Value, after: &str| json!({"key": key, "before": before, "after": after});
    let changed = json!([
        change("detect.storm_net_processes", json!("64"), "20"),
        change("detect.storm_births_per_s", json!("50.0"), "5.0"),
        change("agents.nightly", Value::Null, "enforce"),
    ]);
    let sorted = |changed: &Value| {
        let mut changed = changed.as_array().unwrap().clone();
        changed.sort_by_key(|change| change["key"].to_string());
        changed
    };
    assert_eq!((code, sorted(&answer["changed"])), (Some(0), sorted(&changed)), "{answer:#}");
    assert_eq!(sensor.state_of(&id)["mode"], "enforce");
    let written = changes_in_ledger(&sensor);
    assert_eq!(written, [json!({"changed": answer["changed"], "needs_restart": []})]);

    // The same again is no change, and no entry.
    let (code, answer) = reload(&sensor);
    assert_eq!((code, &answer["changed"]), (Some(0), &json!([])));
    assert_eq!(changes_in_ledger(&sensor).len(), 1);

    fs::write(&go, "").unwrap();
    let ended = run.wait();
    assert_eq!(ended.code(), Some(137), "{}", programs::text(&ended.output));
    let report = ended.report();
    assert_eq!(report["findings"][0]["finding_info"]["title"], "spawn-storm", "{report:#}");
    let acts: Vec<&Value> =
        report["outcomes"].as_array().unwrap().iter().map(|outcome| &outcome["result"]).collect();
    assert_eq!(acts, ["applied", "applied"], "{report:#}");
}

#[test]
fn a_configuration_that_is_not_valid_changes_nothing_and_all_of_it_is_reported() {
    require!("root");
    let sensor = Setup::default().config("agents: [{name: nightly, mode: enforce}]").start();
    let run = Order::new(&sensor, "nightly").start(&["sleep", "300"]);
    let id = run.run();
    sensor.configure(
        "detect: {storm_net_processes: 20}
agents:
  - {name: nightly, limits: {cool_down_ms: 1}}
  - {name: nightly}",
    );
    let (code, answer) = reload(&sensor);
    let errors: Vec<&str> =
        answer["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect();
    assert_eq!((code, errors.len(), &answer["changed"]), (Some(78), 2, &json!([])), "{answer:#}");
    assert!(errors[0].contains("sensor.yaml:4:") && errors[1].contains("sensor.yaml:5:"), "{errors:?}");
    assert_eq!(sensor.state_of(&id)["mode"], "enforce");
    assert_eq!(changes_in_ledger(&sensor), Vec::<Value>::new());
    assert!(sensor.health()["health"].to_string().contains("the configuration is not taken"));
    // By the signal it is the same, and a valid file is taken.
    sensor.configure("");
    procs::signal(sensor.pid(), Signal::SIGHUP);
    wait::until("the run is only observed", || match &sensor.state_of(&id)["mode"] {
        mode if mode == "observe" => Ok(()),
        mode => Err(mode.to_string()),
    });
    assert_eq!(changes_in_ledger(&sensor).len(), 1);
    assert_eq!(sensor.health()["health"], "serving");
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    drop(run.wait());
}
