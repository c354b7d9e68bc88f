//! What is wrong with a configuration is said with its place, and the exit code tells the kind.

use std::path::Path;

use crate::harness::{Collector, run};

struct Checked {
    code: Option<i32>,
    out: String,
    err: String,
}

fn start(args: &[&str]) -> Checked {
    let output = run(args);
    Checked {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn check(dir: &Path, text: &str, more: &[&str]) -> Checked {
    let path = dir.join("c.yaml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    start(&[&["config", "check", "--config", path], more].concat())
}

#[test]
fn names_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("version: 1\ncolour: red\n", "c.yaml:2:1", "colour"),
        ("version: 1\nlisten_http: 5\n", "c.yaml:2:14", ""),
        ("version: 1\nlisten_http: nowhere\n", "c.yaml:2:", "IP:PORT"),
        ("version: 1\nlisten_grpc: unix:relative\n", "c.yaml:2:", "not absolute"),
        ("version: 1\nretention_bytes: lots\n", "c.yaml:2:18", ""),
        ("version: 1\nretention_bytes: 5\n", "c.yaml:2:", "1048576"),
        ("version: 1\nhttp_names: [a, 'http://b']\n", "c.yaml:2:", "no name or address"),
        ("version: 1\nhttp_names: ['[::1]8440']\n", "c.yaml:2:", "no name or address"),
        ("version: 1\nhttp_names: ['b:+80']\n", "c.yaml:2:", "no name or address"),
        ("version: 1\nhttp_patience_seconds: 0\n", "c.yaml:2:", "from 1 to 300"),
        ("version: 2\n", "c.yaml:1:", "reads version 1"),
        ("listen_http: 127.0.0.1:1\n", "c.yaml:1:", "version"),
        ("version: 1\ntls:\n  cert: a\n", "c.yaml:", "key"),
        ("version: 1\n  : {[\n", "c.yaml:", ""),
    ];
    for (text, place, word) in cases {
        let checked = check(dir.path(), text, &[]);
        assert_eq!(checked.code, Some(78), "{text:?}: {}", checked.err);
        assert!(checked.err.contains(place) && checked.err.contains(word), "{text:?}: {}", checked.err);
        assert_eq!(checked.err.lines().count(), 1, "{}", checked.err);
    }
}

#[test]
fn tells_what_holds() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version: 1\nretention_bytes: 0\nhttp_names: [Collector.Example, '[2001:db8::1]:8440']\n";
    let checked = check(dir.path(), text, &["--listen-http", "[::1]:80"]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let lines: Vec<&str> = checked.out.lines().collect();
    assert_eq!(
        lines,
        [
            "listen_grpc: 127.0.0.1:4319 (plaintext)",
            "listen_http: [::1]:80 (plaintext)",
            "http_names: collector.example",
            "http_names: [2001:db8::1]:8440",
            "http_patience_seconds: 10",
            "data_dir: /var/lib/agentsentry-collector",
            "retention_bytes: 0 (keeps everything)",
        ]
    );
}

#[test]
fn refuses_plaintext_to_the_network() {
    let dir = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:4319", "192.0.2.1:4319", "[::]:4319", "[::ffff:192.0.2.1]:4319"] {
        for (key, flag) in [("listen_grpc", "--listen-grpc"), ("listen_http", "--listen-http")] {
            let checked = check(dir.path(), &format!("version: 1\n{key}: '{address}'\n"), &[]);
            assert_eq!(checked.code, Some(78), "{key} {address}");
            assert!(checked.err.contains("allow_plaintext_remote"), "{}", checked.err);
            assert_eq!(check(dir.path(), "version: 1\n", &[flag, address]).code, Some(78));
            let allowed = format!("version: 1\nallow_plaintext_remote: true\n{key}: '{address}'\n");
            assert_eq!(check(dir.path(), &allowed, &[]).code, Some(0));
        }
    }
    for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
        assert_eq!(check(dir.path(), "version: 1\n", &["--listen-grpc", address]).code, Some(0), "{address}");
    }
}

#[test]
fn exit_codes_tell_the_kind() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(start(&["--help"]).code, Some(0));
    assert_eq!(start(&["--version"]).code, Some(0));
    assert_eq!(start(&["--no-such-flag"]).code, Some(64));
    assert_eq!(start(&["config"]).code, Some(64));
    assert_eq!(start(&["config", "check", "--listen-http", "nowhere"]).code, Some(64));
    let missing = dir.path().join("none.yaml");
    let checked = start(&["--config", missing.to_str().unwrap()]);
    assert_eq!(checked.code, Some(66));
    assert!(checked.err.contains("none.yaml"), "{}", checked.err);
    let tls = "version: 1\ntls: {cert: /nowhere/c, key: /nowhere/k, client_ca: /nowhere/ca}\n";
    assert_eq!(check(dir.path(), tls, &[]).code, Some(66));
    // A file where a directory is needed.
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let port0 = ["--listen-grpc", "127.0.0.1:0", "--listen-http", "127.0.0.1:0", "--data-dir"];
    let below = file.join("data");
    assert_eq!(start(&[&port0[..], &[below.to_str().unwrap()]].concat()).code, Some(73));
    // Neither a database nor a listener that somebody else has.
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("collector.db"), "this is no database".repeat(100)).unwrap();
    assert_eq!(start(&[&port0[..], &[data.to_str().unwrap()]].concat()).code, Some(74));
    let collector = Collector::start();
    let checked = start(&[&port0[..], &[collector.data.to_str().unwrap()]].concat());
    assert_eq!(checked.code, Some(73));
    assert!(checked.err.contains("in use"), "{}", checked.err);
    let free = dir.path().join("free");
    let taken = ["--listen-grpc", &collector.grpc, "--listen-http", "127.0.0.1:0", "--data-dir"];
    assert_eq!(start(&[&taken[..], &[free.to_str().unwrap()]].concat()).code, Some(74));
}

#[test]
fn help_tells_exit_codes_and_examples() {
    let help = start(&["--help"]).out;
    for word in ["Examples:", "Exit codes:", "64", "66", "73", "74", "78", "config check", "command.token"] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
}
