//! What a sensor does with one run: a machine, its tape, and a store of events.

use std::ops::Range;

use proptest::{option, prelude::*, sample};
use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    event::{Argv, Event, EventKind, File, Path, PathSource, Process, Ring},
    finding::Departed,
    rule::Settings,
    run::{
        AgentIdentity, Counted, Holds, Input, Mode, Output, ProcessKey, RunId, RunMachine, Setup, Usage,
        machine::Over,
    },
    runaway::{RunawaySignal, Severity},
};
use sentry_proto::v1::{self, item::Item};
use sentry_recording::{Encoder, Judged, Packed, Tape};

const MS: u64 = 1_000_000;
pub(crate) const RUN: &str = "0198c0de-0000-7000-8000-000000000001";

pub(crate) struct Sensor {
    life: String,
    machine: RunMachine,
    tape: Tape,
    now: u64,
    counted: Counted,
    usage: Usage,
    sequence: u64,
    pub(crate) undelivered: u64,
    pub(crate) stored: Vec<v1::Event>,
    /// Of the stored ones, those in whose place there is a Gap.
    pub(crate) lost: Range<usize>,
    pub(crate) parts: Vec<Packed>,
    pub(crate) judged: Vec<Judged>,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Execs(u8, u8),
    Undelivered(u8),
    Holds(Holds),
    Departed(f64),
    Reading(u64, u64),
    Order(Action),
    Settings(u64),
    Found,
    UnseenEnd,
    Refused(u8),
    Cut,
    Over,
}

impl Arbitrary for Act {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        let held = || option::of(0..1_u64 << 40);
        let holds = (held(), held(), held(), held()).prop_map(|held| Holds {
            looked_unix_ns: 0,
            memory_bytes: held.0,
            memory_limit_bytes: held.1,
            threads: held.2,
            descriptors: held.3,
        });
        let orders = sample::select(vec![Action::Freeze, Action::Thaw, Action::Kill]);
        prop_oneof![
            8 => (0..3_u8, 1..30_u8).prop_map(|(command, count)| Self::Execs(command, count)),
            16 => (0..2_000_u64, 0..400_000_u64).prop_map(|(ms, usec)| Self::Reading(ms, usec)),
            1 => (1..30_u8).prop_map(Self::Undelivered),
            8 => holds.prop_map(Self::Holds),
            1 => (0.0..1.0).prop_map(Self::Departed),
            1 => orders.prop_map(Self::Order),
            1 => (500..3_000_u64).prop_map(Self::Settings),
            1 => Just(Self::Found),
            1 => Just(Self::UnseenEnd),
            1 => any::<u8>().prop_map(Self::Refused),
            1 => Just(Self::Cut),
            1 => Just(Self::Over),
        ]
        .boxed()
    }
}

pub(crate) fn settings(json: &str) -> Settings {
    serde_json::from_str(json).unwrap()
}

impl Sensor {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::of_life(mode, RUN)
    }

    /// One that took the run up has another life.
    pub(crate) fn of_life(mode: Mode, life: &str) -> Self {
        let setup = Setup {
            id: RunId(RUN.to_owned()),
            id_prefix: life.to_owned(),
            agent: agent(),
            mode,
            owned: true,
            settings: Settings::default(),
            before: None,
        };
        let (now, usage) = (1_700_000_000_000 * MS, Usage::default());
        Self {
            life: life.to_owned(),
            tape: Tape::new(&setup, &usage, now),
            machine: RunMachine::new(setup, &usage, now),
            now,
            usage,
            counted: Counted::default(),
            sequence: 0,
            undelivered: 0,
            stored: Vec::new(),
            lost: 0..0,
            parts: Vec::new(),
            judged: Vec::new(),
        }
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Execs(command, count) => self.execs(&["/bin/tool", &command.to_string()], count.into()),
            Act::Undelivered(count) => self.undelivered(count.into()),
            Act::Holds(holds) => self.holds(holds),
            Act::Departed(confidence) => self.departed(confidence),
            Act::Reading(ms, usec) => self.reading(ms, usec),
            Act::Order(action) => self.order(action),
            Act::Settings(hold_ms) => self.set(settings(&format!(r#"{{"exec_loop_hold_ms": {hold_ms}}}"#))),
            Act::Found => drop(self.step(Input::Found)),
            Act::UnseenEnd => drop(self.step(Input::UnseenEnd)),
            Act::Refused(records) => drop(self.step(Input::Refused([records.into(), 0]))),
            Act::Cut => self.cut(),
            Act::Over => self.over(Over::Released),
        }
    }

    /// Executes a command, and has the kernel count that.
    pub(crate) fn execs(&mut self, command: &[&str], count: u64) {
        for _ in 0..count {
            self.sequence += 1;
            let event = event(&self.life, command, self.sequence, self.now);
            self.stored.push(v1::Event::from(&event));
            self.step(Input::Event { event: &event, delivered: true });
        }
        self.counted.counts.execs += count;
        self.counted.rings[0].generated += count;
    }

    /// Executes something that does not reach the journal.
    fn undelivered(&mut self, count: u64) {
        for _ in 0..count {
            self.sequence += 1;
            let event = event(&self.life, &["/bin/lost"], self.sequence, self.now);
            self.step(Input::Event { event: &event, delivered: false });
        }
        self.undelivered += count;
    }

    /// It is looked at now.
    pub(crate) fn holds(&mut self, holds: Holds) {
        self.usage.holds = Holds { looked_unix_ns: self.now, ..holds };
    }

    fn departed(&mut self, confidence: f64) {
        let signal = RunawaySignal {
            rule: "first-destination".to_owned().into(),
            confidence,
            severity: Severity::Low,
            summary: "a first time".to_owned(),
            arithmetic: Vec::new(),
        };
        let departed = Departed { signal, since_unix_ns: self.now, event: None, tags: Vec::new() };
        self.given(Input::Departed(departed));
    }

    /// After `ms`, in which it has used `usec` of CPU time.
    pub(crate) fn reading(&mut self, ms: u64, usec: u64) {
        self.now += ms * MS;
        self.usage.cpu_usec += usec;
        let (counted, usage) = (self.counted, self.usage);
        self.step(Input::Counted { counted, began_boot_ns: self.now });
        self.given(Input::Reading { usage, room: ms % 5 != 1 });
    }

    pub(crate) fn order(&mut self, action: Action) {
        let order = Input::Order { action, origin: "user:0".to_owned(), reason: "test".to_owned() };
        self.given(order);
    }

    pub(crate) fn over(&mut self, over: Over) {
        self.given(Input::Over(over));
    }

    fn given(&mut self, input: Input<'_>) {
        for output in self.step(input) {
            match output {
                Output::Found { finding, decisions } => {
                    self.judged.push(Judged::Found { finding, decisions: decisions.clone() });
                    decisions.iter().for_each(|decision| self.acted(decision));
                }
                Output::Decided(decision) => {
                    self.judged.push(Judged::Ordered(decision.clone()));
                    self.acted(&decision);
                }
                Output::LeftFrozen | Output::Close => {}
            }
        }
    }

    pub(crate) fn set(&mut self, settings: Settings) {
        let mode = self.machine.mode();
        self.step(Input::Settings { settings, mode });
    }

    fn acted(&mut self, decision: &Decision) {
        let result = match decision.mode {
            Mode::Observe => OutcomeKind::WouldApply,
            Mode::Enforce => OutcomeKind::Applied,
        };
        let outcome = Outcome {
            decision: decision.id.clone(),
            run: decision.run.clone(),
            action: decision.action,
            result,
            time_unix_ns: self.now,
            took_ns: 5,
            processes: 1,
            survivors: 0,
        };
        self.step(Input::Outcome { outcome: &outcome, stopped: Vec::new() });
    }

    fn step(&mut self, input: Input<'_>) -> Vec<Output> {
        self.tape.input(&input, self.now);
        self.machine.step(input, self.now)
    }

    pub(crate) fn cut(&mut self) {
        self.parts.extend(self.tape.take().map(|part| part.pack().unwrap()));
    }

    pub(crate) fn cut_if_due(&mut self) {
        if self.tape.is_due() {
            self.cut();
        }
    }

    /// The file of a recording, with what was found and decided.
    pub(crate) fn recorded(&mut self) -> Vec<u8> {
        let ended = self.now;
        recorded(&mut [self], Some(ended))
    }
}

/// The file of a recording of one run by these lives of a sensor; it lives where it has no end.
pub(crate) fn recorded(lives: &mut [&mut Sensor], ended_unix_ns: Option<u64>) -> Vec<u8> {
    let mut encoder = Encoder::new().unwrap();
    let run = v1::Run { id: RUN.to_owned(), ended_unix_ns, ..v1::Run::default() };
    let mut bytes = encoder.begin("0.0.0");
    bytes.extend(encoder.item(&v1::Item { item: Some(Item::Run(run)) }));
    for life in lives.iter_mut() {
        life.cut();
        life.parts.iter().for_each(|part| bytes.extend(encoder.part(part)));
    }
    for life in lives.iter() {
        let Range { start, end } = life.lost.clone();
        bytes.extend(encoder.events(&life.stored[..start]).unwrap());
        if start < end {
            let items_by_run = [(RUN.to_owned(), (end - start) as u64)].into();
            let gap = v1::Gap { items_by_run, ..v1::Gap::default() };
            bytes.extend(encoder.item(&v1::Item { item: Some(Item::Gap(gap)) }));
        }
        bytes.extend(encoder.events(&life.stored[end..]).unwrap());
        life.judged.iter().flat_map(items).for_each(|item| bytes.extend(encoder.item(&item)));
    }
    bytes.extend(encoder.end());
    bytes
}

fn items(judged: &Judged) -> Vec<v1::Item> {
    let (finding, decisions) = match judged {
        Judged::Found { finding, decisions } => (Some(finding), decisions.as_slice()),
        Judged::Ordered(decision) => (None, std::slice::from_ref(decision)),
    };
    let finding = finding.map(|finding| Item::Finding(v1::Finding::from(&**finding)));
    let decisions = decisions.iter().map(|decision| Item::Decision(v1::Decision::from(decision)));
    finding.into_iter().chain(decisions).map(|item| v1::Item { item: Some(item) }).collect()
}

fn agent() -> AgentIdentity {
    AgentIdentity { id: "demo".to_owned(), name: "demo".to_owned() }
}

fn event(life: &str, command: &[&str], sequence: u64, now: u64) -> Event {
    let path = Path { text: command[0].to_owned(), source: PathSource::Kernel, truncated: false };
    let argv = Argv {
        arguments: command.iter().map(|&argument| argument.to_owned()).collect(),
        truncated: false,
        full_length_bytes: command.iter().map(|argument| argument.len() as u64 + 1).sum(),
    };
    let process = Process {
        key: ProcessKey { tgid: 7, start_boot_ns: sequence },
        tid: 7,
        parent: None,
        executable: Some(File { path, key: None }),
        argv: Some(argv),
        cwd: None,
        uid: None,
        gid: None,
        euid: None,
        pre_existing: false,
    };
    Event {
        id: format!("{life}-c-{sequence}"),
        run: RunId(RUN.to_owned()).into(),
        agent: agent().into(),
        ring: Ring::Critical,
        sequence,
        time_unix_ns: now,
        process: process.into(),
        kind: EventKind::Exec { requested: None, script: None, by_thread: None },
    }
}
