//! The command token, which is older than keys, and the files of the data directory.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use serde_json::json;

use crate::{
    commands::with_run,
    harness::{Collector, bearer, raw, request, run},
};

const FREEZE: &str = "/api/v1/runs/r1/freeze";

#[tokio::test(flavor = "multi_thread")]
async fn a_command_needs_a_key_or_the_token() {
    let collector = Collector::start();
    let _sensor = with_run(&collector).await;
    let digits = fs::read_to_string(collector.token_file()).unwrap();
    let right = bearer(&digits);
    let refused = [
        String::new(),
        bearer(&"0".repeat(64)),
        bearer(&digits[..63]),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Basic {digits}\r\n"),
        format!("X-Token: {digits}\r\n"),
        format!("{right}{right}"),
    ];
    for headers in &refused {
        let (status, answer) = collector.post_with(FREEZE, headers, &json!({"reason": "a"}));
        assert_eq!((status, &answer["code"]), (401, &json!("unauthorized")), "{headers}: {answer}");
        let (data, detail) = (collector.data.to_str().unwrap(), answer["detail"].as_str().unwrap());
        assert!(!detail.contains(&digits) && !detail.contains(data), "{detail}");
    }
    // Whoever has no key does not learn what else would be wrong.
    for (path, body) in [("/api/v1/runs/nobody/kill", json!({})), ("/api/v1/runs/r1/explode", json!(1))] {
        assert_eq!(collector.post_with(path, "", &body).0, 401, "{path}");
    }
    let http = collector.http;
    let bare =
        format!("POST {FREEZE} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let (head, _) = raw(http, &bare);
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nwww-authenticate: bearer"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{head}");
    assert_eq!(collector.metric("unauthorized_total"), refused.len() as u64 + 3);
    assert_eq!(collector.metric("commands_total"), 0);
    // The token reads and commands, and does not manage keys.
    let (status, made) = collector.post_with(FREEZE, &right, &json!({"reason": "a", "key": "k1"}));
    assert_eq!(status, 202, "{made}");
    let get = |path| request(http, "GET", path, &right, None).0;
    assert_eq!([get("/api/v1/commands/k1"), get("/api/v1/runs"), get("/api/v1/keys")], [200, 200, 403]);
    assert_eq!(collector.metric("forbidden_total"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_sends_no_command() {
    let collector = Collector::start();
    let _sensor = with_run(&collector).await;
    let from = |origin: &str| {
        let headers = format!("{}Origin: {origin}\r\n", collector.authorization());
        collector.post_with(FREEZE, &headers, &json!({"reason": "a"}))
    };
    let port = collector.http.port();
    // The last is what a page sends whose name was made to point here; it chooses `Host` as well.
    for origin in ["http://example.test", "null", "http://collector", &format!("http://collector:{port}")] {
        let (status, answer) = from(origin);
        assert_eq!((status, &answer["code"]), (403, &json!("foreign_origin")), "{origin}: {answer}");
    }
    assert_eq!(collector.metric("unauthorized_total"), 0);
    assert_eq!(collector.metric("commands_total"), 0);
    for origin in [format!("http://{}", collector.http), format!("http://localhost:{port}")] {
        assert_eq!(from(&origin).0, 202, "{origin}");
    }
}

#[test]
fn the_token_is_for_its_owner_and_stays() {
    let mut collector = Collector::start();
    let path = collector.token_file();
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(before.len(), 64, "{}", before.len());
    assert!(before.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let about = fs::metadata(&path).unwrap();
    assert!(about.is_file());
    assert_eq!(about.mode() & 0o7777, 0o600);
    collector.kill_and_restart();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (about.ino(), about.mtime_nsec()), "nobody touched it");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    // No such run; but the token of the first start was taken.
    let (status, _) = collector.post_with("/api/v1/runs/r1/kill", &bearer(&before), &json!({"reason": "a"}));
    assert_eq!(status, 404);
}

#[test]
fn a_data_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("c.yaml"), dir.path().join("data"));
    let feed = dir.path().join("feed.sock");
    let text = format!("version: 1\nlisten_grpc: unix:{}\nlisten_http: 127.0.0.1:0\n", feed.display());
    fs::write(&config, text).unwrap();
    fs::create_dir(&data).unwrap();
    let refused = |what: &str| {
        let output = run(&["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(what), "{said}");
        assert!(output.stdout.is_empty(), "no listener was announced");
    };
    fs::set_permissions(&data, Permissions::from_mode(0o777)).unwrap();
    refused("data: with mode 0777");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "not the collector's").unwrap();
    for name in ["collector.lock", "collector.db", "collector.db-wal"] {
        std::os::unix::fs::symlink(&target, data.join(name)).unwrap();
        refused(&format!("{name}: it is a symbolic link"));
        fs::remove_file(data.join(name)).unwrap();
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "not the collector's");
}

#[test]
fn what_the_collector_keeps_is_its_owners_alone() {
    let mut collector = Collector::start();
    let modes = |data: &std::path::Path| -> Vec<(String, u32)> {
        let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, entry.metadata().unwrap().mode() & 0o7777)
            })
            .collect()
    };
    assert!(modes(&collector.data).iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes(&collector.data));
    for name in ["collector.db", "collector.db-wal", "collector.lock"] {
        fs::set_permissions(collector.data.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    collector.kill_and_restart();
    assert!(modes(&collector.data).iter().all(|(_, mode)| *mode == 0o600), "{:?}", modes(&collector.data));
}

#[test]
fn a_broken_token_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("c.yaml"), dir.path().join("data"));
    let socket = dir.path().join("feed.sock");
    let lines = format!("version: 1\nlisten_grpc: unix:{}\nlisten_http: 127.0.0.1:0\n", socket.display());
    fs::write(&config, lines).unwrap();
    fs::create_dir(&data).unwrap();
    let token = data.join("command.token");
    let good = "a1".repeat(32);
    let cases = [
        (good.as_str(), 0o644, "0644"),
        (&good, 0o620, "0620"),
        (&good[1..], 0o600, "64 hex"),
        ("", 0o600, "64 hex"),
    ];
    for (text, mode, word) in cases {
        fs::write(&token, text).unwrap();
        fs::set_permissions(&token, Permissions::from_mode(mode)).unwrap();
        let output = run(&["--config", config.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(token.to_str().unwrap()) && said.contains(word), "{said}");
        assert!(said.contains("remove it") && !said.contains(&good), "{said}");
        assert!(output.stdout.is_empty(), "no listener was announced");
        assert_eq!(fs::read_to_string(&token).unwrap(), text, "it is left as it was");
    }
}
