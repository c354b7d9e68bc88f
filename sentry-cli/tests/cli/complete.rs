//! The Tab key, by the shell that asks: bash itself reads the script and calls its function.

use std::{path::Path, process::Command};

use sentry_proto::v1;

use super::{
    answers,
    server::{Script, Sensor},
};

/// As bash does for the last of these words, with `COMP_TYPE`.
const ASK: &str = r#"
source <(sentry completions bash)
function=$(complete -p sentry | sed 's/.* -F \([^ ]*\) .*/\1/')
COMP_TYPE=$1; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$function sentry "${COMP_WORDS[COMP_CWORD]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Only completes.
const TAB: &str = "9";
/// Lists.
const TAB_TAB: &str = "63";

fn offered(socket: &Path, kind: &str, words: &[&str]) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_sentry")).parent().unwrap();
    let output = Command::new("bash")
        .args(["--norc", "-c", ASK, "bash", kind])
        .args(words)
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .env("AGENTSENTRY_SOCKET", socket)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

const ONE: &str = "0199aa11-7a10-7c44-9b52-0d5f2c1e8a11";
const TWO: &str = "0199bb22-7a10-7c44-9b52-0d5f2c1e8a12";

fn run(id: &str, agent: &str, state: v1::RunState) -> v1::Run {
    v1::Run {
        id: id.into(),
        agent: Some(v1::Agent { id: agent.into(), name: agent.into() }),
        state: state.into(),
        findings: u64::from(id == ONE),
        ..v1::Run::default()
    }
}

fn sensor() -> Sensor {
    let runs = vec![run(ONE, "claude", v1::RunState::Ended), run(TWO, "codex", v1::RunState::Running)];
    Sensor::with(Script { runs, items: vec![answers::finding(ONE)], ..Script::default() })
}

#[test]
fn runs_agents_and_findings_are_offered_as_short_as_they_are_unique() {
    let sensor = sensor();
    let offered = |words: &[&str]| offered(&sensor.socket(), TAB, words);
    assert_eq!(
        offered(&["sentry", "report", ""]),
        "0199bb22-7a10\n0199aa11-7a10",
        "those that live come first"
    );
    assert_eq!(offered(&["sentry", "report", "0199a"]), "0199aa11-7a10");
    assert_eq!(offered(&["sentry", "report", "0199aa11-7a10-7"]), ONE);
    assert_eq!(offered(&["sentry", "events", "--run", "0199b"]), "0199bb22-7a10");
    assert_eq!(offered(&["sentry", "events", "--agent", "cl"]), "claude");
    assert_eq!(offered(&["sentry", "explain", ""]), "0199aa11-7a10-f-1\n0199aa11-7a10");
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    let sensor = Sensor::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sensor.sentry(&["completions", shell]).output().unwrap();
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && script.contains("AGENTSENTRY_COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn a_list_says_what_is_meant() {
    let sensor = sensor();
    assert_eq!(
        offered(&sensor.socket(), TAB_TAB, &["sentry", "report", ""]),
        "0199bb22-7a10  (codex, running, 0 findings, 1970-01-01 00:00:00.000Z)\n\
         0199aa11-7a10  (claude, ended, 1 finding, 1970-01-01 00:00:00.000Z)"
    );
    assert_eq!(
        offered(&sensor.socket(), TAB_TAB, &["sentry", "report", "0199a"]),
        "0199aa11-7a10",
        "the only one is what bash takes"
    );
}

#[test]
fn commands_options_and_the_command_after_run_need_no_sensor() {
    let sensor = Sensor::new();
    let nobody = sensor.dir().join("nobody.sock");
    let offered = |words: &[&str]| offered(&nobody, TAB, words);
    assert_eq!(offered(&["sentry", "exp"]), "explain\nexport");
    assert_eq!(offered(&["sentry", "report", "--ca"]), "--calls");
    assert_eq!(offered(&["sentry", "events", "--type", "exec,conn"]), "exec,connect\nexec,connected");
    assert!(offered(&["sentry", "run", "bas"]).lines().any(|word| word == "bash"));
    assert!(offered(&["sentry", "run", "--", "/usr/bin/bas"]).lines().any(|path| path == "/usr/bin/bash"));
    assert_eq!(offered(&["sentry", "packag"]), "packaging", "hidden, and only where nothing else fits");
    assert!(!offered(&["sentry", ""]).contains("packaging"));
}

#[test]
fn without_a_sensor_a_right_or_an_answer_in_time_nothing_is_offered_and_nothing_is_said() {
    let sensor = Sensor::new();
    let report = ["sentry", "report", "01"];
    assert_eq!(offered(&sensor.dir().join("nobody.sock"), TAB_TAB, &report), "");
    let refusing = Sensor::with(Script { refuse: Some("you belong to run x"), ..Script::default() });
    assert_eq!(offered(&refusing.socket(), TAB_TAB, &["sentry", "explain", "01"]), "");
    // Connections wait here for ever.
    let stuck = sensor.dir().join("stuck.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&stuck).unwrap();
    assert_eq!(offered(&stuck, TAB_TAB, &report), "");
}
