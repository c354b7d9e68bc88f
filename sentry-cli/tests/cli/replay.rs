//! `sentry replay`, without a sensor, and what `sentry record` refuses to overwrite.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::server::{Script, Sensor};

/// An agent that looped over an exec, and was frozen and killed for that.
fn recording() -> String {
    let golden = "../sentry-recording/tests/golden/format-1.rec";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(golden).display().to_string()
}

fn replay(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentry"));
    let output = command.arg("replay").args(args).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_replay_fails_on_a_severity_that_it_finds() {
    for least in ["informational", "high"] {
        let (code, said, wrong) = replay(&[&recording(), "--fail-on", least]);
        assert_eq!((code, wrong.as_str()), (Some(2), ""), "{least}: {said}");
        assert!(said.contains("exec-loop"), "{said}");
    }
    let quiet = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/shell-text-30.rec");
    let (code, said, wrong) = replay(&[&quiet.display().to_string(), "--fail-on", "high"]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""), "{said}");
}

#[test]
fn other_limits_stand_beside_what_was_found_then() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("other.yaml");
    fs::write(&config, "version: 1\ndetect: {exec_loop_execs_per_s: 100000}\n").unwrap();
    let config = config.display().to_string();
    let (code, said, wrong) = replay(&[&recording(), "--limits", &config]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    let (then, now) = said.split_once("By other limits or rules: ").unwrap();
    assert!(then.contains("Then: 3 findings") && then.contains("exec-loop"), "{said}");
    assert!(!now.contains("exec-loop"), "{said}");

    let (_, lines, _) = replay(&[&recording(), "--limits", &config, "--json"]);
    let sum: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&sum["type"], &sum["other_limits"]), (&"replay".into(), &true.into()), "{sum}");
    assert_eq!(sum["then"]["kills"], 3, "{sum}");

    fs::write(&config, "version: 1\ndetect: {no_such_limit: 1}\n").unwrap();
    let (code, _, wrong) = replay(&[&recording(), "--limits", &config]);
    assert_eq!(code, Some(78), "{wrong}");
    assert!(wrong.contains("no_such_limit"), "{wrong}");
}

#[test]
fn what_is_no_recording_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.rec");
    fs::write(&file, "something else").unwrap();
    let (code, _, wrong) = replay(&[&file.display().to_string()]);
    assert_eq!(code, Some(66));
    assert!(wrong.contains("it is no recording of a run"), "{wrong}");
    let (code, _, wrong) = replay(&[&dir.path().join("none").display().to_string()]);
    assert_eq!(code, Some(66), "{wrong}");
    let whole = fs::read(recording()).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let (code, _, wrong) = replay(&[&file.display().to_string()]);
    assert_eq!((code, wrong.contains("it was cut")), (Some(66), true), "{wrong}");
}

#[test]
fn a_file_that_is_there_is_not_replaced_by_a_recording() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.txt");
    fs::write(&file, "mine").unwrap();
    let sensor = Sensor::with(Script::default());
    let output = sensor.sentry(&["record", "some", &file.display().to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(73));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--force"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
