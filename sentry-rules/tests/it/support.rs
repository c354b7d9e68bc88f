use std::sync::Arc;

use sentry_detect::{
    event::{Argv, Event, EventKind, File, OpenIntent, Path, PathSource, Process, Ring},
    finding::Ruled,
    run::{AgentIdentity, Input, Mode, ProcessKey, RunId},
};
use sentry_rules::{Judge, RuleSet, Source, Tally};

pub(crate) const START: u64 = 1_700_000_000_000_000_000;
pub(crate) const MS: u64 = 1_000_000;

pub(crate) fn source(text: &str) -> Source {
    Source { name: "own.yaml".to_owned(), text: text.to_owned() }
}

/// These entries of `rules:`, checked.
pub(crate) fn set(rules: &str) -> Arc<RuleSet> {
    let read = RuleSet::read(&[source(&format!("version: 1\nrules:\n{rules}"))]);
    Arc::new(read.unwrap_or_else(|wrong| panic!("{wrong:#?}")))
}

pub(crate) fn path(text: &str) -> Path {
    Path { text: text.to_owned(), source: PathSource::Kernel, truncated: false }
}

fn file(text: &str) -> File {
    File { path: path(text), key: None }
}

/// An event at so many ms.
pub(crate) fn event(sequence: u64, ms: u64, argv: &[&str], kind: EventKind) -> Event {
    let process = Process {
        key: ProcessKey { tgid: 7, start_boot_ns: 1 },
        tid: 7,
        parent: None,
        executable: Some(file(&format!("/usr/bin/{}", argv[0]))),
        argv: Some(Argv {
            arguments: argv.iter().map(|&argument| argument.to_owned()).collect(),
            truncated: false,
            full_length_bytes: 0,
        }),
        cwd: Some(path("/srv")),
        uid: Some(1000),
        gid: Some(1000),
        euid: Some(1000),
        pre_existing: false,
    };
    Event {
        id: format!("r-c-{sequence}"),
        run: Arc::new(RunId("r".to_owned())),
        agent: Arc::new(AgentIdentity { id: "a".to_owned(), name: "a".to_owned() }),
        ring: Ring::Critical,
        sequence,
        time_unix_ns: START + ms * MS,
        process: Arc::new(process),
        kind,
    }
}

pub(crate) fn exec(sequence: u64, ms: u64, argv: &[&str]) -> Event {
    event(sequence, ms, argv, EventKind::Exec { requested: None, script: None, by_thread: None })
}

pub(crate) fn read(sequence: u64, ms: u64, path: &str) -> Event {
    let intent =
        OpenIntent { read: true, write: false, truncate: false, append: false, path_only: false, raw: 0 };
    let kind = EventKind::Open { file: file(path), intent, created: false, attempt: false };
    event(sequence, ms, &["cat"], kind)
}

pub(crate) fn judge(set: &Arc<RuleSet>) -> Judge {
    Judge::new(set, "a", "r", &Arc::new(Tally::default())).unwrap()
}

/// Gives events one by one, and a reading after each.
pub(crate) fn judged(judge: &mut Judge, events: &[Event]) -> Vec<Ruled> {
    let mut all = Vec::new();
    for event in events {
        judge.input(&Input::Event { event, delivered: true }, Mode::Observe);
        all.extend(judge.due(event.time_unix_ns));
    }
    all
}
