//! The questions of `docs/using.md`: each is one command, and its answer names what the page says.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use sentry_tests::{
    programs, require,
    sensor::Sensor,
    supervised::{Ended, Order},
};
use serde_json::Value;

/// What an agent does that has everything that the page asks about.
const AGENT: &str = r#"
sh -c 'echo hello > out.txt; cat input.txt'
cat ../home/.aws/credentials .env
mv notes.txt plan.txt
rm old.txt
chmod 700 tool.sh
ls /does-not-exist
bash -c 'exec 3<> /dev/tcp/127.0.0.1/9'
workload_network . 127.0.54.77
exit 1
"#;

/// Rows of the table: command and what its answer names.
fn questions() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/using.md");
    let page = fs::read_to_string(page).unwrap();
    let table = page.split("<!-- questions: begin -->").nth(1).unwrap();
    let table = table.split("<!-- questions: end -->").next().unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_question, command, answer] = cells.as_slice() else { return None };
        let code = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
        Some((code(command)?, code(answer)?))
    };
    table.lines().filter_map(row).collect()
}

fn run(sensor: &Sensor, script: &str) -> Ended {
    let project = sensor.scratch().join("project");
    fs::create_dir_all(&project).unwrap();
    let home = sensor.scratch().join("home");
    fs::create_dir_all(home.join(".aws")).unwrap();
    for (folder, name) in [
        (&project, "input.txt"),
        (&project, "notes.txt"),
        (&project, "old.txt"),
        (&project, ".env"),
        (&project, "tool.sh"),
    ] {
        fs::write(folder.join(name), "x\n").unwrap();
    }
    fs::write(home.join(".aws/credentials"), "[default]\n").unwrap();
    let programs = programs::path("workload_network");
    let path = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
    let file = sensor.scratch().join("agent.sh");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    Order::new(sensor, "asker")
        .directory(project)
        .variable("PATH", &path)
        .finish(&["/bin/sh".as_ref(), file.as_os_str()])
}

#[test]
fn every_question_of_the_page_is_answered_by_its_command() {
    require!("root");
    let sensor = Sensor::start();
    let base = run(&sensor, "sh -c 'echo hello > out.txt'\n");
    let asked = run(&sensor, AGENT);
    assert_eq!(asked.code(), Some(1), "{}", programs::text(&asked.output));
    let pid = asked.report()["activity"]["calls"][0]["pid"].to_string();
    let secret = |event: &Value| {
        event["file"]["path"].as_str().is_some_and(|path| path.ends_with("/.aws/credentials"))
    };
    let events = sensor.events(&asked.run);
    let event = events.iter().find(|event| secret(event)).unwrap();
    let event = event["metadata"]["uid"].as_str().unwrap();
    let questions = questions();
    assert_eq!(questions.len(), 31);
    let mut wrong = Vec::new();
    for (command, answer) in questions {
        let line = command
            .replace("RUN", &asked.run)
            .replace("BASE", &base.run)
            .replace("PID", &pid)
            .replace("EVENT", event);
        let mut shell = Command::new("/bin/sh");
        let folder = programs::path("sentry");
        let path = format!("{}:/usr/bin:/bin", folder.parent().unwrap().display());
        shell.args(["-c", &line]).env("PATH", path);
        let output = programs::finish(sensor.at_home(&mut shell));
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.code() != Some(0) || !text.contains(&answer) {
            wrong.push(format!("{line}\n  should name {answer}:\n{}", programs::text(&output)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
