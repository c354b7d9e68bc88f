//! A run's life, written down act by act: keeps the kernel's counters and the events in step.

use sentry_detect::{
    act::FileAct,
    aggregate::counters::Counters,
    detector::RunDetector,
    event::{Argv, Endpoint, Event, EventKind, File, OpenIntent, Path, PathSource, Process, Ring},
    finding::Finding,
    rule::settings::{Limits, Settings},
    run::{AgentIdentity, ProcessKey, RunId},
};
use serde::{Deserialize, Serialize};

pub(crate) const MS: u64 = 1_000_000;
/// When every trace begins.
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// What a detector takes, one line of a recorded trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub(crate) enum Input {
    Event { event: Box<Event> },
    Reading { now_unix_ns: u64, counters: Counters },
}

pub(crate) fn run_id() -> RunId {
    RunId("0198c0de-0000-7000-8000-000000000001".to_owned())
}

pub(crate) fn agent() -> AgentIdentity {
    AgentIdentity { id: "demo".to_owned(), name: "demo".to_owned() }
}

#[expect(clippy::panic, reason = "a failed test may panic")]
pub(crate) fn settings(change: impl FnOnce(&mut Limits)) -> Settings {
    let mut limits = Limits::default();
    change(&mut limits);
    Settings::new(limits).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn detector(settings: Settings) -> RunDetector {
    RunDetector::new(run_id(), agent(), settings, START).without_command()
}

/// Feeds a trace and returns all findings.
pub(crate) fn findings(settings: Settings, inputs: &[Input]) -> Vec<Finding> {
    feed(&mut detector(settings), inputs)
}

pub(crate) fn feed(detector: &mut RunDetector, inputs: &[Input]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for input in inputs {
        match input {
            Input::Event { event } => detector.event(event),
            Input::Reading { now_unix_ns, counters } => {
                findings.extend(detector.reading(*now_unix_ns, *counters));
            }
        }
    }
    findings
}

/// Milliseconds from the start of the trace to a finding.
pub(crate) fn at_ms(finding: &Finding) -> u64 {
    (finding.time_unix_ns - START) / MS
}

pub(crate) struct Trace {
    pub(crate) inputs: Vec<Input>,
    pub(crate) counters: Counters,
    pub(crate) now: u64,
    sequences: [u64; 2],
    next_tgid: u32,
}

impl Trace {
    pub(crate) fn new() -> Self {
        let mut trace = Self {
            inputs: Vec::new(),
            counters: Counters::default(),
            now: START,
            sequences: [0; 2],
            next_tgid: 1000,
        };
        trace.read(0);
        trace
    }

    /// Lets time pass with `cores` in use, then takes a reading.
    pub(crate) fn pass(&mut self, ms: u64, cores: f64) {
        self.counters.cpu_usec += (cores * ms as f64 * 1000.0) as u64;
        self.read(ms);
    }

    fn read(&mut self, ms: u64) {
        self.now += ms * MS;
        self.inputs.push(Input::Reading { now_unix_ns: self.now, counters: self.counters });
    }

    pub(crate) fn fork(&mut self) {
        self.counters.tasks_born += 1;
        self.counters.processes_born += 1;
        self.next_tgid += 1;
        let child = self.key();
        self.event(Ring::Critical, EventKind::Fork { child }, &[]);
    }

    /// Of the newest process; one that is born later starts later.
    fn key(&self) -> ProcessKey {
        let start_boot_ns = self.now - START + u64::from(self.next_tgid);
        ProcessKey { tgid: self.next_tgid, start_boot_ns }
    }

    /// `command`: the program's path, then its arguments.
    pub(crate) fn exec(&mut self, command: &[&str]) {
        self.counters.execs += 1;
        self.event(
            Ring::Critical,
            EventKind::Exec { requested: None, script: None, by_thread: None },
            command,
        );
    }

    pub(crate) fn exit(&mut self) {
        self.exit_with(0, &[]);
    }

    pub(crate) fn exit_with(&mut self, code: u32, command: &[&str]) {
        self.counters.processes_ended += 1;
        self.event(Ring::Critical, EventKind::Exit { code: Some(code), signal: None }, command);
    }

    /// A child that runs a command to its end.
    pub(crate) fn spawn(&mut self, command: &[&str]) {
        self.fork();
        self.exec(command);
        self.exit();
    }

    /// A child that runs a command which fails.
    pub(crate) fn fail(&mut self, command: &[&str], code: u32) {
        self.fork();
        self.exec(command);
        self.exit_with(code, command);
    }

    pub(crate) fn open(&mut self, path: &str) {
        self.open_for(path, false);
    }

    /// Closes a file that was written.
    pub(crate) fn change(&mut self, path: &str) {
        let kind = EventKind::File {
            act: FileAct::CloseWritten,
            file: Some(file(path)),
            new_path: None,
            detail: 100,
            text: None,
            attempt: false,
            error: None,
        };
        self.event(Ring::Bulk, kind, &[]);
    }

    /// Opens a new file for writing.
    pub(crate) fn create(&mut self, path: &str) {
        self.counters.creates += 1;
        self.counters.opens_for_write += 1;
        self.open_for(path, true);
    }

    fn open_for(&mut self, path: &str, write: bool) {
        self.counters.opens += 1;
        let intent =
            OpenIntent { read: !write, write, truncate: false, append: false, path_only: false, raw: 0 };
        let kind = EventKind::Open { file: file(path), intent, created: write, attempt: false };
        self.event(Ring::Bulk, kind, &[]);
    }

    pub(crate) fn connect(&mut self, address: [u8; 4]) {
        self.counters.connects += 1;
        let destination = Endpoint { address: address.into(), port: 443, protocol: 6 };
        self.event(Ring::Bulk, EventKind::Connect { destination }, &[]);
    }

    pub(crate) fn event(&mut self, ring: Ring, kind: EventKind, command: &[&str]) {
        let key = self.key();
        let sequence = &mut self.sequences[ring as usize];
        *sequence += 1;
        let letter = if ring == Ring::Critical { 'c' } else { 'b' };
        let argv = Argv {
            arguments: command.iter().map(|&argument| argument.to_owned()).collect(),
            truncated: false,
            full_length_bytes: command.iter().map(|argument| argument.len() as u64 + 1).sum(),
        };
        let process = Process {
            key,
            tid: self.next_tgid,
            parent: None,
            executable: command.first().map(|&path| file(path)),
            argv: (!command.is_empty()).then_some(argv),
            cwd: None,
            uid: None,
            gid: None,
            euid: None,
            pre_existing: false,
        };
        let event = Box::new(Event {
            id: format!("{}-{letter}-{sequence}", run_id()),
            run: run_id().into(),
            agent: agent().into(),
            ring,
            sequence: *sequence,
            time_unix_ns: self.now,
            process: process.into(),
            kind,
        });
        self.inputs.push(Input::Event { event });
    }
}

pub(crate) fn file(path: &str) -> File {
    File { path: Path { text: path.to_owned(), source: PathSource::Kernel, truncated: false }, key: None }
}
