//! `sentry run` is the command: its streams, its code, its signals.

use std::{fs, io::Write as _};

use nix::sys::signal::Signal;
use sentry_tests::{
    procs, programs, require,
    sensor::{Sensor, lines},
    supervised::Order,
    wait,
};

use crate::workload;

#[test]
fn the_exit_code_is_the_commands_own() {
    require!("root");
    let sensor = Sensor::start();
    for code in [0, 3, 255] {
        let ended = Order::new(&sensor, "code").finish(&workload("workload_report", &[&code.to_string()]));
        assert_eq!(ended.code(), Some(code), "{}", programs::text(&ended.output));
        assert_eq!(ended.report()["run"]["state"], "ended");
    }
}

#[test]
fn death_by_a_signal_is_128_and_its_number() {
    require!("root");
    let sensor = Sensor::start();
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        let ended = Order::new(&sensor, "signal").finish(&["/bin/sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(ended.code(), Some(code), "{}", programs::text(&ended.output));
        let events = sensor.events(&ended.run);
        let ends = sentry_tests::story::only(&events, "exit");
        assert_eq!(ends.len(), 1, "{ends:#?}");
        assert_eq!(ends[0]["unmapped"]["signal"], code - 128);
        assert!(ends[0].get("exit_code").is_none(), "{}", ends[0]);
    }
}

#[test]
fn the_streams_are_the_commands_own() {
    require!("root");
    let sensor = Sensor::start();
    let mut run =
        Order::new(&sensor, "streams").with_stdin().start(&workload("workload_report", &["0", "a b", ""]));
    let input = "a line\nand one without an end";
    let mut stdin = run.stdin();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let ended = run.wait();
    let told = lines(&ended.output.stdout);
    assert_eq!(told.len(), 1, "{}", programs::text(&ended.output));
    assert_eq!(told[0]["input"], input);
    assert_eq!(told[0]["arguments"], serde_json::json!(["a b", ""]));
    assert_eq!(told[0]["run"], ended.run.as_str());
    assert_eq!(ended.stderr(), "on standard error\n", "the report went to its file");
}

#[test]
fn a_command_that_cannot_be_started_has_the_codes_of_a_shell() {
    require!("root");
    let sensor = Sensor::start();
    let file = sensor.scratch().join("not-a-program");
    fs::write(&file, "text").unwrap();
    let absent = sensor.scratch().join("absent");
    for (command, code) in [(&file, 126), (&absent, 127)] {
        let ended = Order::new(&sensor, "none").finish(&[command]);
        assert_eq!(ended.code(), Some(code), "{}", programs::text(&ended.output));
        let name = command.display().to_string();
        assert!(ended.stderr().contains(&format!("cannot execute {name:?}")), "{}", ended.stderr());
    }
}

#[test]
fn without_a_sensor_nothing_is_run() {
    let scratch = sentry_tests::scratch::Scratch::new();
    let (socket, file) = (scratch.join("s.sock"), scratch.join("made"));
    let mut command = programs::command("sentry");
    command.args(["run", "--socket"]).arg(&socket).args(["--", "/bin/sh", "-c", "echo > \"$0\""]).arg(&file);
    let output = programs::finish(&mut command);
    assert_eq!(output.status.code(), Some(125), "{}", programs::text(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "sentry: no sensor is listening on {}; start it with `sentry sensor` or `systemctl start \
            agentsentry`\n",
            socket.display()
        )
    );
    assert!(!file.exists(), "the command was run without a watch");
}

#[test]
fn signals_reach_the_command() {
    require!("root");
    let sensor = Sensor::start();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let ready = sensor.place("ready");
        let run = Order::new(&sensor, "told")
            .start(&workload("workload_report", &["signal", &ready.display().to_string()]));
        let _pid = wait::file(&ready);
        procs::signal(run.pid(), signal);
        let ended = run.wait();
        assert_eq!(ended.code(), Some(40 + signal as i32), "{}", programs::text(&ended.output));
    }
}

#[test]
fn an_interrupt_from_the_terminal_is_for_the_command() {
    require!("root");
    let sensor = Sensor::start();
    let ready = sensor.place("ready");
    let mut run = Order::new(&sensor, "asked")
        .start(&workload("workload_report", &["signal", &ready.display().to_string()]));
    let pid: u32 = wait::file(&ready).parse().unwrap();
    // A terminal signals the whole group: both processes. `sentry run` has to outlive its own.
    procs::signal(run.pid(), Signal::SIGINT);
    assert!(!run.ended());
    procs::signal(pid, Signal::SIGINT);
    let ended = run.wait();
    assert_eq!(ended.code(), Some(40 + Signal::SIGINT as i32), "{}", programs::text(&ended.output));
}
