//! Errors of the configuration name their place, and the exit code shows their kind.

use std::{os::unix::fs::PermissionsExt, path::Path};

use crate::harness::{Collector, keys, run};

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
    let own = if nix::unistd::geteuid().is_root() { "0" } else { &format!("0, {}", nix::unistd::geteuid()) };
    let keyed = keys(dir.path());
    let socket = "/run/agentsentry-collector/feed.sock";
    let cases = [
        (String::new(), format!("unix:{socket} (uid {own}, the first sensor that says hello)")),
        (
            "feed_users: [root, 1000]\nfeed_sensor: host-1\n".to_owned(),
            format!("unix:{socket} (uid 0, 1000, sensor host-1)"),
        ),
        (keyed, "127.0.0.1:4319 (plaintext, keys of s1, s2)".to_owned()),
    ];
    for (lines, grpc) in cases {
        let text = format!("version: 1\nretention_bytes: 0\n{lines}");
        let checked = check(dir.path(), &text, &["--listen-http", "[::1]:80"]);
        assert_eq!(checked.code, Some(0), "{}", checked.err);
        let expected = format!(
            "{} is valid\nlisten_grpc: {grpc}\nlisten_http: [::1]:80 (plaintext)\n\
             http_patience_seconds: 10\n\
             data_dir: /var/lib/agentsentry-collector\nretention_bytes: 0 (keeps everything)\n",
            dir.path().join("c.yaml").display()
        );
        assert_eq!(checked.out, expected);
    }
}

#[test]
fn tells_the_names_it_answers_to() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version: 1\nhttp_names: [Collector.Example, '[2001:db8::1]:8440']\n";
    let checked = check(dir.path(), text, &[]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let lines = checked.out.lines();
    let names: Vec<&str> = lines.filter(|line| line.starts_with("http_names")).collect();
    assert_eq!(names, ["http_names: collector.example", "http_names: [2001:db8::1]:8440"]);
}

#[test]
fn a_check_without_a_file_says_that_the_defaults_hold() {
    // The default file is not there on a machine that builds.
    if Path::new("/etc/agentsentry/collector.yaml").exists() {
        return;
    }
    let checked = start(&["config", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let start = "there is no /etc/agentsentry/collector.yaml; the defaults hold\nlisten_grpc: unix:";
    assert!(checked.out.starts_with(start), "{}", checked.out);
    assert!(checked.out.ends_with("retention_bytes: 10 GiB\n"), "{}", checked.out);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let text = "version: 1
listen_htp: 127.0.0.1:1
retention_bytes: 5 GB
tls: {cert: /nowhere/c, key: /nowhere/k, client_ca: /nowhere/ca}
http_patience_seconds: 0
";
    let checked = check(dir.path(), text, &[]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(78), ""));
    let file = dir.path().join("c.yaml");
    let starts = [
        format!("{}:2:1: unknown field `listen_htp`; did you mean `listen_http`?", file.display()),
        format!("{}:3:18: \"5 GB\" is not a size; ", file.display()),
        format!("{}:5:24: http_patience_seconds 0 is not from 1 to 300", file.display()),
        "cannot use `tls`: cannot read /nowhere/c: ".to_owned(),
        "cannot use `tls`: cannot read /nowhere/k: ".to_owned(),
        "cannot use `tls`: cannot read /nowhere/ca: ".to_owned(),
    ];
    let lines: Vec<&str> = checked.err.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{}", checked.err);
    for (line, start) in lines.iter().zip(&starts) {
        assert!(line.starts_with(&format!("sentry-collector: {start}")), "{line}\n{start}");
    }
    let as_json = check(dir.path(), text, &["--json"]);
    assert_eq!((as_json.code, as_json.err.as_str()), (Some(78), ""));
    let value: serde_json::Value = serde_json::from_str(&as_json.out).unwrap();
    assert_eq!((&value["valid"], value["errors"].as_array().unwrap().len()), (&false.into(), 6));
    let error = &value["errors"][1];
    assert_eq!((&error["line"], &error["column"]), (&3.into(), &18.into()), "{error}");
    assert_eq!(error["file"], file.display().to_string());
}

#[test]
fn the_example_is_a_file_that_holds() {
    let dir = tempfile::tempdir().unwrap();
    let example = start(&["config", "example"]);
    assert_eq!((example.code, example.err.as_str()), (Some(0), ""));
    let checked = check(dir.path(), &example.out, &[]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let (_, held) = checked.out.split_once(" is valid\n").unwrap();
    let bare = check(dir.path(), "version: 1\n", &[]);
    assert!(bare.out.ends_with(held), "{} {held}", bare.out);
}

#[test]
fn sizes_are_written_as_at_the_sensor() {
    let dir = tempfile::tempdir().unwrap();
    for (text, shown) in [("64 GiB", "64 GiB"), ("3MiB", "3 MiB"), ("1048577", "1048577")] {
        let checked = check(dir.path(), &format!("version: 1\nretention_bytes: {text}\n"), &[]);
        assert_eq!(checked.code, Some(0), "{}", checked.err);
        assert!(checked.out.ends_with(&format!("retention_bytes: {shown}\n")), "{}", checked.out);
    }
}

#[test]
fn refuses_plaintext_to_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = format!("version: 1\n{}", keys(dir.path()));
    for address in ["0.0.0.0:4319", "192.0.2.1:4319", "[::]:4319", "[::ffff:192.0.2.1]:4319"] {
        for (key, flag) in [("listen_grpc", "--listen-grpc"), ("listen_http", "--listen-http")] {
            let checked = check(dir.path(), &format!("{keyed}{key}: '{address}'\n"), &[]);
            assert_eq!(checked.code, Some(78), "{key} {address}");
            assert!(checked.err.contains("allow_plaintext_remote"), "{}", checked.err);
            assert_eq!(check(dir.path(), &keyed, &[flag, address]).code, Some(78));
            let allowed = format!("{keyed}allow_plaintext_remote: true\n{key}: '{address}'\n");
            assert_eq!(check(dir.path(), &allowed, &[]).code, Some(0));
        }
    }
    for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
        assert_eq!(check(dir.path(), &keyed, &["--listen-grpc", address]).code, Some(0), "{address}");
    }
}

#[test]
fn refuses_a_listener_where_nothing_proves_who_speaks() {
    let dir = tempfile::tempdir().unwrap();
    let keyed = keys(dir.path());
    let key = |mode| {
        let path = dir.path().join("s1.key");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let cases = [
        ("listen_grpc: 127.0.0.1:4319\n", "feed_keys"),
        ("listen_grpc: 127.0.0.1:4319\n", "unix:/PATH"),
        ("allow_plaintext_remote: true\nlisten_grpc: 192.0.2.1:4319\n", "feed_keys"),
        ("feed_users: [nobody-of-this-host]\n", "is no user"),
        ("feed_users: [65534]\n", "user namespace"),
        (&format!("listen_grpc: unix:/x\n{keyed}"), "`feed_keys` has no meaning for a unix socket"),
        (&format!("feed_sensor: a\n{keyed}"), "`feed_sensor` has no meaning for TCP"),
    ];
    for (lines, word) in cases {
        let checked = check(dir.path(), &format!("version: 1\n{lines}"), &[]);
        assert_eq!(checked.code, Some(78), "{lines}: {}", checked.err);
        assert!(checked.err.contains(word), "{lines}: {}", checked.err);
    }
    key(0o640);
    let open = nix::unistd::getegid().as_raw() != 0;
    let checked = check(dir.path(), &format!("version: 1\n{keyed}"), &[]);
    assert_eq!(checked.code, Some(if open { 78 } else { 0 }), "{}", checked.err);
    key(0o604);
    let checked = check(dir.path(), &format!("version: 1\n{keyed}"), &[]);
    assert_eq!(checked.code, Some(78), "{}", checked.err);
    assert!(checked.err.contains("s1.key has mode 0604"), "{}", checked.err);
    std::fs::remove_file(dir.path().join("s1.key")).unwrap();
    assert_eq!(check(dir.path(), &format!("version: 1\n{keyed}"), &[]).code, Some(66));
}

#[test]
fn makes_a_key_for_both_sides_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s1.key");
    let make = || start(&["feed-key", "s1", "--out", path.to_str().unwrap()]);
    let made = make();
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.out.contains("feed_keys:\n  s1: ") && made.out.contains("key_file: "), "{}", made.out);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!((text.trim().len(), made.out.contains(text.trim())), (64, false));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let again = make();
    assert_eq!(again.code, Some(73), "{}", again.err);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "it is left as it was");
    let lines = format!("version: 1\nfeed_keys: {{s1: {}}}\n", path.display());
    assert_eq!(check(dir.path(), &lines, &[]).code, Some(0));
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
    let socket = format!("unix:{}", dir.path().join("feed.sock").display());
    let port0 = ["--listen-grpc", &socket, "--listen-http", "127.0.0.1:0", "--data-dir"];
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
    let taken = ["--listen-grpc", &socket, "--listen-http", &collector.http.to_string(), "--data-dir"];
    assert_eq!(start(&[&taken[..], &[free.to_str().unwrap()]].concat()).code, Some(74));
}

#[test]
fn help_tells_exit_codes_and_examples() {
    let help = start(&["--help"]).out;
    for word in ["Examples:", "Exit codes:", "64", "66", "73", "74", "78", "config check", "command.token"] {
        assert!(help.contains(word), "{word} is missing in {help}");
    }
}
