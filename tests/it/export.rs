//! Archives of real runs: made, proven, and asked about.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup, lines},
    supervised::Order,
};
use serde_json::Value;

fn run(sensor: &Sensor) -> String {
    let ended = Order::new(sensor, "exporter").finish(&["/bin/sh", "-c", "cat /etc/hostname; ls /; exit 3"]);
    assert_eq!(ended.code(), Some(3), "{}", programs::text(&ended.output));
    ended.run
}

fn exported(sensor: &Sensor, target: &str) -> (PathBuf, Value) {
    let file = sensor.place("run.tar.zst");
    let made = sensor.json(&["export", target, "-o", file.to_str().unwrap()]).remove(0);
    (file, made)
}

/// Where no sensor can be reached.
fn alone(file: &Path) -> Output {
    let mut command = programs::command("sentry");
    command.arg("verify").arg(file).arg("--json").env("AGENTSENTRY_SOCKET", "/nonexistent/s.sock");
    programs::finish(&mut command)
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_exported_run_is_proven_by_the_sensor_by_its_ledger_and_alone() {
    require!("root");
    let sensor = Sensor::start();
    let run = run(&sensor);
    let (file, made) = exported(&sensor, &run);
    assert_eq!((&made["run"], &made["complete"]), (&run.as_str().into(), &true.into()));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let by_sensor = sensor.json(&["verify", file.to_str().unwrap()]).remove(0);
    assert_eq!(by_sensor["verified"], true);
    assert_eq!(by_sensor["recorded"]["state"], "recorded");
    assert_eq!(by_sensor["recorded"]["origin"], "user:0");
    assert_eq!(by_sensor["recorded"]["seq"], made["ledger_seq"]);
    assert_eq!(by_sensor["manifest_sha256"], made["manifest_sha256"]);
    assert_eq!(by_sensor["manifest"]["run"], run.as_str());
    assert_eq!(by_sensor["manifest"]["state"], "ended");
    assert_eq!(by_sensor["manifest"]["ledger"]["of_run"], 2);
    assert_eq!(by_sensor["events"], sensor.events(&run).len());
    // The entry is the newest one, behind those that are in the archive.
    assert_eq!(made["ledger_seq"], sensor.verified_ledger());

    let dir = sensor.state_dir().join("ledger");
    let by_ledger =
        sensor.json(&["verify", file.to_str().unwrap(), "--ledger", dir.to_str().unwrap()]).remove(0);
    assert_eq!(by_ledger["recorded"], by_sensor["recorded"]);

    let output = alone(&file);
    let by_itself = lines(&output.stdout).remove(0);
    assert_eq!((output.status.code(), &by_itself["verified"]), (Some(0), &true.into()));
    assert_eq!(by_itself["recorded"]["state"], "not_checked");
}

#[test]
fn an_archive_that_was_changed_or_that_somebody_else_made_is_none() {
    require!("root");
    let sensor = Sensor::start();
    let run = run(&sensor);
    let (file, _) = exported(&sensor, &run);
    let good = fs::read(&file).unwrap();
    for at in [0, 4, good.len() / 2, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        let output = alone(&file);
        assert_eq!(output.status.code(), Some(2), "byte {at}: {}", programs::text(&output));
        assert_eq!(lines(&output.stdout)[0]["verified"], false);
    }
    fs::write(&file, &good[..good.len() - 1]).unwrap();
    assert_eq!(alone(&file).status.code(), Some(2));
    fs::write(&file, &good).unwrap();
    assert_eq!(alone(&file).status.code(), Some(0));

    assert_eq!(sensor.cli(&["verify", "/nonexistent.tar.zst"]).status.code(), Some(66));
}

#[test]
fn the_ledger_of_another_chain_does_not_vouch_for_an_archive() {
    require!("root");
    let mut sensor = Setup::default().start();
    let run = run(&sensor);
    let (file, _) = exported(&sensor, &run);
    let file = file.to_str().unwrap();
    let dir = sensor.state_dir().join("ledger");
    assert!(sensor.terminate().success());
    fs::rename(&dir, sensor.place("ledger")).unwrap();
    sensor.start_again();
    let by_sensor = sensor.json(&["verify", file]).remove(0);
    assert_eq!(
        (&by_sensor["verified"], &by_sensor["recorded"]["state"]),
        (&true.into(), &"other_ledger".into())
    );
    let output = sensor.cli(&["verify", file, "--ledger", dir.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", programs::text(&output));
}

#[test]
fn an_archive_goes_through_a_pipe() {
    require!("root");
    let sensor = Sensor::start();
    let run = run(&sensor);
    let folder = programs::path("sentry");
    let path = format!("{}:/usr/bin:/bin", folder.parent().unwrap().display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("sentry export {run} -o - | sentry verify - --json")]).env("PATH", path);
    let output = programs::finish(sensor.at_home(&mut shell));
    assert_eq!(output.status.code(), Some(0), "{}", programs::text(&output));
    assert_eq!(lines(&output.stdout)[0]["recorded"]["state"], "recorded");
}

#[test]
fn nothing_is_left_of_an_archive_that_could_not_be_made() {
    require!("root");
    let sensor = Sensor::start();
    let folder = sensor.place("archives");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("run.tar.zst");
    let export = |target: &str, file: &Path| {
        sensor.cli(&["export", target, "-o", file.to_str().unwrap()]).status.code()
    };
    assert_eq!(export("no-such-run", &file), Some(66));
    assert_eq!(export("no-such-run", &folder.join("none/run.tar.zst")), Some(73));
    assert_eq!(export("no-such-run", &folder), Some(73));
    assert_eq!(files_in(&folder), Vec::<String>::new());
    // And one that was there is replaced as a whole.
    fs::write(&file, "an older one").unwrap();
    assert_eq!(export("no-such-run", &file), Some(66));
    assert_eq!(fs::read_to_string(&file).unwrap(), "an older one");
    let run = run(&sensor);
    assert_eq!(export(&run, &file), Some(0));
    assert_eq!(files_in(&folder), ["run.tar.zst"]);
    assert_eq!(alone(&file).status.code(), Some(0));
}
