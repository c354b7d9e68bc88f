//! The state directory is the sensor's alone, and what happened to it is not overlooked.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::Path,
};

use sentry_tests::{
    programs, require,
    scratch::Scratch,
    sensor::{Sensor, Setup},
    supervised::Order,
};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// A sensor ends with 78 at its start and says this.
fn refuses(setup: &Setup, said: &[&str]) {
    let scratch = Scratch::new();
    let output = programs::finish(&mut setup.command(&scratch));
    let log = programs::text(&output);
    assert_eq!(output.status.code(), Some(78), "{log}");
    for part in said {
        assert!(log.contains(part), "{part} is not in {log}");
    }
}

#[test]
fn a_state_directory_of_somebody_else_is_refused() {
    require!("root");
    let scratch = Scratch::new();
    let state = scratch.join("state");
    fs::create_dir(&state).unwrap();
    let setup = Setup::default().state_dir(&state);
    chown(&state, Some(64_001), None).unwrap();
    refuses(&setup, &["state: it belongs to user 64001", "chown 0"]);
    chown(&state, Some(0), None).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o777)).unwrap();
    refuses(&setup, &["state: with mode 0777", "chmod go-w"]);
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "nothing was made in it");
}

#[test]
fn a_planted_link_is_refused_and_not_followed() {
    require!("root");
    let scratch = Scratch::new();
    let (state, target) = (scratch.join("state"), scratch.join("target"));
    fs::write(&target, "not the sensor's").unwrap();
    fs::create_dir_all(state.join("ledger")).unwrap();
    let setup = Setup::default().state_dir(&state);
    for name in ["ledger/ledger.key", "journal.db-wal"] {
        let link = state.join(name);
        symlink(&target, &link).unwrap();
        refuses(&setup, &[&format!("{name}: it is a symbolic link")]);
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "not the sensor's");
}

#[test]
fn files_that_others_can_read_are_closed_to_them() {
    require!("root");
    let mut sensor = Setup::default().start();
    let files = |sensor: &Sensor| {
        let ledger = fs::read_dir(sensor.state_dir().join("ledger")).unwrap();
        let all = fs::read_dir(sensor.state_dir()).unwrap().chain(ledger);
        let all = all.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        all.collect::<Vec<_>>()
    };
    assert!(files(&sensor).len() >= 8, "{:?}", files(&sensor));
    for path in files(&sensor) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(sensor.terminate().success());
    for path in files(&sensor) {
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }
    sensor.start_again();
    for path in files(&sensor) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    assert!(sensor.log().contains("closed a file to other users"));
}

fn verify(sensor: &Sensor) -> serde_json::Value {
    let dir = sensor.state_dir().join("ledger");
    sensor.json(&["ledger", "verify", "--dir", &dir.display().to_string()]).remove(0)
}

#[test]
fn a_ledger_that_was_changed_is_set_aside_and_named() {
    require!("root");
    let mut sensor = Setup::default().start();
    let ended = Order::new(&sensor, "before").finish(&["/bin/true"]);
    assert_eq!(ended.code(), Some(0));
    assert_eq!(sensor.health()["health"], "serving");
    assert!(sensor.terminate().success());
    let segment = sensor.state_dir().join("ledger/segment-00000001.jsonl");
    let spoiled = fs::read_to_string(&segment).unwrap().replace("\"name\":\"before\"", "\"name\":\"beyond\"");
    fs::write(&segment, spoiled).unwrap();
    sensor.start_again();
    let kept = sensor.state_dir().join("ledger.tampered-1");
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    let expected =
        format!("degraded: the ledger was changed since it was written; it is kept as {}", kept.display());
    assert!(health.starts_with(&expected), "{health}");
    let verified = verify(&sensor);
    assert_eq!(
        (&verified["verified"], &verified["set_aside"][0]["kept"]),
        (&true.into(), &kept.to_str().into())
    );
    // A missing one, too.
    assert!(sensor.terminate().success());
    fs::remove_dir_all(sensor.state_dir().join("ledger")).unwrap();
    sensor.start_again();
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    assert!(
        health.starts_with("degraded: the ledger of chain ") && health.contains("is missing"),
        "{health}"
    );
    let verified = verify(&sensor);
    assert_eq!(verified["set_aside"][0]["kept"], serde_json::Value::Null, "{verified}");
    assert_eq!(verified["set_aside"][1]["kept"], kept.to_str().unwrap(), "{verified}");
}

#[test]
fn a_torn_last_line_is_repaired_and_not_called_tampered() {
    require!("root");
    let mut sensor = Setup::default().start();
    assert!(sensor.terminate().success());
    let segment = sensor.state_dir().join("ledger/segment-00000001.jsonl");
    let mut text = fs::read_to_string(&segment).unwrap();
    text.push_str("{\"body\":{\"run\":");
    fs::write(&segment, &text).unwrap();
    sensor.start_again();
    assert_eq!(sensor.health()["health"], "serving", "nothing that was signed is missing");
    assert_eq!(verify(&sensor)["set_aside"], serde_json::json!([]));
    // Into what was signed: the disk had not written what it said it had.
    assert!(sensor.terminate().success());
    let text = fs::read_to_string(&segment).unwrap();
    fs::write(&segment, &text[..text.len() - 20]).unwrap();
    sensor.start_again();
    let health = sensor.health()["health"].as_str().unwrap().to_owned();
    assert!(health.starts_with("degraded: a crash tore 1 ledger entry that was signed"), "{health}");
    assert_eq!(verify(&sensor)["set_aside"], serde_json::json!([]));
    let last = fs::read_to_string(&segment).unwrap();
    let last: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["body"]["lost_entries"]), (&"recovered".into(), &1.into()), "{last}");
}
