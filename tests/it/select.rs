//! Cgroups that are agents' by the configuration: watched from the first execution in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sentry_tests::{
    cgroup::TestCgroup,
    nspawn,
    podman::{Podman, TOOLS},
    procs, programs, require,
    sensor::{Sensor, Setup},
    story, wait,
};
use serde_json::Value;

use super::systemd::readme_install;

/// A command that moves itself into a cgroup before it executes anything.
fn inside(group: &Path, program: &str, arguments: &[&str]) -> Command {
    let procs = group.join("cgroup.procs");
    let mut command = Command::new(program);
    command.args(arguments);
    // SAFETY: a write to a file, between fork and exec.
    unsafe {
        command.pre_exec(move || fs::write(&procs, "0"));
    }
    command
}

fn runs(sensor: &Sensor) -> Vec<Value> {
    sensor.json(&["agents", "--all"])
}

/// The runs of an agent, once there are so many and all have ended.
fn ended(sensor: &Sensor, agent: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    wait::until("the runs of the agent have ended", || {
        found = runs(sensor).into_iter().filter(|run| run["agent"]["name"] == agent).collect();
        let ended = found.iter().filter(|run| run["state"] == "ended").count();
        if (found.len(), ended) == (count, count) { Ok(()) } else { Err(format!("{found:#?}")) }
    });
    found
}

/// What was executed in a run: paths, in their order.
fn executed(sensor: &Sensor, run: &Value) -> Vec<String> {
    let id = run["id"].as_str().unwrap();
    let events = sensor.events(id);
    let executed = story::only(&events, "exec").into_iter();
    executed.map(|event| event["process"]["file"]["path"].as_str().unwrap().to_owned()).collect()
}

fn by_cgroup(name: &str, mode: &str) -> String {
    format!("agents: [{{name: picked, mode: {mode}, match: [{{cgroup: '{}'}}]}}]", pattern(name))
}

/// Of the groups of this test.
fn pattern(name: &str) -> String {
    format!("/sentry-it-{}-*-{name}", std::process::id())
}

#[test]
fn a_selected_cgroup_is_watched_from_the_first_execution_and_another_is_not() {
    require!("root");
    let sensor = Setup::default().config(&by_cgroup("picked", "observe")).start();
    let [picked, other] = ["picked", "other"].map(TestCgroup::new);
    for group in [&picked, &other] {
        assert!(inside(group.path(), "/usr/bin/true", &[]).status().unwrap().success());
    }
    let shown = picked.shown();
    drop((picked, other));
    let run = ended(&sensor, "picked", 1).remove(0);
    assert_eq!(run["cgroup"]["path"], shown);
    assert_eq!(run["selected_by"], format!("cgroup {}", pattern("picked")));
    assert_eq!(executed(&sensor, &run), ["/usr/bin/true"]);
    assert_eq!(runs(&sensor).len(), 1);
    assert_eq!(sensor.health()["selected_late"], 0);
}

#[test]
fn an_execution_makes_its_cgroup_an_agent_from_that_program_on() {
    require!("root");
    let config = "agents: [{name: picked, match: [{user: '0', executable: /usr/bin/tac}]}]";
    let sensor = Setup::default().config(config).start();
    let group = TestCgroup::new("shell");
    let script = "/usr/bin/id >/dev/null; tac /dev/null; /usr/bin/env true";
    assert!(inside(group.path(), "/bin/sh", &["-c", script]).status().unwrap().success());
    drop(group);
    let run = ended(&sensor, "picked", 1).remove(0);
    assert_eq!(run["selected_by"], "user 0, executable /usr/bin/tac");
    let executed = executed(&sensor, &run);
    assert_eq!(executed.first().map(String::as_str), Some("/usr/bin/tac"), "{executed:?}");
    assert!(!executed.contains(&"/usr/bin/id".to_owned()), "{executed:?}");
}

#[test]
fn a_file_is_selected_whatever_its_name_and_by_its_content() {
    require!("root");
    let group = TestCgroup::new("object");
    let scratch = sentry_tests::scratch::Scratch::new();
    let [agent, alias] = ["agent", "alias"].map(|name| scratch.join(name));
    fs::copy("/usr/bin/true", &agent).unwrap();
    fs::hard_link(&agent, &alias).unwrap();
    let config =
        format!("agents: [{{name: picked, match: [{{executable: {{object: {}}}}}]}}]", agent.display());
    let sensor = Setup::default().config(&config).start();
    assert!(inside(group.path(), alias.to_str().unwrap(), &[]).status().unwrap().success());
    drop(group);
    let run = ended(&sensor, "picked", 1).remove(0);
    assert_eq!(executed(&sensor, &run), [alias.to_str().unwrap()]);
}

#[test]
fn a_cgroup_that_is_gone_by_the_time_it_is_decided_is_a_run_all_the_same() {
    require!("root");
    let made = format!("{{name: made, match: [{{cgroup: '{}'}}]}}", pattern("made"));
    let config = format!("agents: [{made}, {{name: executed, match: [{{executable: /usr/bin/tac}}]}}]");
    let sensor = Setup::default().config(&config).start();
    let process = Pid::from_raw(sensor.pid().try_into().unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    for (name, program) in [("made", "/usr/bin/true"), ("executed", "/usr/bin/tac")] {
        let group = TestCgroup::new(name);
        assert!(inside(group.path(), program, &["/dev/null"]).status().unwrap().success());
    }
    kill(process, Signal::SIGCONT).unwrap();
    let of = |agent| {
        let run = ended(&sensor, agent, 1).remove(0);
        (run["selected_by"].clone(), executed(&sensor, &run))
    };
    assert_eq!(of("made"), (format!("cgroup {}", pattern("made")).into(), vec!["/usr/bin/true".into()]));
    assert_eq!(of("executed"), ("executable /usr/bin/tac".into(), vec!["/usr/bin/tac".into()]));
}

#[test]
fn what_runs_already_is_watched_at_the_start() {
    require!("root");
    let group = TestCgroup::new("picked");
    let scratch = sentry_tests::scratch::Scratch::new();
    let number = scratch.join("pid");
    let mut command = programs::command("workload_count");
    command.arg("once").arg(&number);
    let counter = programs::Gathered::start(&mut command);
    let _ready = wait::file(&number);
    group.add(counter.pid());
    let sensor = Setup::default().config(&by_cgroup("picked", "observe")).start();
    let mut found = Value::Null;
    wait::until("the cgroup is watched", || {
        found = runs(&sensor).into_iter().next().unwrap_or_default();
        if found["counters"]["processes_entered"] == 1 { Ok(()) } else { Err(format!("{found:#}")) }
    });
    assert_eq!((&found["agent"]["name"], &found["state"]), (&"picked".into(), &"running".into()));
    assert_eq!(sensor.health()["selected_late"], 0, "it was there before the sensor");
}

/// A slice with everything in it is easily selected by mistake.
#[test]
fn the_sensors_own_cgroup_is_not_taken() {
    require!("root");
    let sensor = Setup::default().group("").start();
    let group = TestCgroup::new("own");
    group.add(sensor.pid());
    let path = group.path().to_str().unwrap();
    let refused = programs::finish(sensor.sentry(&["tag", path]).args(["--name", "own"]));
    let text = programs::text(&refused);
    assert!(!refused.status.success() && text.contains("holds the sensor itself"), "{text}");
}

#[test]
fn a_runaway_in_a_selected_cgroup_is_frozen_and_killed() {
    require!("root");
    let sensor = Setup::default().config(&by_cgroup("picked", "enforce")).start();
    let group = TestCgroup::new("picked");
    /// Of the bomb.
    const UID: &str = "64777";
    let bomb = programs::path("workload_forkbomb");
    let mut runaway = inside(group.path(), bomb.to_str().unwrap(), &[UID, "300", "50"]).spawn().unwrap();
    let ended = runaway.wait().unwrap();
    assert!(!ended.success(), "{ended}");
    wait::until("no process is left", || {
        if group.procs().is_empty() { Ok(()) } else { Err(format!("{:?}", group.procs())) }
    });
    let run = runs(&sensor).remove(0);
    let report = sensor.json(&["report", run["id"].as_str().unwrap()]).remove(0);
    let acts: Vec<_> = report["outcomes"].as_array().unwrap().iter().map(|act| &act["action"]).collect();
    assert_eq!(acts, ["freeze", "kill"], "{report:#}");
    let _entries = sensor.verified_ledger();
}

/// Cgroups that live for one program, one after the other; every second one is selected. With
/// `AGENTSENTRY_LONG=1` there are a thousand.
#[test]
fn of_many_cgroups_that_come_and_go_the_selected_ones_are_watched_and_no_other() {
    require!("root");
    /// So many come and go before the sensor is waited for: fewer than it has slots in reserve.
    const AT_ONCE: usize = 32;
    let many = if std::env::var_os("AGENTSENTRY_LONG").is_some() { 1_000 } else { 100 };
    let sensor = Setup::default().config(&by_cgroup("picked", "observe")).start();
    let begin = Instant::now();
    let mut selected = BTreeMap::new();
    for number in 0..many {
        let name = if number % 2 == 0 { "picked" } else { "other" };
        let group = TestCgroup::new(name);
        let status = inside(group.path(), "/usr/bin/true", &[]).status().unwrap();
        assert!(status.success());
        if name == "picked" {
            selected.insert(group.shown(), vec!["/usr/bin/true".to_owned()]);
        }
        drop(group);
        if number % AT_ONCE == AT_ONCE - 1 {
            let _all = ended(&sensor, "picked", selected.len());
        }
    }
    let runs = ended(&sensor, "picked", selected.len());
    println!("{many} cgroups came and went in {:?}", begin.elapsed());
    let watched: BTreeMap<_, _> = runs
        .iter()
        .map(|run| (run["cgroup"]["path"].as_str().unwrap().to_owned(), executed(&sensor, run)))
        .collect();
    assert_eq!(watched, selected);
    let health = sensor.health();
    assert_eq!((&health["selected_late"], &health["faults"]["spares_empty"]), (&0.into(), &0.into()));
}

/// The same with services of a real systemd.
#[test]
fn of_many_services_the_selected_ones_are_watched_from_their_first_execution_and_no_other() {
    require!("root", "systemd-nspawn");
    let many = if std::env::var_os("AGENTSENTRY_LONG").is_some() { 1_000 } else { 40 };
    let script = format!(
        r#"
        echo "  - {{name: svc, match: [{{unit: 'picked-*.service'}}]}}" >>/etc/agentsentry/config.yaml
        systemctl restart agentsentry || exit 1
        begin=$SECONDS
        for number in $(seq {many}); do
            name=picked; [ $((number % 2)) = 0 ] && name=other
            systemd-run --quiet --wait --unit=$name-$number /usr/bin/true || exit 1
        done
        step seconds echo $((SECONDS - begin))
        all_ended() {{ [ $(sentry agents --all | grep -c 'svc.*ended') = {half} ]; }}
        await all_ended
        step agents sentry agents --all --json
        step executed sh -c "sentry events --agent svc --limit 0 | grep -c 'exec      /usr/bin/true'"
        step health sentry health --json
        "#,
        half = many / 2
    );
    let ran = nspawn::run(&(readme_install() + &script));
    println!("{many} services came and went in {} s", ran.succeeded("seconds"));
    let agents = ran.succeeded("agents");
    let watched: BTreeSet<String> = agents
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|run| run["cgroup"]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect();
    let picked: BTreeSet<String> = (1..=many)
        .filter(|number| number % 2 == 1)
        .map(|number| format!("picked-{number}.service"))
        .collect();
    assert_eq!(watched, picked);
    assert_eq!(ran.succeeded("executed"), (many / 2).to_string());
    let health: Value = serde_json::from_str(&ran.succeeded("health")).unwrap();
    assert_eq!((&health["selected_late"], &health["faults"]["spares_empty"]), (&0.into(), &0.into()));
}

/// The same with containers of podman, at whatever rate the machine gives.
#[test]
fn of_many_containers_the_selected_ones_are_watched_from_their_first_execution_and_no_other() {
    require!("root", "podman");
    let many = if std::env::var_os("AGENTSENTRY_LONG").is_some() { 1_000 } else { 20 };
    let podman = Podman::new();
    let config = format!(
        "containers: {{storage: {}}}\nagents: [{{name: boxed, match: [{{container: {{name: \
        'picked-*'}}}}]}}]",
        podman.store().display()
    );
    let sensor = Setup::default().config(&config).start();
    let begin = Instant::now();
    let mut selected = BTreeMap::new();
    for number in 0..many {
        let kind = if number % 2 == 0 { "picked" } else { "other" };
        let name = format!("{kind}-{number}");
        podman.done(&["run", "--rm", "--network=none", "--name", &name, TOOLS, "true"]);
        if kind == "picked" {
            selected.insert(name, vec!["/bin/busybox".to_owned()]);
        }
    }
    println!("{many} containers came and went in {:?}", begin.elapsed());
    let runs = ended(&sensor, "boxed", selected.len());
    let of_container = |run| {
        let mut executed = executed(&sensor, run);
        // The runtime executes itself once more, some time before or after it has moved into the
        // cgroup, out of a mount that is at no path.
        executed.retain(|path| path != "/");
        executed
    };
    let watched: BTreeMap<_, _> = runs
        .iter()
        .map(|run| (run["container"]["name"].as_str().unwrap().to_owned(), of_container(run)))
        .collect();
    assert_eq!(watched, selected);
    let health = sensor.health();
    assert_eq!((&health["selected_late"], &health["faults"]["spares_empty"]), (&0.into(), &0.into()));
}

#[test]
fn an_agent_that_nobody_selected_is_reported_and_not_watched() {
    require!("root");
    let sensor = Sensor::start();
    let scratch = sentry_tests::scratch::Scratch::new();
    let codex: PathBuf = scratch.join("codex");
    fs::copy("/usr/bin/sleep", &codex).unwrap();
    let group = TestCgroup::new("unwatched");
    let mut agent = inside(group.path(), codex.to_str().unwrap(), &["1000"]).spawn().unwrap();
    wait::until("it is reported", || {
        let unwatched = sensor.health()["unwatched"].clone();
        let pids: BTreeSet<u64> =
            unwatched.as_array().unwrap().iter().map(|agent| agent["pid"].as_u64().unwrap()).collect();
        if pids.contains(&agent.id().into()) { Ok(()) } else { Err(unwatched.to_string()) }
    });
    assert!(runs(&sensor).is_empty());
    let output = programs::finish(&mut sensor.sentry(&["agents"]));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("codex")).unwrap_or_default();
    assert!(line.ends_with(&group.shown()), "{text}");
    agent.kill().unwrap();
    let _status = agent.wait().unwrap();
    assert!(!procs::is_alive(agent.id()));
}
