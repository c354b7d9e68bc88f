//! `sentry run`: the command's own view of the world is as without it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Output, Stdio},
};

use rustix::process::{Pid, Signal};
use sentry_proto::v1::{self, outcome::Result as OutcomeResult};

use super::{
    answers,
    server::{Asked, Script, Sensor},
};

fn run(sensor: &Sensor, options: &[&str], command: &[&str]) -> Output {
    let arguments = [&["run"], options, &["--"], command].concat();
    sensor.sentry(&arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("sentry itself is never ended by a signal here")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_commands_code_is_sentrys_code() {
    let sensor = Sensor::new();
    let cases: [(&[&str], i32); 6] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["/nonexistent/command"], 127),
        (&["/etc/passwd"], 126),
    ];
    for (command, expected) in cases {
        assert_eq!(code(&run(&sensor, &["-q"], command)), expected, "{command:?}");
    }
}

#[test]
fn the_process_that_enters_is_the_one_that_becomes_the_command() {
    let sensor = Sensor::new();
    let output = run(&sensor, &["--name", "a b", "--enforce"], &["sh", "-c", "echo $$ $AGENTSENTRY_RUN"]);
    let printed = text(&output.stdout);
    let (pid, run) = printed.trim().split_once(' ').unwrap();
    // What it reads of the run, meanwhile and for the report, is not of interest here.
    let mut asked = sensor.asked();
    asked.retain(|asked| !matches!(asked, Asked::Items(_)));
    assert_eq!(run, "run-1");
    assert_eq!(
        asked[0],
        Asked::Start(v1::StartRequest {
            name: "a b".into(),
            mode: v1::Mode::Enforce.into(),
            command: vec!["sh".into(), "-c".into(), "echo $$ $AGENTSENTRY_RUN".into()],
        })
    );
    assert_eq!(asked[1], Asked::Enter("run-1".into(), pid.parse().unwrap()));
    assert_eq!(asked[2], Asked::Finish("run-1".into()));
    assert_eq!(asked.len(), 3);
}

/// Ignored signals below the real-time ones, which a test runner may ignore; bit `n - 1` is signal
/// `n`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff
}

#[test]
fn the_command_inherits_nothing_of_sentry() {
    let sensor = Sensor::new();
    let state =
        "ls /proc/self/fd; grep -E '^Sig(Ign|Blk)' /proc/self/status; env | grep -c AGENTSENTRY_RUN; pwd";
    let bare = std::process::Command::new("sh")
        .args(["-c", state])
        .env("AGENTSENTRY_RUN", "x")
        .env("AGENTSENTRY_SOCKET", "x")
        .output()
        .unwrap();
    let watched = run(&sensor, &["-q"], &["sh", "-c", state]);
    // Descriptors, ignored and blocked signals (SIGPIPE among them), working directory.
    assert_eq!(text(&watched.stdout), text(&bare.stdout));
    assert_eq!(ignored(&text(&watched.stdout)), 0);
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let sensor = Sensor::new();
    let script = format!(
        "trap '' INT HUP; exec {} run -q -- grep SigIgn /proc/self/status",
        env!("CARGO_BIN_EXE_sentry")
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .env("AGENTSENTRY_SOCKET", sensor.socket())
        .output()
        .unwrap();
    assert_eq!(ignored(&text(&output.stdout)), 3);
}

#[test]
fn standard_streams_are_the_commands_own() {
    let sensor = Sensor::new();
    let mut child = sensor
        .sentry(&["run", "-q", "--", "sh", "-c", "cat; echo err >&2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"through\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("through\n".into(), "err\n".into()));
}

/// Starts a command that says `ready`, sends `signal` to sentry alone, and returns sentry's exit
/// code.
fn signalled(sensor: &Sensor, script: &str, signal: Signal) -> (Option<i32>, String) {
    let mut child: Child = sensor
        .sentry(&["run", "-q", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    rustix::process::kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal)
        .unwrap();
    drop(child.stdin.take());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[test]
fn a_request_to_end_is_handed_on() {
    let sensor = Sensor::new();
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let script = format!("trap 'exit 5' {name}; echo ready; sleep 60 >&- & wait");
        assert_eq!(signalled(&sensor, &script, signal).0, Some(5), "{name}");
    }
}

#[test]
fn an_interrupt_does_not_end_the_supervisor() {
    let sensor = Sensor::new();
    for signal in [Signal::INT, Signal::QUIT] {
        // The terminal sends it to the command itself; here only sentry gets it, and waits on.
        let (code, rest) = signalled(&sensor, "echo ready; cat; echo done; exit 4", signal);
        assert_eq!((code, rest.as_str()), (Some(4), "done\n"));
    }
    assert!(sensor.asked().contains(&Asked::Finish("run-2".into())));
}

fn killed_run(origin: &str) -> Sensor {
    let report = |run: &str| v1::Report {
        outcomes: vec![answers::kill(run, OutcomeResult::Applied)],
        ..v1::Report::default()
    };
    Sensor::with(Script {
        reports: vec![report("run-1"), report("run-2"), v1::Report::default()],
        items: vec![answers::decision("run-1", origin), answers::decision("run-2", origin)],
        ..Script::default()
    })
}

#[test]
fn a_killed_command_is_started_again_up_to_the_limit() {
    for (limit, lives) in [("0", 1), ("1", 2), ("2", 3), ("9", 3)] {
        let sensor = killed_run("detector:cpu-spin");
        let output = run(&sensor, &["--restart", limit], &["sh", "-c", "echo life"]);
        assert_eq!(text(&output.stdout), "life\n".repeat(lives), "limit {limit}");
        if limit == "2" {
            let notes = text(&output.stderr);
            assert!(notes.contains("the sensor killed run run-1; starting again, 1 of 2"), "{notes}");
            assert!(notes.contains("the sensor killed run run-2; starting again, 2 of 2"), "{notes}");
        }
    }
}

#[test]
fn a_command_that_a_person_killed_stays_dead() {
    let sensor = killed_run("user:1000");
    assert_eq!(text(&run(&sensor, &["--restart", "3"], &["sh", "-c", "echo life"]).stdout), "life\n");
}

#[test]
fn the_report_goes_where_it_is_wanted() {
    let report = v1::Report {
        run: Some(v1::Run { id: "run-1".into(), ..v1::Run::default() }),
        outcomes: vec![answers::kill("run-1", OutcomeResult::WouldApply)],
        limits: vec!["no file names".into()],
        ..v1::Report::default()
    };
    let sensor = Sensor::with(Script { reports: vec![report; 9], ..Script::default() });
    let shown = run(&sensor, &[], &["true"]);
    assert!(shown.stdout.is_empty());
    let shown = text(&shown.stderr);
    assert!(shown.contains("would have reached 3 processes") && shown.contains("no file names"), "{shown}");
    assert!(!shown.contains('\x1b'), "no colours where there is no terminal");

    assert!(run(&sensor, &["-q"], &["true"]).stderr.is_empty());

    let file = sensor.dir().join("report.txt");
    let option = format!("--report={}", file.display());
    assert!(run(&sensor, &[&option], &["true"]).stderr.is_empty());
    assert!(fs::read_to_string(&file).unwrap().contains("no file names"));

    let json = run(&sensor, &["--json"], &["true"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stderr).unwrap();
    assert_eq!((&value["type"], &value["run"]["id"]), (&"report".into(), &"run-1".into()));
}

#[test]
fn without_a_sensor_the_command_is_not_started() {
    let sensor = Sensor::new();
    let marker = sensor.dir().join("started");
    let mut command = sensor.sentry(&["run", "--", "touch", marker.to_str().unwrap()]);
    let output = command.env("AGENTSENTRY_SOCKET", sensor.dir().join("nobody.sock")).output().unwrap();
    assert_eq!(code(&output), 125);
    assert!(text(&output.stderr).contains("no sensor is listening on"), "{}", text(&output.stderr));
    assert!(!marker.exists());

    let refusing = Sensor::with(Script { refuse: Some("you belong to run x"), ..Script::default() });
    let output = run(&refusing, &[], &["touch", marker.to_str().unwrap()]);
    assert_eq!(code(&output), 125);
    assert_eq!(text(&output.stderr), "sentry: you belong to run x\n");
    assert!(!marker.exists());
}

#[test]
fn a_mistyped_option_is_not_executed() {
    let sensor = Sensor::new();
    let output = sensor.sentry(&["run", "--nmae", "x", "true"]).output().unwrap();
    assert_eq!(code(&output), 64);
    assert!(text(&output.stderr).contains("there is no option `--nmae`"), "{}", text(&output.stderr));
    assert!(sensor.asked().is_empty());
}
