//! What goes wrong is said once, with what to do, and ends with a documented code.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use sentry_tests::{
    collector::Collector,
    programs, require,
    scratch::Scratch,
    sensor::{Sensor, Setup},
    supervised::{Order, Supervised},
    wait,
};

use serde_json::Value;

use crate::workload;

/// A sensor that ends by itself: its code and what it said.
fn fails(command: &mut Command) -> (Option<i32>, String) {
    let output: Output = programs::finish(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{}", programs::text(&output));
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn sensor_in(scratch: &Scratch) -> Command {
    sensor_at(scratch, &scratch.join("s.sock"))
}

fn sensor_at(scratch: &Scratch, socket: &Path) -> Command {
    let mut command = programs::command("sentry");
    command.arg("sensor").arg("--state-dir").arg(scratch.join("state")).arg("--socket").arg(socket);
    command.args(["--group", "", "--collector", "disabled"]).env("NO_COLOR", "1");
    command
}

/// With this configuration: what the sensor and `config check` say, which is the same.
fn refused(text: &str) -> (Option<i32>, String, String) {
    let scratch = Scratch::new();
    let file = scratch.join("sensor.yaml");
    fs::write(&file, text).unwrap();
    let (code, said) = fails(sensor_in(&scratch).arg("--config").arg(&file));
    let checked =
        fails(programs::command("sentry").args(["config", "check"]).arg(&file).env("NO_COLOR", "1"));
    assert_eq!(checked, (code, said.clone()));
    assert!(!scratch.join("state").exists(), "nothing was opened before the configuration was read");
    (code, said, file.display().to_string())
}

#[test]
fn an_unknown_key_is_refused_where_it_stands() {
    let (code, said, file) = refused("version: 1\nsensr:\n  id: x\n");
    assert_eq!(code, Some(78));
    let expected = format!("sentry: {file}:2:1: unknown field `sensr`; did you mean `sensor`?\n");
    assert_eq!(said, expected);
}

#[test]
fn a_value_of_a_wrong_type_is_refused_where_it_stands() {
    let (code, said, file) = refused("version: 1\njournal:\n  spool_bytes: lots\n");
    assert_eq!(code, Some(78));
    let expected = format!(
        "sentry: {file}:3:16: \"lots\" is not a size; write bytes, or a number with KiB, MiB or GiB\n"
    );
    assert_eq!(said, expected);
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let scratch = Scratch::new();
    let file = scratch.join("absent.yaml");
    let (code, said) = fails(sensor_in(&scratch).arg("--config").arg(&file));
    assert_eq!(code, Some(66));
    let expected = format!(
        "sentry: cannot read the configuration {}; name an existing file with --config: No such file or \
        directory (os error 2)\n",
        file.display()
    );
    assert_eq!(said, expected);
}

#[test]
fn a_kernel_without_type_information_is_told_what_it_needs() {
    require!("root");
    let scratch = Scratch::new();
    let (code, said) = fails(sensor_in(&scratch).env("AGENTSENTRY_BTF", "/nonexistent"));
    assert_eq!(code, Some(1));
    let expected = "sentry: no kernel type information at /nonexistent; the kernel must be built with \
                    CONFIG_DEBUG_INFO_BTF=y (any current distribution kernel is)\n";
    assert_eq!(said, expected);
    assert!(!scratch.join("s.sock").exists());
}

#[test]
fn an_ordinary_user_cannot_be_the_sensor() {
    require!("root");
    let scratch = Scratch::new();
    chown(scratch.path(), Some(64_001), Some(64_001)).unwrap();
    let sensor = sensor_in(&scratch);
    let args: Vec<&std::ffi::OsStr> = sensor.get_args().collect();
    let (code, said) =
        fails(programs::as_user(64_001, &[], sensor.get_program(), &args).env("NO_COLOR", "1"));
    assert_eq!(code, Some(77));
    let expected = "sentry: no permission to load BPF programs; run the sensor as root, or with CAP_BPF, \
        CAP_PERFMON and CAP_NET_ADMIN\n";
    assert_eq!(said, expected);
}

#[test]
fn a_second_sensor_on_one_socket_is_refused() {
    require!("root");
    let sensor = Sensor::start();
    let other = Scratch::new();
    let (code, said) = fails(&mut sensor_at(&other, &sensor.socket()));
    assert_eq!(code, Some(75), "{said}");
    let expected = format!(
        "sentry: another sensor is listening on {}; stop it, or give --socket another path\n",
        sensor.socket().display()
    );
    assert!(said.ends_with(&expected), "{said}");
    assert_eq!(sensor.health()["health"], "serving");
}

/// A sensor whose collector is away works, says that it is away and why, and keeps everything for
/// later.
#[test]
fn an_absent_collector_stops_nothing() {
    require!("root");
    let scratch = Scratch::new();
    let nobody = scratch.join("feed.sock");
    let sensor = Setup::default().collector(&format!("unix:{}", nobody.display())).start();
    let ended = Order::new(&sensor, "alone").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let health = wait::until("the health names the collector", || {
        let health = sensor.health();
        let said = health["health"].as_str().unwrap();
        // Before the first try has ended there is nothing to name.
        if said.starts_with("degraded: no stream to the collector since ") && said.contains("No such file") {
            Ok(health)
        } else {
            Err(health.to_string())
        }
    });
    assert_eq!(sensor.cli(&["health"]).status.code(), Some(1));
    assert_eq!(health["acked_seq"], 0, "{health}");
    assert_eq!(health["spooled_items"], health["last_seq"], "{health}");
    assert!(!sensor.events(&ended.run).is_empty());
    assert!(sensor.log().contains("collector"), "{}", sensor.log());
}

/// What was kept while there was no collector is not acknowledged by the one that is configured
/// later, and away.
#[test]
fn what_no_collector_has_taken_is_not_acknowledged() {
    require!("root");
    let scratch = Scratch::new();
    let mut alone = Setup::default().state_dir(&scratch.join("state")).start();
    let ended = Order::new(&alone, "alone").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let health = alone.health();
    assert_eq!((&health["acked_seq"], &health["spooled_items"]), (&0.into(), &0.into()), "{health}");
    alone.terminate();
    let nobody = format!("unix:{}", scratch.join("feed.sock").display());
    let sensor = Setup::default().state_dir(&scratch.join("state")).collector(&nobody).start();
    let health = sensor.health();
    assert!(health["last_seq"].as_u64().unwrap() > 0, "{health}");
    assert_eq!(
        (&health["acked_seq"], &health["spooled_items"]),
        (&0.into(), &health["last_seq"]),
        "{health}"
    );
}

/// A small file system; unmounted when the value goes.
pub(crate) struct Small(pub(crate) PathBuf);

impl Small {
    pub(crate) fn new(scratch: &Scratch, bytes: u64) -> Self {
        let path = scratch.dir("small");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(format!("size={bytes}").as_str()))
            .unwrap();
        Self(path)
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) -> Ballast {
        use std::io::Write as _;
        let path = self.0.join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        let block = [0; 4096];
        while file.write_all(&block).is_ok() {}
        Ballast(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).ok();
    }
}

pub(crate) struct Ballast(PathBuf);

impl Ballast {
    pub(crate) fn remove(self) {
        fs::remove_file(self.0).unwrap();
    }
}

#[test]
fn a_full_disk_at_the_start_is_told_and_costs_nothing() {
    require!("root");
    let scratch = Scratch::new();
    let small = Small::new(&scratch, 8 << 20);
    let state = small.0.join("state");
    let setup = Setup::default().state_dir(&state);
    let mut sensor = setup.clone().start();
    let ended = Order::new(&sensor, "before").finish(&["/bin/true"]);
    let events = sensor.events(&ended.run);
    assert!(sensor.terminate().success());
    let ledger = tree(&state.join("ledger"));

    let ballast = small.fill();
    let attempt = Scratch::new();
    let output = programs::finish(&mut setup.command(&attempt));
    let said = programs::text(&output);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("no space left"), "{said}");
    assert!(said.contains("free"), "it says what to do: {said}");
    assert_eq!(tree(&state.join("ledger")), ledger, "{said}");

    ballast.remove();
    sensor.start_again();
    assert_eq!(sensor.events(&ended.run), events);
    let _entries = sensor.verified_ledger();
}

/// Names and sizes of the files of a directory.
fn tree(path: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}

/// While the disk is full runs go on, what cannot be kept is counted, and afterwards a gap stands
/// for exactly that.
#[test]
fn a_disk_that_fills_up_loses_only_what_a_gap_tells_of() {
    require!("root");
    let scratch = Scratch::new();
    let small = Small::new(&scratch, 16 << 20);
    let sensor = Setup::default().state_dir(&small.0.join("state")).start();
    let flood = |name: &str| {
        let dir = sensor.place("files");
        fs::create_dir(&dir).unwrap();
        let line = workload("workload_flood", &[dir.to_str().unwrap(), "2000+", "0"]);
        let run = Order::new(&sensor, name).start(&line);
        let id = run.run();
        assert_eq!(wait::file(&dir.join("done")), "2000");
        // What stops a runaway does not wait for the disk.
        assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
        assert_eq!(run.end().status.code(), Some(137));
        id
    };
    let before = flood("before");
    let kept = sensor.events(&before).len();
    let ballast = small.fill();
    let during = flood("during");
    let health = sensor.health();
    assert_ne!(health["health"], "serving", "{health}");
    ballast.remove();
    let after = wait::until("a run is kept whole again", || {
        let run = flood("after");
        let generated = generated(&sensor, &run);
        let events = sensor.json(&["events", "--limit", "0", "--run", &run]).len() as u64;
        if events == generated { Ok(run) } else { Err(format!("{events} of {generated} events")) }
    });
    assert_eq!(sensor.events(&before).len(), kept);
    let everything = sensor.json(&["events", "--limit", "0"]);
    let gaps: Vec<_> = everything.iter().filter(|item| item["type"] == "gap").collect();
    assert!(!gaps.is_empty());
    let lost: u64 = gaps.iter().filter_map(|gap| gap["items_by_run"][&during].as_u64()).sum();
    let stored =
        everything.iter().filter(|event| event["ai_agent"]["instance_uid"] == during.as_str()).count();
    assert!(lost > 0, "{gaps:?}");
    // Its state may be in the gap too; no event is missing without one.
    assert!(stored as u64 + lost >= 2000, "{stored} stored, {gaps:?}");
    assert_eq!(sensor.state_of(&after)["state"], "ended");
    let _entries = sensor.verified_ledger();
}

/// A sensor whose state is on a small file system, and a collector.
struct OnSmallDisk {
    sensor: Sensor,
    collector: Collector,
    small: Small,
    _scratch: Scratch,
}

impl OnSmallDisk {
    fn start() -> Self {
        let scratch = Scratch::new();
        let small = Small::new(&scratch, 16 << 20);
        let collector = Collector::start();
        let sensor = Setup::default()
            .collector(&collector.grpc)
            .config("detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05}")
            .state_dir(&small.0.join("state"))
            .start();
        Self { sensor, collector, small, _scratch: scratch }
    }

    /// Runs of which one is found to spin, each killed by hand, while there is no room on the disk.
    fn runs_without_room(&self) -> Vec<String> {
        let file = self.sensor.place("pid");
        let spin = workload("workload_spin", &["1", file.to_str().unwrap()]);
        let spinner = Order::new(&self.sensor, "spinner").start(&spin);
        wait::until("the spin is found", || {
            let state = self.sensor.state_of(&spinner.run());
            if state["findings"].as_u64() > Some(0) { Ok(()) } else { Err(format!("{state:#}")) }
        });
        let mut runs = vec![spinner];
        // Names of their own: a run is known by its name at first.
        let sleeper = |n| Order::new(&self.sensor, &format!("sleeper-{n}")).start(&["/bin/sleep", "60"]);
        runs.extend((0..4).map(sleeper));
        let kill = |run: Supervised<'_>| {
            let id = run.run();
            assert_eq!(self.sensor.cli(&["kill", &id]).status.code(), Some(0));
            assert_eq!(run.end().status.code(), Some(137));
            id
        };
        let ids = runs.into_iter().map(kill).collect();
        let health = self.sensor.health();
        let said = health["health"].as_str().unwrap();
        assert!(said.contains("wait in memory") && said.contains("no space left"), "{health}");
        ids
    }

    /// What the ledger has of these runs is at sensor and collector as well, once.
    fn nothing_is_missing(&self, ids: &[String]) {
        wait::until("everything is written and at the collector", || {
            let health = self.sensor.health();
            let waits = health["health"].as_str().unwrap().contains("wait in memory");
            if !waits && health["acked_seq"] == health["last_seq"] { Ok(()) } else { Err(health.to_string()) }
        });
        for id in ids {
            let run = &self.collector.all(&format!("runs?run={id}"))[0];
            assert_eq!(run["state"], "ended", "{run:#}");
            assert_eq!(self.sensor.state_of(id)["state"], "ended");
        }
        let at_sensor = |key: &str| -> usize {
            let reports = ids.iter().map(|id| self.sensor.json(&["report", id]).remove(0));
            reports.map(|report| report[key].as_array().unwrap().len()).sum()
        };
        let ledger = ledger_kinds(&self.small.0.join("state/ledger"));
        for (kind, listing) in [("finding", "findings"), ("decision", "decisions"), ("outcome", "outcomes")] {
            let there = self.collector.all(listing);
            let noted = ledger.iter().filter(|noted| *noted == kind).count();
            assert!(noted > 0 && (kind == "finding" || noted >= ids.len()), "{ledger:?}");
            assert_eq!(there.len(), noted, "{listing}: {there:#?}");
            // A report has no decisions of its own: each has its outcome.
            assert!(kind == "decision" || at_sensor(listing) == noted, "{listing}: {ledger:?}");
        }
        let _entries = self.sensor.verified_ledger();
    }
}

#[test]
fn what_is_found_and_done_outlasts_a_full_disk() {
    require!("root");
    let place = OnSmallDisk::start();
    let ballast = place.small.fill();
    let runs = place.runs_without_room();
    ballast.remove();
    place.nothing_is_missing(&runs);
}

#[test]
fn a_sensor_that_ends_on_a_full_disk_writes_what_was_found_and_done() {
    require!("root");
    let mut place = OnSmallDisk::start();
    let ballast = place.small.fill();
    let runs = place.runs_without_room();
    assert!(place.sensor.terminate().success(), "{}", place.sensor.log());
    ballast.remove();
    place.sensor.start_again();
    place.nothing_is_missing(&runs);
}

/// The kind of every entry.
fn ledger_kinds(dir: &Path) -> Vec<String> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let text: String = segments.map(|path| fs::read_to_string(path).unwrap()).collect();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
}

/// Records that the kernel made of a run.
fn generated(sensor: &Sensor, run: &str) -> u64 {
    let rings = &sensor.state_of(run)["rings"];
    ["critical", "bulk"].iter().map(|ring| rings[ring]["generated"].as_u64().unwrap()).sum()
}

#[test]
fn a_kill_from_the_collector_does_not_wait_for_a_full_disk() {
    require!("root");
    let place = OnSmallDisk::start();
    let run = Order::new(&place.sensor, "sleeper").start(&["/bin/sleep", "60"]);
    let id = run.run();
    wait::until("the collector knows the run", || {
        let runs = place.collector.all(&format!("runs?run={id}"));
        if runs.is_empty() { Err("no run".into()) } else { Ok(()) }
    });
    let ballast = place.small.fill();
    // The journal is refused from here on.
    let mut runs = place.runs_without_room();
    let reason = serde_json::json!({"reason": "from afar"});
    let command = place.collector.post(&format!("runs/{id}/kill"), &reason);
    let key = command["key"].as_str().unwrap();
    let done = wait::until("the command is done", || {
        let command = place.collector.get(&format!("commands/{key}"));
        if command["state"] == "done" { Ok(command) } else { Err(command.to_string()) }
    });
    assert_eq!(done["outcome"]["result"], "applied", "{done:#}");
    assert_eq!(run.end().status.code(), Some(137));
    ballast.remove();
    runs.push(id);
    place.nothing_is_missing(&runs);
}
