//! Fills a journal with made-up runs, to measure how long reading takes: `fill DIR RUNS EVENTS`,
//! with so many events for each run. `docs/performance.md` says how it is used.

use std::{path::Path, process::ExitCode};

use sentry_agent::journal::{Journal, JournalError, Limits};
use sentry_proto::v1::{self, event::Kind, item::Item};

/// Events between two of another process.
const OF_ONE: u64 = 50;
/// Different files that a run opens.
const FILES: u64 = 2_000;
const SECOND: u64 = 1_000_000_000;
/// When the first run begins, Unix ns.
const START: u64 = 1_764_000_000 * SECOND;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = |text: &String| text.parse::<u64>().ok();
    let [dir, runs, events] = arguments.as_slice() else { return usage() };
    let (Some(runs), Some(events)) = (numbers(runs), numbers(events)) else { return usage() };
    match fill(Path::new(dir), runs, events) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fill: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: fill DIR RUNS EVENTS");
    ExitCode::from(64)
}

fn fill(dir: &Path, runs: u64, events: u64) -> Result<(), JournalError> {
    let limits = Limits { spool_bytes: 8 << 30, keep_bytes: 8 << 30 };
    let mut journal = Journal::open(&dir.join("journal.db"), limits)?;
    for number in 0..runs {
        let run = format!("{number:08x}-0000-7000-8000-000000000000");
        let start = START + number * 60 * SECOND;
        let item = |item| v1::Item { item: Some(item) };
        let ended = v1::Run {
            id: run.clone(),
            agent: Some(agent(number)),
            state: v1::RunState::Ended.into(),
            started_unix_ns: start,
            ended_unix_ns: Some(start + 60 * SECOND),
            command: vec!["claude".to_owned(), "-p".to_owned(), "do it".to_owned()],
            ..v1::Run::default()
        };
        let running = v1::Run { state: v1::RunState::Running.into(), ended_unix_ns: None, ..ended.clone() };
        journal.append(&[item(Item::Run(running))])?;
        let made: Vec<v1::Item> =
            (0..events).map(|n| item(Item::Event(event(&run, number, n, start)))).collect();
        journal.append(&made)?;
        let finding = v1::Finding {
            id: format!("{run}-f-1"),
            run: run.clone(),
            agent: Some(agent(number)),
            time_unix_ns: start + 50 * SECOND,
            since_unix_ns: start + 48 * SECOND,
            rule: "exec-loop".to_owned(),
            summary: "made up".to_owned(),
            evidence: vec![format!("{run}-b-{}", events / 2), format!("{run}-b-{}", events / 2 + 1)],
            ..v1::Finding::default()
        };
        journal.append(&[item(Item::Finding(finding)), item(Item::Run(ended))])?;
        let last = journal.last_seq();
        journal.release(last)?;
    }
    journal.close()
}

fn agent(number: u64) -> v1::Agent {
    let name = format!("agent-{}", number % 10);
    v1::Agent { id: name.clone(), name }
}

/// Opens, and every so often a process that begins.
fn event(run: &str, number: u64, n: u64, start: u64) -> v1::Event {
    let pid = 1_000 + n / OF_ONE;
    let words = ["bash", "-c", &format!("step {pid}")].map(str::to_owned).to_vec();
    let process = v1::Process {
        key: Some(v1::ProcessKey { tgid: pid as u32, start_boot_ns: pid }),
        tid: pid as u32,
        parent: Some(v1::ProcessKey { tgid: 999, start_boot_ns: 1 }),
        executable: file("/usr/bin/bash"),
        argv: Some(v1::Argv { arguments: words, ..v1::Argv::default() }),
        cwd: path("/srv/project"),
        uid: Some(1_000),
        ..v1::Process::default()
    };
    let kind = if n.is_multiple_of(OF_ONE) {
        Kind::Exec(v1::Exec::default())
    } else {
        let text = format!("/srv/project-{number}/src/module-{}/file.rs", n * 7_919 % FILES);
        let intent = Some(v1::OpenIntent { read: true, ..v1::OpenIntent::default() });
        Kind::Open(v1::Open { file: file(&text), intent, ..v1::Open::default() })
    };
    v1::Event {
        id: format!("{run}-b-{n}"),
        run: run.to_owned(),
        agent: Some(agent(number)),
        ring: v1::event::Ring::Bulk.into(),
        sequence: n,
        time_unix_ns: start + n * 60 * SECOND / 10_000,
        process: Some(process),
        kind: Some(kind),
    }
}

fn file(text: &str) -> Option<v1::File> {
    Some(v1::File { path: path(text), key: None })
}

fn path(text: &str) -> Option<v1::Path> {
    Some(v1::Path { text: text.to_owned(), ..v1::Path::default() })
}
