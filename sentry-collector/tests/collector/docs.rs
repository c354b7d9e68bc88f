//! The sessions of `docs/tls.md` are what the commands print. `UPDATE_DOCS=1` writes them.

use std::{fs, path::Path, process::Command};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tls.md");
const PKI: &str = "/etc/agentsentry/pki";
const CONFIG: &str = "/etc/agentsentry/collector.yaml";

/// The session between two marks of the page.
fn session<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<!-- {name}: begin -->\n```console\n")).unwrap();
    rest.split_once("\n```\n").unwrap().0
}

/// The same commands, here and now, with what they print.
fn again(dir: &Path, session: &str) -> String {
    let pki = dir.join("pki").display().to_string();
    let config = dir.join("collector.yaml").display().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_sentry-collector"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut told = Vec::new();
    for line in session.lines().filter_map(|line| line.strip_prefix("# ")) {
        let place = if line.starts_with("sentry-collector pki ") { "--dir" } else { "--config" };
        let at = if place == "--dir" { &pki } else { &config };
        let mut shell = Command::new("/bin/sh");
        let output = shell.args(["-c", &format!("{line} {place} {at}")]).env("PATH", &path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        if let Some((_, lines)) = text.split_once("in the collector's configuration:\n") {
            fs::write(&config, format!("version: 1\n{lines}")).unwrap();
        }
        let text = text.replace(&pki, PKI).replace(&config, CONFIG);
        told.push(format!("# {line}\n{}", text.trim_end()));
    }
    told.join("\n")
}

/// Without what is another one each time: days, and the digits of keys.
fn masked(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    let word = |word: &str| {
        let core = word.trim_matches(['(', ')', ',', ';', ':']);
        let is_key = core.len() == 8 && core.chars().all(is_digit);
        let is_day = core.len() == 10 && core.chars().all(|c| c.is_ascii_digit() || c == '-');
        if is_key {
            word.replace(core, "KEY")
        } else if is_day {
            word.replace(core, "DAY")
        } else {
            word.to_owned()
        }
    };
    text.split(' ')
        .map(|part| part.lines().map(word).collect::<Vec<_>>().join("\n"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_sessions_of_the_page_are_what_the_commands_print() {
    let dir = tempfile::tempdir().unwrap();
    let mut page = fs::read_to_string(PAGE).unwrap();
    for name in ["set-up", "rotation"] {
        let written = session(&page, name).to_owned();
        let found = again(dir.path(), &written);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            page = page.replace(&written, &found);
            fs::write(PAGE, &page).unwrap();
        } else {
            assert_eq!(masked(&written), masked(&found), "docs/tls.md differs; run this with UPDATE_DOCS=1");
        }
    }
}
