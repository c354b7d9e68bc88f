//! A sensor that starts takes up every run that lives, whatever of its own files is left, and ends
//! the others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sentry_tests::{
    cgroup::{self, TestCgroup},
    require,
    sensor::{Sensor, Setup},
    supervised::{Order, Supervised},
    wait,
};
use serde_json::Value;

use crate::durability::drop_supervisor;

fn group(run: &str) -> PathBuf {
    cgroup::mount().join("agentsentry").join(run)
}

/// Ends all that is in the run's cgroup, and waits until the kernel has it empty.
pub(crate) fn end_members(run: &str) {
    fs::write(group(run).join("cgroup.kill"), "1").unwrap();
    wait::until("the cgroup is empty", || {
        // The sensor, if it is there, removes it.
        let events = fs::read_to_string(group(run).join("cgroup.events")).unwrap_or_default();
        if events.contains("populated 1") { Err(events) } else { Ok(()) }
    });
}

/// A run that stays, without its `sentry run`.
pub(crate) fn lasting(sensor: &Sensor, name: &str, flags: &[&str]) -> String {
    let order = flags.iter().fold(Order::new(sensor, name), |order, flag| order.flag(flag));
    left_alone(order.start(&["/bin/sleep", "3600"]))
}

/// Whoever enters is a member before it knows that it may become the command.
fn until_the_command_runs(run: &str) {
    wait::until("its command runs", || {
        let members = fs::read_to_string(group(run).join("cgroup.procs")).unwrap();
        let image = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let images: Vec<PathBuf> = members.lines().map(image).collect();
        let is_command = |image: &PathBuf| image.file_name().is_some_and(|name| name != "sentry");
        if !images.is_empty() && images.iter().all(is_command) {
            Ok(())
        } else {
            Err(format!("its members are {images:?}"))
        }
    });
}

/// The run stays when its `sentry run` is gone.
fn left_alone(run: Supervised<'_>) -> String {
    let id = run.run();
    until_the_command_runs(&id);
    drop_supervisor(run);
    id
}

/// Bodies of the ledger's entries of a kind that are about a run.
fn entries(sensor: &Sensor, kind: &str, run: &str) -> Vec<Value> {
    let dir = sensor.state_dir().join("ledger");
    let mut segments: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    segments.sort();
    let text: String = segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["kind"] == kind && entry["body"]["run"] == run)
        .map(|entry| entry["body"].clone())
        .collect()
}

fn remove_journal(state: &Path) {
    for side in ["", "-wal", "-shm"] {
        fs::remove_file(state.join(format!("journal.db{side}"))).ok();
    }
}

pub(crate) fn agents(sensor: &Sensor) -> Vec<String> {
    let runs = sensor.json(&["agents"]);
    runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_that_ended_while_the_sensor_was_away_has_ended() {
    require!("root");
    let mut sensor = Setup::default().start();
    let (gone, left) = (lasting(&sensor, "gone", &[]), lasting(&sensor, "left", &[]));
    sensor.kill();
    end_members(&gone);
    sensor.start_again();
    assert_eq!(agents(&sensor), [left.as_str()]);
    let state = sensor.state_of(&gone);
    assert_eq!((&state["state"], &state["end_unseen"]), (&"ended".into(), &true.into()), "{state:#}");
    assert_eq!(sensor.json(&["report", &gone])[0]["run"]["id"], gone.as_str());
    assert!(!group(&gone).exists());
    let ends = entries(&sensor, "run-end", &gone);
    assert_eq!((ends.len(), &ends[0]["end_unseen"]), (1, &true.into()), "{ends:?}");
    // One that ends just when it has been taken up is seen to end.
    end_members(&left);
    wait::until("the other run ends, too", || {
        let state = sensor.state_of(&left);
        if state["state"] == "ended" { Ok(()) } else { Err(format!("{state:#}")) }
    });
    assert_eq!(sensor.state_of(&left)["end_unseen"], false);
    assert_eq!(sensor.health()["health"], "serving");
}

#[test]
fn sentry_run_shows_the_report_when_the_sensor_is_back() {
    require!("root");
    let mut sensor = Setup::default().start();
    let run = sensor.beside(&mut sensor.sentry(&["run", "--name", "waits", "--", "/bin/sleep", "600"]));
    let id = wait::until("the run lives", || agents(&sensor).pop().ok_or_else(|| "no run".to_owned()));
    until_the_command_runs(&id);
    sensor.kill();
    end_members(&id);
    sensor.start_again();
    let output = run.wait();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(137), "{said}");
    assert!(said.contains("ended while the sensor was away") && said.contains(&id), "{said}");
}

#[test]
fn a_run_that_the_journal_lost_is_found_in_the_ledger() {
    require!("root");
    let mut sensor = Setup::default().start();
    let (live, gone) = (lasting(&sensor, "live", &["--enforce"]), lasting(&sensor, "gone", &[]));
    let group_of_service = TestCgroup::new("service");
    let tagged = sensor.json(&["tag", group_of_service.path().to_str().unwrap(), "--name", "tagged"]);
    let tagged = tagged[0]["id"].as_str().unwrap();
    let before = sensor.state_of(&live);
    sensor.kill();
    end_members(&gone);
    remove_journal(&sensor.state_dir());
    sensor.start_again();
    let mut watched = agents(&sensor);
    watched.sort();
    let mut expected = [live.clone(), tagged.to_owned()];
    expected.sort();
    assert_eq!(watched, expected);
    let after = sensor.state_of(&live);
    for field in ["agent", "mode", "command", "uid", "cgroup", "started_unix_ns"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(sensor.state_of(&gone)["state"], "ended");
    assert_eq!(entries(&sensor, "run-end", &gone).len(), 1);
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    assert_eq!(health, "degraded: the journal was missing; a new one begins, without what was kept before");
    // What is known again is no trouble to the next life.
    assert!(sensor.terminate().success());
    sensor.start_again();
    assert_eq!(sensor.health()["health"], "serving");
    assert_eq!(entries(&sensor, "run-start", &live).len(), 1);
}

/// A cgroup among the sensor's that somebody else made.
struct Stranger(PathBuf);

impl Stranger {
    fn new() -> Self {
        let path = group(&format!("stranger-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap().to_string_lossy().into_owned()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        cgroup::remove(&self.0);
    }
}

#[test]
fn a_run_that_nobody_knows_is_watched_and_is_an_alarm() {
    require!("root");
    let mut sensor = Setup::default().start();
    let (live, gone) = (lasting(&sensor, "known", &["--enforce"]), lasting(&sensor, "gone", &[]));
    // Made by root's hand, without a mark.
    let stranger = Stranger::new();
    let mut sleep = sensor.beside(Command::new("/bin/sleep").arg("600"));
    fs::write(stranger.0.join("cgroup.procs"), sleep.pid().to_string()).unwrap();
    sensor.kill();
    end_members(&gone);
    remove_journal(&sensor.state_dir());
    fs::remove_dir_all(sensor.state_dir().join("ledger")).unwrap();
    sensor.start_again();

    let runs = sensor.json(&["agents"]);
    let run = |path: String| {
        let found = runs.iter().find(|run| run["cgroup"]["path"] == path.as_str());
        found.unwrap_or_else(|| panic!("{path} is not among {runs:#?}")).clone()
    };
    assert_eq!(runs.len(), 2, "{runs:#?}");
    let known = run(format!("/agentsentry/{live}"));
    assert_eq!((&known["id"], &known["mode"]), (&live.as_str().into(), &"enforce".into()));
    let unknown = run(format!("/agentsentry/{}", stranger.name()));
    assert_eq!((&unknown["agent"]["name"], &unknown["mode"]), (&"unknown".into(), &"observe".into()));
    let id = unknown["id"].as_str().unwrap();
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    for run in [&live, id] {
        assert!(health.contains(&format!("run {run} of unknown origin")), "{health}");
        assert_eq!(entries(&sensor, "run-start", run).len(), 1);
        let findings = sensor.findings(run);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        assert_eq!(findings[0]["finding_info"]["analytic"]["name"], "unknown-run", "{:#}", findings[0]);
    }
    assert!(!group(&gone).exists(), "an empty one is removed");
    // It is a run like any other: its processes are members, and it can be ended.
    assert_eq!(sensor.cli(&["kill", id]).status.code(), Some(0));
    wait::until("the stranger's process ends", || if sleep.ended() { Ok(()) } else { Err("it runs".into()) });
    wait::until("its cgroup goes", || if stranger.0.exists() { Err("it is there".into()) } else { Ok(()) });
}

#[test]
fn a_run_that_was_let_go_stays_so() {
    require!("root");
    let mut sensor = Setup::default().start();
    let id = lasting(&sensor, "let-go", &[]);
    let _report = sensor.json(&["untag", &id]);
    sensor.kill();
    remove_journal(&sensor.state_dir());
    sensor.start_again();
    assert_eq!(agents(&sensor), [] as [&str; 0]);
    assert!(group(&id).exists(), "its processes live");
    end_members(&id);
}

#[test]
fn a_long_command_is_cut_kept_and_taken_up() {
    require!("root");
    let mut sensor = Setup::default().start();
    let control = "\u{1}".repeat(100_000);
    let mut line = vec!["/bin/sh", "-c", "exec /bin/sleep 600"];
    line.extend([control.as_str(); 11]);
    let run = Order::new(&sensor, "long").start(&line);
    let id = left_alone(run);
    let state = sensor.state_of(&id);
    assert_eq!(state["command_truncated"], true);
    let kept = serde_json::to_string(&state["command"]).unwrap();
    assert!((60_000..=65_538).contains(&kept.len()), "{} bytes", kept.len());
    let starts = entries(&sensor, "run-start", &id);
    assert_eq!(starts.len(), 1);
    assert_eq!((&starts[0]["command"], &starts[0]["command_truncated"]), (&state["command"], &true.into()));
    assert_eq!(sensor.health()["health"], "serving");
    sensor.kill();
    sensor.start_again();
    assert_eq!(agents(&sensor), [id.as_str()]);
    let reason = "\u{1b}".repeat(100_000);
    let told = sensor.json(&["kill", &id, "--reason", &reason]);
    let kept = told[0]["reason"].as_str().unwrap();
    assert!(kept.ends_with("… (cut)") && kept.len() < 11_000, "{} bytes", kept.len());
    let decisions = entries(&sensor, "decision", &id);
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0]["reason"], kept);
    let _entries = sensor.verified_ledger();
}
