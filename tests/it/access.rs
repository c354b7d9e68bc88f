//! Who may use the sensor: root, the group, and no agent.

use std::fs;

use sentry_tests::{
    cgroup::TestCgroup,
    programs, require,
    sensor::{Sensor, Setup, lines},
    supervised::Order,
    wait,
};

use crate::workload;

/// An ordinary user that nothing else on a host has.
const USER: u32 = 64_001;
/// A group that every system has.
const GROUP: (&str, u32) = ("nogroup", 65_534);

fn as_user(sensor: &Sensor, groups: &[u32], args: &[&str]) -> std::process::Output {
    let args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
    let mut command = programs::as_user(USER, groups, programs::path("sentry").as_os_str(), &args);
    programs::finish(sensor.at_home(&mut command))
}

#[test]
fn a_user_outside_of_the_group_is_told_what_to_do() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    for args in [&["agents"][..], &["events"], &["health"], &["kill", "x"]] {
        let output = as_user(&sensor, &[], args);
        assert_eq!(output.status.code(), Some(77), "{args:?}: {}", programs::text(&output));
        let expected = format!(
            "sentry: permission denied on {}: you are not in group agentsentry; ask an administrator for \
            `usermod -aG agentsentry USER`, then log in again\n",
            sensor.socket().display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected, "{args:?}");
    }
    let output = as_user(&sensor, &[], &["run", "--", "/bin/true"]);
    assert_eq!(output.status.code(), Some(125), "{}", programs::text(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usermod -aG agentsentry"));
}

#[test]
fn a_member_of_the_group_runs_a_command_as_itself() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let directory = sensor.scratch().dir("here");
    let ended = Order::new(&sensor, "mine")
        .user(USER, &[GROUP.1])
        .directory(directory.clone())
        .variable("OF_THE_CALLER", "a value")
        .finish(&workload("workload_report", &["7"]));
    assert_eq!(ended.code(), Some(7), "{}", programs::text(&ended.output));
    let told = lines(&ended.output.stdout);
    assert_eq!(told.len(), 1, "{}", programs::text(&ended.output));
    assert_eq!((&told[0]["uid"], &told[0]["gid"]), (&USER.into(), &USER.into()));
    assert_eq!(told[0]["groups"], serde_json::json!([GROUP.1]));
    assert_eq!(told[0]["directory"], directory.to_str().unwrap());
    assert_eq!(told[0]["variable"], "a value");
    assert_eq!(ended.report()["run"]["uid"], USER);
    let events = sensor.events(&ended.run);
    let execs = sentry_tests::story::only(&events, "exec");
    assert_eq!(execs[0]["process"]["user"]["uid"], USER.to_string(), "{execs:#?}");
}

#[test]
fn signals_reach_the_command_of_an_ordinary_user() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let ready = sensor.scratch().dir("ready").join("pid");
    let run = Order::new(&sensor, "mine")
        .user(USER, &[GROUP.1])
        .start(&workload("workload_report", &["signal", &ready.display().to_string()]));
    let _pid = wait::file(&ready);
    sentry_tests::procs::signal(run.pid(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(run.wait().code(), Some(40 + 15));
}

#[test]
fn a_member_of_the_group_cannot_touch_the_runs_of_others() {
    require!("root");
    let sensor = Setup::default().group(GROUP.0).start();
    let file = sensor.scratch().join("pid");
    let run = Order::new(&sensor, "roots")
        .start(&workload("workload_count", &["once", &file.display().to_string()]));
    let pid: u32 = wait::file(&file).parse().unwrap();
    let id = run.run();
    for act in ["freeze", "kill"] {
        let output = as_user(&sensor, &[GROUP.1], &[act, &id]);
        assert_eq!(output.status.code(), Some(77), "{}", programs::text(&output));
        let expected = format!(
            "sentry: run {id} belongs to uid 0, you are uid {USER}; ask its owner, or call as root\n"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    }
    let group = TestCgroup::new("others");
    let path = group.path().display().to_string();
    let output = as_user(&sensor, &[GROUP.1], &["tag", &path, "--name", "stolen"]);
    assert_eq!(output.status.code(), Some(77), "{}", programs::text(&output));
    let output = as_user(&sensor, &[GROUP.1], &["config", "reload"]);
    assert_eq!(output.status.code(), Some(77), "{}", programs::text(&output));
    assert!(sentry_tests::procs::is_alive(pid));
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    assert_eq!(run.wait().code(), Some(137));
}

#[test]
fn an_agent_cannot_control_its_sensor_with_our_own_command() {
    require!("root");
    let sensor = Sensor::start();
    let sentry = programs::path("sentry");
    let sentry = sentry.to_str().unwrap();
    for args in [&["agents"][..], &["health"], &["thaw", "agent"], &["run", "--", "/bin/true"]] {
        let mut command = vec![sentry];
        command.extend(args);
        let ended = Order::new(&sensor, "agent").finish(&command);
        let expected = if args[0] == "run" { 125 } else { 77 };
        assert_eq!(ended.code(), Some(expected), "{}", programs::text(&ended.output));
        let said = ended.stderr();
        assert!(said.contains(&format!("belongs to run {} (agent agent)", ended.run)), "{said}");
        assert!(
            said.contains("an agent may not control its own sensor; call from outside of the run"),
            "{said}"
        );
    }
}

#[test]
fn an_agent_cannot_control_its_sensor_with_calls_of_its_own() {
    require!("root");
    let sensor = Sensor::start();
    let (socket, group) = (sensor.socket(), TestCgroup::new("hiding-place"));
    for how in ["direct", "hidden"] {
        let line = [socket.to_str().unwrap(), how, group.path().to_str().unwrap()];
        let ended = Order::new(&sensor, "agent").finish(&workload("workload_socket", &line));
        assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
        let answers = ended.stdout();
        let calls: Vec<&str> = answers.lines().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(
            calls,
            ["status", "runs", "items", "start", "enter", "finish", "untag", "report", "act"],
            "{how}: {}",
            programs::text(&ended.output)
        );
        for answer in answers.lines() {
            assert!(answer.contains(": PermissionDenied: process "), "{how}: {answer}");
        }
    }
}

#[test]
fn the_socket_belongs_to_root_and_the_group() {
    require!("root");
    use std::os::unix::fs::MetadataExt as _;
    let sensor = Setup::default().group(GROUP.0).start();
    let open = fs::metadata(sensor.socket()).unwrap();
    assert_eq!((open.uid(), open.gid(), open.mode() & 0o777), (0, GROUP.1, 0o660));
    let sensor = Sensor::start();
    let closed = fs::metadata(sensor.socket()).unwrap();
    assert_eq!((closed.uid(), closed.gid(), closed.mode() & 0o777), (0, 0, 0o600));
}
