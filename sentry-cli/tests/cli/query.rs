//! Commands that ask and act: what they print and how they end.

use std::process::{Command, Output, Stdio};

use sentry_proto::v1::{self, outcome::Result as OutcomeResult};

use super::{
    answers,
    server::{Asked, Script, Sensor},
};

fn sentry(sensor: &Sensor, arguments: &[&str]) -> (i32, String, String) {
    split(&sensor.sentry(arguments).output().unwrap())
}

fn split(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn full() -> Sensor {
    Sensor::with(Script {
        items: vec![answers::event("r"), answers::finding("r"), answers::decision("r", "detector:cpu-spin")],
        runs: vec![v1::Run { id: "r".into(), ..v1::Run::default() }],
        status: v1::StatusReply {
            health: "serving".into(),
            sensor: "host-1".into(),
            ..v1::StatusReply::default()
        },
        ..Script::default()
    })
}

#[test]
fn json_is_one_ocsf_object_per_line() {
    let sensor = full();
    for (command, class) in [("events", 1007), ("findings", 2004)] {
        let (code, out, _) = sentry(&sensor, &[command, "--json"]);
        assert_eq!(code, 0);
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{out}");
        assert_eq!(lines[0]["class_uid"], class);
        sentry_proto::ocsf::check(&lines[0]).unwrap();
        assert!(out.contains("host-1"), "{out}");
    }
    let (_, out, _) = sentry(&sensor, &["agents", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["id"], "r");
}

#[test]
fn filters_are_the_sensors_business() {
    let sensor = full();
    let (code, out, _) =
        sentry(&sensor, &["events", "--agent", "a", "--run", "r", "--follow", "--limit", "5"]);
    assert_eq!(code, 0);
    assert!(out.contains("exec"), "{out}");
    let asked = sensor.asked();
    let Asked::Items(request) = &asked[0] else { unreachable!("{asked:?}") };
    assert_eq!((request.agent.as_deref(), request.run.as_deref()), (Some("a"), Some("r")));
    assert_eq!((request.follow, request.limit), (true, 5));
    assert_eq!(request.kinds, [i32::from(v1::ItemKind::Event), i32::from(v1::ItemKind::Gap)]);
}

#[test]
fn a_finding_is_explained_from_either_end() {
    let sensor = full();
    for id in ["r-f-1", "r-d-2"] {
        let (code, out, _) = sentry(&sensor, &["explain", id]);
        assert_eq!(code, 0, "{out}");
        assert!(out.contains("cpu-spin") && out.contains("1 event, 1 still kept"), "{out}");
        assert!(out.contains("kill (observe) by detector:cpu-spin"), "{out}");
    }
    let (code, out, _) = sentry(&sensor, &["explain", "--json", "r-f-1"]);
    assert_eq!((code, out.lines().count()), (0, 4), "finding, cause, event, decision: {out}");
}

#[test]
fn an_event_is_explained_by_who_did_it_and_what_was_found_by_it() {
    let sensor = full();
    let (code, out, _) = sentry(&sensor, &["explain", "r-c-1"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("exec") && out.contains("Findings (1) that have it as evidence"), "{out}");
    let (code, out, _) = sentry(&sensor, &["explain", "--json", "r-c-1"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value["type"], &value["id"]), (0, &"explained_event".into(), &"r-c-1".into()));
    sentry_proto::ocsf::check(&value["event"]).unwrap();
    assert_eq!(value["findings"][0]["class_uid"], 2004);
}

#[test]
fn unknown_ambiguous_and_not_kept_any_more_are_three_errors() {
    let events = [1, 10].map(|number| {
        let id = format!("r-c-{number}");
        v1::item::Item::Event(v1::Event { id, run: "r".into(), ..v1::Event::default() })
    });
    let run = |lost| v1::Run {
        id: "r".into(),
        findings: 2,
        critical: Some(v1::RingBooks { generated: 12, lost, ..v1::RingBooks::default() }),
        ..v1::Run::default()
    };
    let of = |lost, id: &str| {
        let script = Script { items: events.to_vec(), runs: vec![run(lost)], ..Script::default() };
        let (code, out, err) = sentry(&Sensor::with(script), &["explain", id]);
        assert_eq!((code, out.as_str()), (66, ""), "{err}");
        err
    };
    let kept = "the sensor deletes the oldest when its history is full (`journal.keep_bytes` in the \
                configuration); a collector may still have it";
    assert_eq!(
        of(0, "r-c-13"),
        "sentry: there is no event `r-c-13`: the run has none of that number; `sentry events --format long` \
         shows the ids of events\n"
    );
    assert_eq!(
        of(0, "r-c-"),
        "sentry: `r-c-` is the beginning of more than one event, such as r-c-1 and r-c-10; give more of it\n"
    );
    assert_eq!(of(0, "r-c-7"), format!("sentry: event `r-c-7` is not kept any more: {kept}\n"));
    assert!(
        of(1, "r-c-7").contains("`r-c-7` is not kept any more: it is one of the records that the run lost")
    );
    assert_eq!(
        of(0, "r-f-9"),
        "sentry: there is no finding or decision `r-f-9`: `sentry findings` lists the findings\n"
    );
    assert_eq!(of(0, "r-f-2"), format!("sentry: finding or decision `r-f-2` is not kept any more: {kept}\n"));
}

#[test]
fn an_agent_is_explained_by_its_newest_finding() {
    let sensor = full();
    let (code, out, _) = sentry(&sensor, &["explain", "looper"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("r-f-1"), "{out}");
    let is_of_agent = |asked: &Asked| match asked {
        Asked::Items(request) => request.run.as_deref() == Some("looper"),
        _ => false,
    };
    assert!(sensor.asked().iter().any(is_of_agent), "the sensor knows whose runs are meant");
}

#[test]
fn an_agent_in_which_nothing_was_found_is_explained_by_its_standing() {
    let point =
        v1::TrustPoint { what: "active within the last hour".into(), points: 10.0, ..Default::default() };
    let standing = v1::Standing {
        agent: "quiet".into(),
        score: 79.5,
        band: "WATCH".into(),
        points: vec![point],
        ..v1::Standing::default()
    };
    let agent = v1::Agent { id: "quiet".into(), name: "quiet".into() };
    let run = v1::Run { id: "r".into(), agent: Some(agent), ..v1::Run::default() };
    let sensor = Sensor::with(Script { standings: vec![standing], runs: vec![run], ..Script::default() });
    let (code, out, err) = sentry(&sensor, &["explain", "quiet"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "Trust in quiet: 79.5 of 100, WATCH\n\n   +10.00  active within the last hour\n"),
        "{err}"
    );
    let (_, out, _) = sentry(&sensor, &["explain", "quiet", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&line["type"], &line["score"]), (&"standing".into(), &79.5.into()));
    let (_, out, _) = sentry(&sensor, &["agents"]);
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
        .collect();
    assert_eq!((lines[0][6], lines[1][6]), ("TRUST", "79 WATCH"), "{out}");
}

#[test]
fn an_act_succeeds_only_when_it_was_applied() {
    for (result, expected) in
        [(OutcomeResult::Applied, 0), (OutcomeResult::Failed, 2), (OutcomeResult::Refused, 2)]
    {
        let outcome = answers::kill("r", result);
        let act = v1::ActReply { decision: None, outcome: Some(outcome) };
        let sensor = Sensor::with(Script { act, ..Script::default() });
        let (code, _, _) = sentry(&sensor, &["kill", "r", "--reason", "why"]);
        assert_eq!(code, expected);
        let action = v1::Action::Kill.into();
        let request = v1::ActRequest { target: "r".into(), action, reason: "why".into() };
        assert_eq!(sensor.asked(), [Asked::Act(request)]);
    }
}

#[test]
fn health_is_in_the_code() {
    assert_eq!(sentry(&full(), &["health"]).0, 0);
    assert_eq!(sentry(&Sensor::new(), &["health", "--json"]).0, 1);
}

#[test]
fn metrics_are_text_or_json() {
    let expected = "# HELP s_findings Findings.\n# TYPE s_findings counter\n\
                    s_findings_total{rule=\"exec-loop\"} 3\n# EOF\n";
    assert_eq!(sentry(&Sensor::new(), &["metrics"]), (0, expected.into(), String::new()));
    let (code, json, _) = sentry(&Sensor::new(), &["metrics", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let samples = serde_json::json!([
        {"name": "s_findings_total", "labels": {"rule": "exec-loop"}, "value": 3.0}
    ]);
    let family = serde_json::json!({
        "name": "s_findings_total", "kind": "counter", "help": "Findings.", "samples": samples
    });
    assert_eq!((code, &value), (0, &serde_json::json!({"type": "metrics", "families": [family]})));
}

#[test]
fn refusals_are_passed_on_word_by_word() {
    let sensor = Sensor::with(Script { refuse: Some("you belong to run x"), ..Script::default() });
    assert_eq!(sentry(&sensor, &["events"]), (77, String::new(), "sentry: you belong to run x\n".into()));
    let (code, _, err) = sentry(&sensor, &["tag", "/x", "--name", "n"]);
    assert_eq!((code, err.as_str()), (66, "sentry: cgroup /x does not exist any more\n"));
}

#[test]
fn a_sensor_that_is_not_there_is_69_and_a_wrong_line_64() {
    let sensor = Sensor::new();
    let nobody = sensor.dir().join("nobody.sock");
    for command in ["agents", "events", "findings", "health"] {
        let output = sensor.sentry(&[command, "--socket"]).arg(&nobody).output().unwrap();
        let (code, _, err) = split(&output);
        assert_eq!(code, 69);
        assert!(err.contains("start it with `sentry sensor` or `systemctl start agentsentry`"), "{err}");
    }
    assert_eq!(sentry(&sensor, &["nonsense"]).0, 64);
    assert_eq!(sentry(&sensor, &["run"]).0, 64);
    let (code, out, _) = sentry(&sensor, &["--help"]);
    assert!(code == 0 && out.contains("Exit codes:"), "{out}");
}

#[test]
fn top_without_a_terminal_names_what_prints_the_same() {
    let output = Command::new(env!("CARGO_BIN_EXE_sentry")).arg("top").stdin(Stdio::null()).output().unwrap();
    let said =
        "sentry: `sentry top` needs a terminal to draw on; `sentry agents --json` prints the same runs\n";
    assert_eq!(split(&output), (64, String::new(), said.to_owned()));
}

#[test]
fn a_socket_that_is_not_yours_is_77_and_says_which_group() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root, cannot become somebody else");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let sensor = Sensor::new();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(sensor.dir(), open).unwrap();
    std::fs::set_permissions(sensor.socket(), std::fs::Permissions::from_mode(0o660)).unwrap();
    // A copy that anybody may execute, wherever the build directory is.
    let copy = sensor.dir().join("sentry");
    std::fs::copy(env!("CARGO_BIN_EXE_sentry"), &copy).unwrap();
    let mut command = Command::new(copy);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    let output = command.args(["agents", "--socket"]).arg(sensor.socket()).current_dir("/").output().unwrap();
    let (code, _, err) = split(&output);
    assert_eq!(code, 77, "{err}");
    assert!(
        err.contains("you are not in group agentsentry") && err.contains("usermod -aG agentsentry nobody"),
        "{err}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let sensor = Sensor::with(Script { items: vec![answers::event("r"); 5000], ..Script::default() });
    let script =
        format!("{} events --limit 0 | head -n 1; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_sentry"));
    let output = Command::new("bash")
        .args(["-c", &script])
        .env("AGENTSENTRY_SOCKET", sensor.socket())
        .output()
        .unwrap();
    let (_, out, err) = split(&output);
    assert_eq!((out.lines().last(), err.as_str()), (Some("0"), ""));
}

#[test]
fn configuration_is_checked_without_a_sensor() {
    let sensor = Sensor::new();
    let (code, example, _) = sentry(&sensor, &["config", "example"]);
    assert_eq!(code, 0);
    let file = sensor.dir().join("c.yaml");
    std::fs::write(&file, example).unwrap();
    let path = file.to_str().unwrap();
    let (code, out, _) = sentry(&sensor, &["config", "check", path]);
    assert!(code == 0 && out.contains("is valid"), "{out}");
    std::fs::write(&file, "version: 1\nrungs: {}\n").unwrap();
    let (code, _, err) = sentry(&sensor, &["config", "check", path]);
    assert_eq!(code, 78);
    assert!(err.contains("c.yaml:2:1: unknown field `rungs`"), "{err}");
    let (code, out, _) = sentry(&sensor, &["config", "check", "--json", path]);
    assert!(code == 78 && out.contains("\"valid\":false"), "{out}");
    assert!(out.contains("\"line\":2") && out.contains("did you mean `rings`?"), "{out}");
    assert_eq!(sentry(&sensor, &["config", "check", "/nonexistent.yaml"]).0, 66);
    assert_eq!(sentry(&sensor, &["config", "check", "--config", "/nonexistent.yaml"]).0, 66);
    // The default file is not there on a machine that builds.
    if !std::path::Path::new("/etc/agentsentry/config.yaml").exists() {
        let (code, out, err) = sentry(&sensor, &["config", "check"]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(
            out.starts_with("there is no /etc/agentsentry/config.yaml; the defaults hold\nsensor.id: "),
            "{out}"
        );
    }
}
