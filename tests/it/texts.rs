//! What the programs say when there is nothing to show and when something is wrong: each command
//! with its text, in sheets under `tests/golden/texts`.
//!
//! A line `$ COMMAND` of a sheet is run by a shell in a directory of the test; below it stand what
//! it printed, on both outputs, and its exit code, if that is not 0. `UPDATE_GOLDEN=1` writes the
//! answers anew, so that a new line needs nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sentry_tests::{
    programs, require,
    scratch::Scratch,
    sensor::{Sensor, Setup},
    supervised::Order,
    wait,
};

use crate::workload;

/// A group that every system has.
const GROUP: &str = "nogroup";
/// A user that nothing else on a host has, outside of the group and in it.
const USERS: &str = r#"
as() { groups=$1; program=$(command -v "$2"); shift 2; workload_user 64001 "$groups" "$program" "$@"; }
outsider() { as '' "$@"; }
member() { as 65534 "$@"; }
"#;

/// Variables of the shell that stand in the sheets for what differs from time to time.
type Variables = Vec<(&'static str, String)>;

fn sheet(name: &str, directory: &Path, variables: &Variables) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/texts/{name}.txt"));
    let expected = fs::read_to_string(&path).unwrap();
    let lines = expected.lines().filter_map(|line| line.strip_prefix("$ "));
    let blocks: Vec<String> = lines.map(|line| answered(line, directory, variables)).collect();
    let written = blocks.join("\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, &written).unwrap();
        return;
    }
    let differ: Vec<&str> =
        blocks.iter().map(String::as_str).filter(|block| !expected.contains(block)).collect();
    assert!(written == expected, "{name}.txt differs; UPDATE_GOLDEN=1 writes it:\n{}", differ.join("\n"));
}

/// A line of a sheet with its answer.
fn answered(line: &str, directory: &Path, variables: &Variables) -> String {
    let programs = programs::path("sentry");
    let folder = programs.parent().unwrap().display();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{USERS}\nexec 2>&1\n{line}")])
        .current_dir(directory)
        .env_clear()
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .env("NO_COLOR", "1")
        .env("HOME", directory)
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let output = programs::finish(&mut shell);
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, value) in variables {
        text = text.replace(value, &format!("${name}"));
    }
    for (form, stands_for) in [
        ("9999-99-99 99:99:99.999Z", "TIME"),
        ("9999-99-99T99:99:99.999Z", "TIME"),
        ("9999-99-99 UTC", "DAY UTC"),
        ("99:99:99.999", "CLOCK"),
    ] {
        text = masked(&text, form, stands_for);
    }
    let code = match output.status.code() {
        Some(0) => String::new(),
        Some(code) => format!("[{code}]\n"),
        None => "[by a signal]\n".to_owned(),
    };
    format!(
        "$ {line}\n{}{code}",
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    )
}

/// Text where what has this form, in which 9 is any digit, is replaced.
fn masked(text: &str, form: &str, stands_for: &str) -> String {
    let fits = |text: &str| {
        text.len() >= form.len()
            && text.bytes().zip(form.bytes()).all(|(one, other)| match other {
                b'9' => one.is_ascii_digit(),
                _ => one == other,
            })
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if fits(rest) {
            out.push_str(stands_for);
            rest = &rest[form.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn variables(sensor: &Sensor) -> Variables {
    let text = |path: PathBuf| path.display().to_string();
    vec![
        ("AGENTSENTRY_SOCKET", text(sensor.socket())),
        ("STATE", text(sensor.state_dir())),
        ("DIR", text(sensor.scratch().path().to_owned())),
    ]
}

/// Files that are not what a command wants.
fn write_files(directory: &Path) {
    fs::write(directory.join("text"), "not an archive\n").unwrap();
    fs::write(directory.join("wrong.yaml"), "version: 1\nrungs: {}\njournal: {keep_bytes: many}\n").unwrap();
    fs::write(directory.join("other.yaml"), "version: 1\nlisten_htp: x\n").unwrap();
    fs::create_dir(directory.join("empty")).unwrap();
}

#[test]
fn sentry_says_what_is_wrong_or_missing_and_what_to_do() {
    require!("root");
    let sensor = Setup::default().group(GROUP).start();
    let directory = sensor.scratch().dir("here");
    write_files(&directory);
    let mut variables = variables(&sensor);
    sheet("nothing", &directory, &variables);
    sheet("lines", &directory, &variables);

    let ended = Order::new(&sensor, "first").finish(&["/bin/cat", "/etc/hostname"]);
    assert_eq!(ended.code(), Some(0), "{}", programs::text(&ended.output));
    let ready = sensor.scratch().join("ready");
    let live = Order::new(&sensor, "second")
        .start(&workload("workload_count", &["once", &ready.display().to_string()]));
    let _pid = wait::file(&ready);
    variables.extend([("RUN", ended.run.clone()), ("LIVE", live.run())]);
    let short = |id: &str| id[..13].to_owned();
    variables.extend([("RUN_SHORT", short(&ended.run)), ("LIVE_SHORT", short(&live.run()))]);
    sheet("runs", &directory, &variables);
    sheet("users", &directory, &variables);
    sheet("files", &directory, &variables);
    assert_eq!(sensor.cli(&["kill", &live.run()]).status.code(), Some(0));
    assert_eq!(live.wait().code(), Some(137));
}

#[test]
fn the_collector_says_what_is_wrong_or_missing_and_what_to_do() {
    let scratch = Scratch::new();
    let directory = scratch.dir("here");
    write_files(&directory);
    sheet("collector", &directory, &vec![("DIR", scratch.path().display().to_string())]);
}
