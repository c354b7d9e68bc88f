//! Whole reports: of a run that was made up, and of real agents as the sensor recorded them. After
//! a wanted change: `UPDATE_GOLDEN=1`.

use std::{fs, path::PathBuf};

use prost::Message as _;
use sentry_proto::v1::{self, event::Kind, item::Item, outcome::Result as OutcomeResult};
use sentry_story::{Causes, Knowledge, Story};
use sentry_view::{Activity, Call, Finding, Report};

use super::*;
use crate::{
    out::plain,
    render::{
        finding::{Explained, explain, tests as samples},
        json::Origin,
    },
};

pub(crate) fn wire() -> v1::Report {
    let tally = |what: &str, count| v1::Tally { what: what.into(), count };
    v1::Report {
        run: Some(v1::Run {
            id: "0199aa".into(),
            agent: Some(v1::Agent { id: "demo".into(), name: "demo".into() }),
            state: v1::RunState::Ended.into(),
            started_unix_ns: 1_000_000_000,
            ended_unix_ns: Some(3_500_000_000),
            critical: Some(v1::RingBooks { generated: 10, delivered: 10, lost: 0, throttled: 0 }),
            bulk: Some(v1::RingBooks { generated: 90, delivered: 88, lost: 2, throttled: 0 }),
            execs: 3,
            processes_born: 4,
            processes_entered: 1,
            connects: 1,
            sends: 1,
            opens: 20,
            opens_for_write: 2,
            command: vec!["./agent.sh".into(), "a b".into()],
            ..v1::Run::default()
        }),
        programs: vec![tally("/bin/sh", 2), tally("/bin/\x1b[31mls", 1)],
        destinations: Vec::new(),
        files_changed: (0..14).map(|n| tally(&format!("/tmp/{n}"), 1)).collect(),
        findings: vec![samples::finding()],
        outcomes: vec![samples::kill(OutcomeResult::Applied)],
        complete: false,
        limits: vec!["file paths of failed calls".into()],
        sensitive: Vec::new(),
    }
}

#[test]
fn a_killed_run_says_so_first() {
    let text = plain(&text(&Origin::default().report(&wire()), Form::default())).unwrap();
    golden("killed", &text);
}

#[test]
fn an_empty_report_still_reads() {
    let text = plain(&super::text(&Report::default(), Form::default())).unwrap();
    assert!(text.contains("Findings  none") && text.contains("not complete"), "{text}");
}

#[test]
fn the_reports_of_real_agents_name_calls_files_secrets_and_what_was_left() {
    for agent in ["claude-code", "codex", "gemini"] {
        let report = recorded(agent);
        golden(agent, &plain(&text(&report, Form::default())).unwrap());
        let form = Form { calls: true, width: 120, ..Form::default() };
        golden(&format!("{agent}-calls"), &plain(&text(&report, form)).unwrap());
    }
}

#[test]
fn a_report_in_markdown_is_that_of_the_same_value() {
    golden("claude-code-markdown", &markdown(&recorded("claude-code")));
}

#[test]
fn equal_calls_in_a_row_are_one_row_unless_all_are_asked_for() {
    let command = |number: u32| if number == 13 { "/bin/seq 1" } else { "/bin/true" };
    let calls = (1..=20).map(|number| Call { number, command: command(number).into(), ..Call::default() });
    let activity = Some(Activity { calls: calls.collect(), ..Activity::default() });
    let report = Report { activity, ..Report::default() };
    let rows = |form| {
        let text = plain(&text(&report, form)).unwrap();
        let rows = text.lines().filter(|line| line.contains("/bin/") || line.contains("again"));
        rows.map(|row| row.trim_end().to_owned()).collect::<Vec<_>>()
    };
    let folded = rows(Form::default());
    assert_eq!(folded.len(), 5, "{folded:?}");
    assert!(folded[1].contains("again 11 times, up to call 12"), "{folded:?}");
    assert!(folded[4].contains("again 6 times, up to call 20"), "{folded:?}");
    assert_eq!(rows(Form { calls: true, ..Form::default() }).len(), 20);
}

#[test]
fn a_read_secret_is_explained_by_who_read_it_in_which_call() {
    let knowledge = Knowledge::built_in().unwrap();
    let items = items("claude-code");
    let is_read = |event: &&v1::Event| {
        let Some(Kind::Open(open)) = &event.kind else { return false };
        let path = open.file.as_ref().and_then(|file| file.path.as_ref());
        let program = event.process.as_ref().and_then(|process| process.executable.clone()?.path);
        path.is_some_and(|path| path.text.ends_with("/.aws/credentials"))
            && program.is_some_and(|program| program.text.ends_with("/cat"))
    };
    let events: Vec<&v1::Event> = items
        .iter()
        .filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        })
        .collect();
    let event = events.iter().copied().find(is_read).unwrap();
    let time_unix_ns = event.time_unix_ns + 30_000_000;
    let evidence = vec![event.id.clone()];
    let finding = Finding::from(&v1::Finding {
        rule: "secret-read".into(),
        summary: "/usr/bin/cat opened a file of cloud credentials".into(),
        since_unix_ns: event.time_unix_ns,
        time_unix_ns,
        evidence,
        ..samples::finding()
    });
    let mut causes = Causes::behind(&knowledge, &finding);
    events.iter().for_each(|event| causes.event(event));
    let cause = causes.finish();
    let events = vec![event.clone()];
    let explained = Explained { finding: Some(finding), cause, events, ..Explained::default() };
    golden("claude-code-explained", &plain(&explain(&explained)).unwrap());
}

/// A run as `sentry-story/tests/recorded` has it: its items, each behind its length.
fn items(agent: &str) -> Vec<Item> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sentry-story/tests/recorded");
    let bytes = zstd::decode_all(fs::File::open(folder.join(format!("{agent}.zst"))).unwrap()).unwrap();
    let (mut rest, mut items) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        items.extend(v1::Item::decode_length_delimited(&mut rest).unwrap().item);
    }
    items
}

fn recorded(agent: &str) -> Report {
    let knowledge = Knowledge::built_in().unwrap();
    let mut story = Story::new(&knowledge, &[]);
    let mut run = v1::Run::default();
    for item in items(agent) {
        match item {
            Item::Event(event) => story.event(&event),
            Item::Run(newer) => run = newer,
            _ => {}
        }
    }
    let wire = v1::Report { run: Some(run.clone()), complete: true, ..v1::Report::default() };
    Report { activity: Some(story.finish(&run.flows)), ..Origin::default().report(&wire) }
}

fn golden(name: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/render/report/golden/{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    assert!(text == expected, "{name} differs; UPDATE_GOLDEN=1 writes it:\n{text}");
}
