//! `sentry rules`, without a sensor.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const GOOD: &str = "version: 1
rules:
  - id: own/no-curl
    title: A download
    on: [exec]
    when: exe.endsWith('/curl')
    cases:
      - {name: curl is found, event: {exe: /usr/bin/curl}, verdict: warn}
      - {name: git is not, event: {exe: /usr/bin/git}, verdict: none}
";

fn rules(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentry"));
    let output = command.arg("rules").args(args).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn placed(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn valid_rules_are_listed_and_their_cases_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = placed(dir.path(), "own.yaml", GOOD);
    let (code, said, wrong) = rules(&["check", &file]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert_eq!(
        said,
        "own/no-curl  warn on exec; medium; 2 cases\n    A download\n1 rule in 1 file, all valid\n"
    );
    // Of a directory, what ends in .yaml.
    placed(dir.path(), "README.md", "no rules");
    let (code, said, wrong) = rules(&["test", &dir.path().display().to_string()]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert_eq!(said, "ok    own/no-curl: curl is found\nok    own/no-curl: git is not\n2 cases: 0 failed\n");
}

#[test]
fn a_case_that_is_not_as_expected_ends_with_2_and_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = placed(
        dir.path(),
        "own.yaml",
        &GOOD.replace("/usr/bin/git}, verdict: none", "/bin/x}, verdict: block"),
    );
    let (code, said, wrong) = rules(&["test", &file]);
    assert_eq!((code, wrong.as_str()), (Some(2), ""));
    let expected = format!(
        "FAIL  own/no-curl: git is not\n      {file}:9: the verdict is none, and block was expected\n"
    );
    assert!(said.contains(&expected) && said.ends_with("2 cases: 1 failed\n"), "{said}");
    let (code, lines, _) = rules(&["test", &file, "--json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(2), 3));
    assert_eq!(
        (&lines[1]["passed"], &lines[1]["line"], &lines[2]["failed"]),
        (&false.into(), &9.into(), &1.into())
    );
}

#[test]
fn every_mistake_is_a_line_and_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let file =
        placed(dir.path(), "own.yaml", &GOOD.replace("[exec]", "[exce]").replace("exe.ends", "exee.ends"));
    for command in ["check", "test"] {
        let (code, said, wrong) = rules(&[command, &file]);
        assert_eq!((code, said.as_str()), (Some(78), ""));
        let lines: Vec<&str> = wrong.lines().collect();
        assert_eq!(
            lines[0],
            format!("sentry: {file}:5:10: there is no type of event `exce`; did you mean `exec`?")
        );
        assert!(lines[1].starts_with(&format!("sentry: {file}:6:11: `when`, at character 1: ")), "{wrong}");
        assert_eq!(lines.len(), 2, "{wrong}");
    }
    let (code, line, _) = rules(&["check", &file, "--json"]);
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((code, &answer["valid"], &answer["errors"][0]["line"]), (Some(78), &false.into(), &5.into()));
    let (code, _, wrong) = rules(&["check", &dir.path().join("none").display().to_string()]);
    assert_eq!((code, wrong.contains("name a file, or a directory")), (Some(66), true), "{wrong}");
}

#[test]
fn the_example_is_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (code, example, _) = rules(&["example"]);
    let file = placed(dir.path(), "own.yaml", &example);
    let (tested, said, wrong) = rules(&["test", &file]);
    assert_eq!((code, tested, wrong.as_str()), (Some(0), Some(0), ""), "{said}");
    let (code, fields, _) = rules(&["fields"]);
    assert!(code == Some(0) && fields.contains("exec") && fields.contains("record_type"), "{fields}");
}
