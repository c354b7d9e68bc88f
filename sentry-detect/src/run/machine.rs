//! One run's life, step by step.

use super::{
    account::{Account, State},
    books::{Books, Counted, RINGS, RingBooks, Usage},
    fate::{Fate, Phase},
};
use crate::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    detector::RunDetector,
    event::Event,
    finding::{Departed, Finding, Reach, Ruled},
    identity::{AgentIdentity, Mode, ProcessKey, RunId},
    rule::Settings,
};

/// What a run is from its beginning on.
#[derive(Clone, Debug)]
pub struct Setup {
    pub id: RunId,
    /// What ids of findings and decisions begin with: the run, or for a later sensor life a mark of
    /// its own.
    pub id_prefix: String,
    pub agent: AgentIdentity,
    pub mode: Mode,
    /// The cgroup was made for the run.
    pub owned: bool,
    pub settings: Settings,
    /// What an earlier sensor life left.
    pub before: Option<Account>,
}

/// Something that happened to a run, or that somebody wants of it.
#[derive(Debug)]
pub enum Input<'a> {
    /// An event of it. `delivered`: its record has reached the journal's queue.
    Event { event: &'a Event, delivered: bool },
    /// Records that found no room behind the rings, by ring.
    Refused([u64; RINGS]),
    /// The kernel's counters, read after `began_boot_ns`.
    Counted { counted: Counted, began_boot_ns: u64 },
    /// Time for detection to look at the newest counters. `room`: somebody can take what is found;
    /// without it what holds is found at a later reading.
    Reading { usage: Usage, room: bool },
    /// The end of a process that no program was called for.
    UnseenEnd,
    /// A finding that was made elsewhere; it is counted.
    Found,
    /// It departs from what is normal for its agent.
    Departed(Departed),
    /// A rule of somebody's own holds.
    Ruled(Ruled),
    /// Somebody decided: a person here or at the collector.
    Order { action: Action, origin: String, reason: String },
    /// The outcome of a decision, and the members outside of the cgroup that stand still since.
    Outcome { outcome: &'a Outcome, stopped: Vec<ProcessKey> },
    /// Other thresholds, or another mode, hold from now on.
    Settings { settings: Settings, mode: Mode },
    /// It was taken up from an earlier sensor life.
    Recovered(Recovered),
    /// Nobody is left in it, or its watch ends on purpose.
    Over(Over),
    /// No record of it is under way any more.
    Drained,
    /// It is out of the kernel's tables. `skipped`: calls of programs that the kernel left out.
    Closed { skipped: u64 },
}

/// How an earlier sensor life's run was found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub frozen: bool,
    /// Those of the stopped members that live.
    pub stopped: Vec<ProcessKey>,
    /// Members that started before the earlier life last counted.
    pub older: u64,
}

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Nobody is in it now, whoever was when this was queued.
    Empty,
    /// Its processes live on, unwatched.
    Released,
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A finding, and what was decided on it, in the order to act in.
    Found { finding: Box<Finding>, decisions: Vec<Decision> },
    /// To be acted on.
    Decided(Decision),
    /// The run's processes live on, unwatched, and may stand still: no thaw was done.
    LeftFrozen,
    /// To be taken out of the kernel's tables.
    Close,
}

/// The earlier sensor lives of a run.
#[derive(Debug)]
struct Before {
    account: Account,
    /// Processes that were counted then, and again when they were found.
    found: u64,
    /// Processes that were counted then, and were not found any more.
    gone: u64,
}

/// How far the end has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    No,
    /// The last thaw is decided.
    Thawing {
        decision: String,
    },
    Closing,
    At {
        unix_ns: u64,
    },
}

/// One run.
pub struct RunMachine {
    detector: RunDetector,
    settings: Settings,
    fate: Fate,
    books: Books,
    before: Option<Before>,
    findings: u64,
    stopped: Vec<ProcessKey>,
    skipped: u64,
    end: End,
}

impl RunMachine {
    /// A run that begins, or is taken up, at `now_unix_ns`. `usage`: what its cgroup had used by
    /// then. This is the origin of all windows: what comes up to the first reading is its doing.
    #[must_use]
    pub fn new(setup: Setup, usage: &Usage, now_unix_ns: u64) -> Self {
        let Setup { id, id_prefix, agent, mode, owned, settings, before } = setup;
        let books = Books::default();
        let mut detector =
            RunDetector::new(id.clone(), agent, settings.clone(), now_unix_ns).with_id_prefix(&id_prefix);
        if !owned || before.is_some() {
            detector = detector.without_command();
        }
        detector.record(now_unix_ns, books.reading(usage));
        Self {
            detector,
            settings,
            fate: Fate::new(id, id_prefix, mode, owned),
            books,
            before: before.map(|account| Before { account, found: 0, gone: 0 }),
            findings: 0,
            stopped: Vec::new(),
            skipped: 0,
            end: End::No,
        }
    }

    /// Takes one input.
    pub fn step(&mut self, input: Input<'_>, now_unix_ns: u64) -> Vec<Output> {
        match input {
            Input::Event { event, delivered } => {
                self.detector.event(event);
                if delivered {
                    self.books.delivered(event.ring);
                }
            }
            Input::Refused(records) => self.books.refused(records),
            Input::Counted { counted, began_boot_ns } => self.books.counted(&counted, began_boot_ns),
            Input::Reading { usage, room } => return self.reading(&usage, room, now_unix_ns),
            Input::UnseenEnd => self.books.unseen_end(),
            Input::Found => self.findings += 1,
            Input::Departed(departed) => return self.departed(departed, now_unix_ns),
            Input::Ruled(ruled) => return self.ruled(ruled, now_unix_ns),
            Input::Order { action, origin, reason } => {
                return vec![Output::Decided(self.fate.by_hand(action, origin, reason, now_unix_ns))];
            }
            Input::Outcome { outcome, stopped } => return self.outcome(outcome, stopped),
            Input::Settings { settings, mode } => {
                if settings != self.settings {
                    self.detector.set(settings.clone(), now_unix_ns);
                    self.settings = settings;
                }
                if mode != self.fate.mode() {
                    // What was only observed may now be acted on.
                    self.detector.again();
                }
                self.fate.set_mode(mode);
            }
            Input::Recovered(recovered) => self.recovered(recovered),
            Input::Over(over) => return self.over(over, now_unix_ns),
            Input::Drained => self.books.drained(),
            Input::Closed { skipped } => {
                self.skipped = skipped;
                self.end = End::At { unix_ns: now_unix_ns };
            }
        }
        Vec::new()
    }

    /// The mode of decisions from now on.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.fate.mode()
    }

    /// Its thresholds.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.is_ended() { Phase::Ended } else { self.fate.phase() }
    }

    /// Where it stands for those who ask.
    #[must_use]
    pub fn state(&self) -> State {
        if self.is_ended() {
            State::Ended
        } else if self.fate.is_frozen() {
            State::Frozen
        } else {
            State::Running
        }
    }

    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.end, End::At { .. })
    }

    /// The books of this sensor life.
    #[must_use]
    pub fn rings(&self) -> [RingBooks; RINGS] {
        self.books.rings()
    }

    /// Every record that was counted is read or known to be missing.
    #[must_use]
    pub fn books_are_closed(&self) -> bool {
        self.books.are_closed()
    }

    /// Whether anybody has ever been in it.
    #[must_use]
    pub fn was_entered(&self) -> bool {
        let counts = self.books.counts();
        // Who was in one that was taken up may have gone before the kernel could count them.
        self.before.is_some() || counts.processes_born + counts.processes_entered > 0
    }

    /// What it comes to, over all sensor lives.
    #[must_use]
    pub fn account(&self) -> Account {
        let mut account = Account {
            state: self.state(),
            ended_unix_ns: match self.end {
                End::At { unix_ns } => Some(unix_ns),
                End::No | End::Thawing { .. } | End::Closing => None,
            },
            rings: self.books.rings(),
            counts: self.books.counts(),
            findings: self.findings,
            interruptions: 0,
            skipped: self.skipped,
            counted_boot_ns: self.books.counted_boot_ns(),
            stopped: self.stopped.clone(),
        };
        let Some(Before { account: before, found, gone }) = &self.before else { return account };
        account = account.after(before);
        let counts = &mut account.counts;
        counts.processes_entered = counts.processes_entered.saturating_sub(*found);
        counts.processes_ended += gone;
        account
    }

    fn reading(&mut self, usage: &Usage, room: bool, now_unix_ns: u64) -> Vec<Output> {
        self.fate.lives(self.books.signs_of_life());
        let counters = self.books.reading(usage);
        self.detector.holds(usage.holds);
        // A run that is over is not decided on any more.
        if !room || self.end != End::No {
            self.detector.record(now_unix_ns, counters);
            return Vec::new();
        }
        let findings = self.detector.reading(now_unix_ns, counters);
        self.findings += findings.len() as u64;
        let decided = findings.into_iter().map(|finding| {
            let decisions = self.fate.on_finding(&finding, Reach::Kill, &self.settings, now_unix_ns);
            Output::Found { finding: Box::new(finding), decisions }
        });
        decided.collect()
    }

    fn departed(&mut self, departed: Departed, now_unix_ns: u64) -> Vec<Output> {
        if self.end != End::No {
            return Vec::new();
        }
        let complete = self.books.reading(&Usage::default()).complete();
        let finding = self.detector.departed(departed, now_unix_ns, complete);
        self.found(finding, Reach::Kill, now_unix_ns)
    }

    fn ruled(&mut self, ruled: Ruled, now_unix_ns: u64) -> Vec<Output> {
        if self.end != End::No {
            return Vec::new();
        }
        let reach = ruled.reach;
        let complete = self.books.reading(&Usage::default()).complete();
        let finding = self.detector.ruled(ruled, now_unix_ns, complete);
        self.found(finding, reach, now_unix_ns)
    }

    fn found(&mut self, finding: Finding, reach: Reach, now_unix_ns: u64) -> Vec<Output> {
        self.findings += 1;
        let decisions = self.fate.on_finding(&finding, reach, &self.settings, now_unix_ns);
        vec![Output::Found { finding: Box::new(finding), decisions }]
    }

    fn outcome(&mut self, outcome: &Outcome, stopped: Vec<ProcessKey>) -> Vec<Output> {
        self.stopped = stopped;
        if self.fate.outcome(outcome, self.books.signs_of_life()) {
            // What came before an act says nothing about what comes now.
            self.detector.acted();
        } else if matches!(outcome.result, OutcomeKind::Failed { .. } | OutcomeKind::Refused { .. }) {
            self.detector.again();
        }
        if matches!(&self.end, End::Thawing { decision } if *decision == outcome.decision) {
            self.end = End::Closing;
            let left = self.fate.may_be_frozen().then_some(Output::LeftFrozen);
            return left.into_iter().chain([Output::Close]).collect();
        }
        Vec::new()
    }

    fn over(&mut self, over: Over, now_unix_ns: u64) -> Vec<Output> {
        if self.end != End::No {
            return Vec::new();
        }
        // Thaw first: once the run is gone nobody can thaw it by name.
        if over == Over::Released && self.fate.may_be_frozen() {
            let (origin, reason) =
                ("sensor:untag".to_owned(), "the watch ends and the processes live on".to_owned());
            let thaw = self.fate.by_hand(Action::Thaw, origin, reason, now_unix_ns);
            self.end = End::Thawing { decision: thaw.id.clone() };
            return vec![Output::Decided(thaw)];
        }
        self.end = End::Closing;
        vec![Output::Close]
    }

    /// Distinguishes the processes that the earlier life had counted from those that came since.
    fn recovered(&mut self, recovered: Recovered) {
        let Recovered { frozen, stopped, older } = recovered;
        if frozen {
            self.fate.found_frozen();
        }
        if let Some(Before { account, found, gone }) = &mut self.before {
            let counts = account.counts;
            let lived =
                (counts.processes_born + counts.processes_entered).saturating_sub(counts.processes_ended);
            // Beyond what was counted are some that were in no run then, and entered since.
            let known = lived.min(older);
            // The stopped ones were not counted again.
            *found = known.saturating_sub(stopped.len() as u64);
            *gone = lived - known;
        }
        self.stopped = stopped;
    }
}
