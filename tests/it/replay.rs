//! What a sensor found and decided of a real run is found and decided again from its recording.

use sentry_tests::{programs, require, sensor::Sensor, supervised::Order};
use serde_json::Value;

#[test]
fn a_real_runaway_is_judged_again_as_the_sensor_did() {
    require!("root");
    let sensor = Sensor::start();
    let loops = ["/bin/sh", "-c", "while :; do /bin/false; done"];
    let run = Order::new(&sensor, "looping").flag("--enforce").finish(&loops);
    assert_eq!(run.code(), Some(137), "{}", programs::text(&run.output));
    let file = sensor.place("run.rec");
    let path = file.to_str().unwrap();

    let recorded = sensor.cli(&["record", &run.run, path]);
    assert_eq!(recorded.status.code(), Some(0), "{}", programs::text(&recorded));
    let again = sensor.cli(&["record", &run.run, path]);
    assert_eq!(again.status.code(), Some(73), "{}", programs::text(&again));
    assert!(programs::text(&again).contains("--force"), "{}", programs::text(&again));
    assert_eq!(sensor.cli(&["record", &run.run, path, "--force"]).status.code(), Some(0));

    // From here on no sensor is asked.
    let replay = |args: &[&str]| {
        let mut command = programs::command("sentry");
        command.arg("replay").arg(&file).args(args).output().unwrap()
    };
    let first = replay(&["--json"]);
    assert_eq!(first.status.code(), Some(0), "{}", programs::text(&first));
    let lines: Vec<Value> = String::from_utf8(first.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let sum = lines.last().unwrap();
    assert_eq!((&sum["type"], &sum["differences"]), (&"replay".into(), &Value::Array(Vec::new())), "{sum}");
    assert_eq!(sum["missing"], serde_json::json!({ "events": 0, "parts": 0, "lives": 0 }), "{sum}");
    assert_eq!((&sum["then"], &sum["now"]["kills"]), (&sum["now"], &1.into()), "{sum}");
    assert!(lines.iter().any(|line| line["rule"] == "exec-loop"), "{lines:?}");
    for _ in 0..3 {
        assert_eq!(replay(&["--json"]).stdout, first.stdout);
    }

    let blind = sensor.place("blind.yaml");
    let nothing = "version: 1\ndetect: {exec_loop_execs_per_s: 100000, exec_loop_failures: 100000, \
                   exec_loop_failures_to_act: 100000}\n";
    std::fs::write(&blind, nothing).unwrap();
    let other = replay(&["--limits", blind.to_str().unwrap(), "--fail-on", "high"]);
    assert_eq!(other.status.code(), Some(0), "{}", programs::text(&other));
    assert_eq!(replay(&["--fail-on", "high"]).status.code(), Some(2));
    std::fs::write(&file, b"something else").unwrap();
    assert_eq!(replay(&[]).status.code(), Some(66));
}
