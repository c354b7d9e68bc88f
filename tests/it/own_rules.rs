//! Rules of somebody's own, by what real programs do below one sensor; and in a replay of it.

use std::fs;

use sentry_tests::{
    programs, require,
    sensor::{Sensor, Setup, lines},
    supervised::Order,
};
use serde_json::Value;

/// A program, a file and a rate; and one that stops.
const RULES: &str = r#"version: 1
rules:
  - id: own/no-dig
    title: A program that nobody needs
    on: [exec]
    match: [{field: exe, regex: ['/(cat|od)$'], except: ['/od$']}]
    next: ask who wanted it
    tags: [attack:T1059]
  - id: own/plans
    title: The plans are read
    on: [read]
    agents: [reader]
    when: path.endsWith('-plans.txt') && uid >= 0
    verdict: block
  - id: own/many
    title: Many files are made
    on: [create, write]
    when: path.contains('-made/')
    window: {count: 5, within: 10s, distinct: path}
"#;

fn found(sensor: &Sensor, id: &str) -> Vec<(String, Value)> {
    let output = sensor.cli(&["findings", "--run", id, "--json"]);
    let findings = lines(&output.stdout).into_iter();
    let mut all: Vec<_> = findings
        .map(|finding| (finding["finding_info"]["title"].as_str().unwrap_or_default().to_owned(), finding))
        .filter(|(rule, _)| rule.starts_with("own/"))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn names(found: &[(String, Value)]) -> Vec<&str> {
    found.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn rules_of_ones_own_find_what_they_say_and_a_broken_file_leaves_those_that_hold() {
    require!("root");
    let sensor = Setup::default().start();
    let (rules, plans) = (sensor.place("rules.d"), sensor.place("plans.txt"));
    fs::create_dir(&rules).unwrap();
    fs::write(&plans, "secret").unwrap();
    let file = rules.join("own.yaml");
    fs::write(&file, RULES).unwrap();
    sensor.configure(&format!("rules: [{}]", rules.display()));
    let reload = || {
        let output = sensor.cli(&["config", "reload", "--json"]);
        (output.status.code(), lines(&output.stdout).remove(0))
    };
    let (code, answer) = reload();
    assert_eq!((code, &answer["changed"][0]["key"]), (Some(0), &"rules".into()), "{answer}");

    let made = sensor.place("made");
    fs::create_dir(&made).unwrap();
    let work = |name: &str, flags: &[&str], script: &str| {
        let order = flags.iter().fold(Order::new(&sensor, name), |order, flag| order.flag(flag));
        order.finish(&["/bin/sh", "-c", script])
    };
    let script =
        format!("/bin/cat {} >&2; for n in 1 2 3 4 5; do : > {}/$n; done", plans.display(), made.display());
    let run = work("other", &[], &script);
    assert_eq!(run.code(), Some(0), "{}", programs::text(&run.output));
    let of_run = found(&sensor, &run.run);
    assert_eq!(names(&of_run), ["own/many", "own/no-dig"], "{of_run:#?}");
    let many = of_run[0].1["finding_info"]["uid"].as_str().unwrap();
    let explained = programs::text(&sensor.cli(&["explain", many]));
    for part in ["path within 10 s", "(limit 5)", "Evidence: 5 events, 5 still kept"] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    let (_, dig) = &of_run[1];
    assert!(
        dig.to_string().contains("next: ask who wanted it") && dig.to_string().contains("T1059"),
        "{dig:#}"
    );

    // The lawful twins: another program, another agent's files, fewer files.
    let script = format!("/usr/bin/od {} > {}/few", plans.display(), made.display());
    let lawful = work("other", &[], &script);
    assert_eq!((lawful.code(), found(&sensor, &lawful.run)), (Some(0), Vec::new()));

    // A rule that blocks freezes an enforced run: somebody has to end it.
    let order = Order::new(&sensor, "reader").flag("--enforce");
    let script = format!("read x < {}; sleep 300", plans.display());
    let stopped = order.start(&["/bin/sh", "-c", &script]);
    let id = stopped.run();
    sentry_tests::wait::until("the run is frozen", || match &sensor.state_of(&id)["state"] {
        state if state == "frozen" => Ok(()),
        state => Err(state.to_string()),
    });
    assert_eq!(names(&found(&sensor, &id)), ["own/plans"]);
    assert_eq!(sensor.cli(&["kill", &id]).status.code(), Some(0));
    drop(stopped.wait());

    // A file that is broken is refused whole, with its places; what held holds on.
    fs::write(rules.join("broken.yaml"), "version: 1\nrules:\n  - {id: own/x, title: X, on: [exce]}\n")
        .unwrap();
    let (code, answer) = reload();
    let errors = answer["errors"].to_string();
    assert_eq!(code, Some(78), "{answer}");
    assert!(errors.contains("broken.yaml:3:") && errors.contains("did you mean `exec`?"), "{errors}");
    assert!(sensor.health()["health"].to_string().contains("broken.yaml:3:"), "{}", sensor.health());
    let run = work("other", &[], &format!("/bin/cat {}", plans.display()));
    assert_eq!(names(&found(&sensor, &run.run)), ["own/no-dig"]);

    judged_again(&sensor, &run.run, file.to_str().unwrap());
}

/// Without the rules, and by them, which is the same here.
fn judged_again(sensor: &Sensor, run: &str, rules: &str) {
    let recorded = sensor.place("run.rec");
    let path = recorded.to_str().unwrap();
    assert_eq!(sensor.cli(&["record", run, path]).status.code(), Some(0));
    let replay = |arguments: &[&str]| {
        let output =
            programs::command("sentry").args(["replay", path, "--json"]).args(arguments).output().unwrap();
        (output.status.code(), lines(&output.stdout))
    };
    let (code, then) = replay(&[]);
    assert_eq!(
        (code, &then.last().unwrap()["differences"]),
        (Some(0), &Value::Array(Vec::new())),
        "{then:?}"
    );
    let (_, by_rules) = replay(&["--rules", rules]);
    let of_rule = |lines: &[Value]| lines.iter().find(|line| line["rule"] == "own/no-dig").cloned();
    assert!(of_rule(&then).is_some());
    assert_eq!(of_rule(&by_rules), of_rule(&then));
}
