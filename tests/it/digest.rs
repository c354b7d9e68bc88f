//! What was in the files that a run executed.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sentry_tests::{
    require,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::durability::drop_supervisor;

/// Older than the clock that a file system stamps changes with.
const SETTLED: Duration = Duration::from_millis(50);

fn sensor() -> Sensor {
    Setup::default().config("evidence: {hash_executed: true}").start()
}

fn sha256(path: impl AsRef<Path>) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of the files of that path, as `(digest, executions)`.
fn rows(report: &Value, path: impl AsRef<Path>) -> Vec<(String, u64)> {
    let path = fs::canonicalize(path).unwrap();
    let rows = report["executed"].as_array().unwrap();
    let rows = rows.iter().filter(|row| row["file"]["path"].as_str().map(Path::new) == Some(&path));
    rows.map(|row| {
        let digest = row["file"]["hashes"][0]["value"].as_str();
        (
            digest.unwrap_or_else(|| row["unknown"].as_str().unwrap()).to_owned(),
            row["executions"].as_u64().unwrap(),
        )
    })
    .collect()
}

/// Tier C gets a script's name alone.
fn of_script(sensor: &Sensor, script: &Path) -> String {
    if sensor.health()["tier"] == "C" { "no_object".to_owned() } else { sha256(script) }
}

fn report(sensor: &Sensor, run: &str) -> Value {
    sensor.json(&["report", run]).remove(0)
}

/// Waits until these are the rows of that path in the report of a live run.
fn until_listed(sensor: &Sensor, run: &str, path: impl AsRef<Path>, expected: &[(String, u64)]) {
    let mut expected = expected.to_vec();
    expected.sort();
    wait::until("the files are listed", || {
        let mut found = rows(&report(sensor, run), &path);
        found.sort();
        if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
    });
}

/// Writes a program, and settles it.
fn write(path: &Path, content: &[u8]) {
    // Refused while it runs.
    wait::until("the program may be written", || fs::write(path, content).map_err(|error| error.to_string()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    settle(path);
}

/// Waits until its time of change is no longer that of now.
fn settle(path: &Path) {
    let age = || {
        let metadata = fs::metadata(path).unwrap();
        let changed = Duration::new(metadata.ctime().cast_unsigned(), metadata.ctime_nsec() as u32);
        UNIX_EPOCH.elapsed().unwrap().saturating_sub(changed)
    };
    wait::until("the file is settled", || {
        Some(()).filter(|()| age() > SETTLED).ok_or_else(|| "not yet".to_owned())
    });
}

#[test]
fn what_runs_is_known_and_cannot_be_written_to() {
    require!("root");
    let sensor = sensor();
    let program = sensor.scratch().join("sh");
    fs::copy("/bin/sh", &program).unwrap();
    let mut run =
        Order::new(&sensor, "running").with_stdin().start(&[program.to_str().unwrap(), "-c", "read line"]);
    let id = run.run();
    let expected = [(sha256(&program), 1)];
    until_listed(&sensor, &id, &program, &expected);
    // What the digest rests on.
    let refused = fs::OpenOptions::new().write(true).open(&program).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ExecutableFileBusy);
    drop(run.stdin());
    let ended = run.wait();
    assert_eq!(rows(ended.report(), &program), expected, "{:#}", ended.report());
}

#[test]
fn a_script_and_what_it_started_are_known_after_their_end() {
    require!("root", "stamped-scratch");
    let sensor = sensor();
    let script = sensor.scratch().join("agent.sh");
    write(&script, b"#!/bin/sh\n/bin/true\n/bin/true\nexit 3\n");
    let ended = Order::new(&sensor, "script").finish(&[&script]);
    assert_eq!(ended.code(), Some(3));
    let report = ended.report();
    let of = |path: &Path| rows(report, path);
    assert_eq!(of(&script), [(of_script(&sensor, &script), 1)], "{report:#}");
    assert_eq!(of(Path::new("/bin/sh")), [(sha256("/bin/sh"), 1)], "{report:#}");
    assert_eq!(of(Path::new("/bin/true")), [(sha256("/bin/true"), 2)], "{report:#}");
    assert_eq!(report["executed_unlisted"], 0);
}

#[test]
fn a_run_does_not_end_before_its_last_file_is_read() {
    require!("root", "stamped-scratch");
    /// Longer to read than a run takes to be found over.
    const LARGE_BYTES: u64 = 256 << 20;
    let sensor = sensor();
    let program = sensor.scratch().join("large");
    fs::copy("/bin/true", &program).unwrap();
    // What stands behind the program is not loaded.
    fs::OpenOptions::new().write(true).open(&program).unwrap().set_len(LARGE_BYTES).unwrap();
    settle(&program);
    let ended = Order::new(&sensor, "large").finish(&[&program]);
    let report = ended.report();
    assert_eq!(rows(report, &program), [(sha256(&program), 1)], "{report:#}");
    assert_eq!(report["executed_unlisted"], 0);
}

#[test]
fn a_file_that_was_changed_in_place_is_known_by_both_contents() {
    require!("root", "stamped-scratch");
    let sensor = sensor();
    let program = sensor.scratch().join("tool");
    let command = format!("while read line; do {}; done; exit 0", program.display());
    let mut run = Order::new(&sensor, "changed").with_stdin().start(&["/bin/sh", "-c", &command]);
    let id = run.run();
    let mut stdin = run.stdin();
    let mut known = Vec::new();
    for content in ["/bin/true", "/bin/false"] {
        write(&program, &fs::read(content).unwrap());
        known.push((sha256(&program), 1));
        stdin.write_all(b"\n").unwrap();
        until_listed(&sensor, &id, &program, &known);
    }
    drop(stdin);
    assert_eq!(run.wait().code(), Some(0));
}

/// A mounted file system, until the value goes.
struct Mount(PathBuf);

impl Mount {
    fn memory(sensor: &Sensor) -> Self {
        let place = sensor.scratch().dir("memory");
        mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        Self(place)
    }

    fn overlay(lower: &Path, sensor: &Sensor) -> Self {
        let place = |name: &str| sensor.scratch().dir(name);
        let (upper, work, merged) = (place("upper"), place("work"), place("merged"));
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(layers.as_str())).unwrap();
        Self(merged)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn a_program_that_was_changed_between_two_executions_by_one_process_is_not_taken_for_the_first() {
    require!("root", "stamped-scratch");
    let sensor = sensor();
    let place = |name: &str| sensor.scratch().join(name).display().to_string();
    let [tool, other, pid] = ["tool", "other", "pid"].map(place);
    let shell = fs::read("/bin/sh").unwrap();
    write(Path::new(&tool), &shell);
    // What stands behind the program is not loaded.
    write(Path::new(&other), &[&shell, &b"\n"[..]].concat());
    let script = |name: &str, text: String| {
        fs::write(sensor.scratch().join(name), text).unwrap();
        place(name)
    };
    let last = script("last.sh", "read line".into());
    let third = script("third.sh", format!("cat {other} > {tool}; exec {tool} {last}"));
    let second = script("second.sh", format!("exec /bin/sh {third}"));
    let first = script("first.sh", format!("echo $$ > {pid}; read line; exec {tool} {second}"));
    let mut run = Order::new(&sensor, "between").with_stdin().start(&["/bin/sh", &first]);
    let pid = wait::file(Path::new(&pid));
    // It looks once all is over.
    let process = Pid::from_raw(i32::try_from(sensor.pid()).unwrap());
    kill(process, Signal::SIGSTOP).unwrap();
    let mut stdin = run.stdin();
    stdin.write_all(b"\n").unwrap();
    wait::until("the changed program runs", || {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap();
        if line.ends_with("last.sh\0") { Ok(()) } else { Err(line) }
    });
    kill(process, Signal::SIGCONT).unwrap();
    let id = run.run();
    until_listed(&sensor, &id, &tool, &[("unconfirmed".to_owned(), 1), (sha256(&tool), 1)]);
    drop(stdin);
    assert_eq!(run.wait().code(), Some(1));
}

#[test]
fn files_of_an_overlay_are_known_after_their_end() {
    require!("root", "overlay");
    let sensor = sensor();
    let lower = sensor.scratch().dir("lower");
    write(&lower.join("tool"), &fs::read("/bin/true").unwrap());
    let overlay = Mount::overlay(&lower, &sensor);
    // Of the lower layer, as a container's image is, and of the upper one.
    let (tool, script) = (overlay.0.join("tool"), overlay.0.join("true.sh"));
    write(&script, format!("#!/bin/sh\n{}\nexit 3\n", tool.display()).as_bytes());
    let ended = Order::new(&sensor, "overlay").finish(&[&script]);
    let report = ended.report();
    assert_eq!(ended.code(), Some(3));
    assert_eq!(rows(report, &tool), [(sha256(&tool), 1)], "{report:#}");
    assert_eq!(rows(report, &script), [(of_script(&sensor, &script), 1)], "{report:#}");
}

#[test]
fn what_runs_from_memory_is_known_but_not_where_its_process_may_exchange_it() {
    require!("root");
    let sensor = sensor();
    let memory = Mount::memory(&sensor);
    let program = memory.0.join("sh");
    write(&program, &fs::read("/bin/sh").unwrap());
    let digest = sha256(&program);
    let line = [program.to_str().unwrap(), "-c", "read line"];
    // Root in a user namespace of its own has the right to.
    let own_namespace = [&["unshare", "-Ur"], &line[..]].concat();
    for (command, expected) in [(line.to_vec(), digest.as_str()), (own_namespace, "file_system")] {
        let mut run = Order::new(&sensor, "memory").with_stdin().start(&command);
        until_listed(&sensor, &run.run(), &program, &[(expected.to_owned(), 1)]);
        drop(run.stdin());
        assert_eq!(run.wait().code(), Some(1));
    }
}

#[test]
fn an_overlay_that_the_run_laid_itself_is_not_trusted() {
    require!("root", "overlay");
    let sensor = sensor();
    let place = |name: &str| sensor.scratch().dir(name).display().to_string();
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(place);
    write(&Path::new(&lower).join("tool"), &fs::read("/bin/sh").unwrap());
    let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    let command =
        format!("mount -t overlay -o {layers} overlay {merged} && exec {merged}/tool -c 'read line'");
    let order = Order::new(&sensor, "own").with_stdin();
    let mut run = order.start(&["unshare", "-Urm", "/bin/sh", "-c", &command]);
    let id = run.run();
    let unknown = wait::until("the program is looked at", || {
        let report = report(&sensor, &id);
        let mut rows = report["executed"].as_array().unwrap().iter();
        let tool = rows.find(|row| row["file"]["name"] == "tool");
        tool.map(|row| row["unknown"].clone()).ok_or_else(|| format!("{report:#}"))
    });
    assert_eq!(unknown, "file_system");
    drop(run.stdin());
    assert_eq!(run.wait().code(), Some(1));
}

#[test]
fn a_sensor_that_may_not_look_into_processes_says_so() {
    require!("root");
    const CAP_SYS_PTRACE: u64 = 19;
    let setup = Setup::default().config("evidence: {hash_executed: true}");
    let sensor = setup.without_capability(CAP_SYS_PTRACE).start();
    let ended = Order::new(&sensor, "plain").finish(&["/bin/true"]);
    let told = |value: &Value| value["limits"].to_string().contains("without CAP_SYS_PTRACE");
    assert!(told(ended.report()) && told(&sensor.health()), "{:#}", ended.report());
    assert_eq!(rows(ended.report(), "/bin/true"), [(sha256("/bin/true"), 1)]);
}

#[test]
fn what_was_read_is_known_after_a_restart_of_the_sensor() {
    require!("root");
    let mut sensor = sensor();
    let run = Order::new(&sensor, "restart").start(&["/bin/sh", "-c", "sleep 1000"]);
    let (id, expected) = (run.run(), [(sha256("/bin/sh"), 1)]);
    until_listed(&sensor, &id, "/bin/sh", &expected);
    drop_supervisor(run);
    sensor.terminate();
    sensor.start_again();
    assert_eq!(rows(&report(&sensor, &id), "/bin/sh"), expected);
}

#[test]
fn nothing_is_read_unless_it_is_asked_for() {
    require!("root");
    let sensor = Sensor::start();
    let ended = Order::new(&sensor, "plain").finish(&["/bin/true"]);
    let report = ended.report();
    assert_eq!((&report["executed"], &report["executed_unlisted"]), (&Value::Array(Vec::new()), &0.into()));
}
