//! What a tape is made of: each input of the core but its events, which only are counted.

use sentry_detect::{
    decision::{Action, Outcome},
    finding::{Departed, Ruled},
    rule::Settings,
    run::{
        Account, AgentIdentity, Counted, Holds, Mode, ProcessKey, RINGS, RingBooks, RunId, Setup, State,
        Usage,
        machine::{Over, Recovered},
    },
};
use serde::{Deserialize, Serialize};

use crate::columns;

/// First bytes of steps.
pub(crate) mod tag {
    /// A reading 100 ms after the one before, of the same usage, with room.
    pub(crate) const SAME: u8 = 0;
    /// The same after 101 ms.
    pub(crate) const SAME_LATER: u8 = 1;
    pub(crate) const READING: u8 = 2;
    pub(crate) const COUNTED: u8 = 3;
    pub(crate) const EVENTS: u8 = 4;
    pub(crate) const UNDELIVERED: u8 = 5;
    pub(crate) const REFUSED: u8 = 6;
    pub(crate) const UNSEEN_END: u8 = 7;
    pub(crate) const FOUND: u8 = 8;
    pub(crate) const DRAINED: u8 = 9;
    pub(crate) const RARE: u8 = 10;
    pub(crate) const CUT: u8 = 11;
    pub(crate) const HOLDS: u8 = 12;
}

/// In a reading: there was no room for findings.
pub(crate) const NO_ROOM: u64 = 1;

/// Time between two readings, as a rule.
pub(crate) const PERIOD_MS: u64 = 100;

/// A step, read.
#[derive(Debug)]
pub(crate) enum Step {
    /// Events that have reached the journal.
    Events(u64),
    /// Events that have not, and are in no recording.
    Undelivered(u64),
    Reading {
        now_unix_ns: u64,
        usage: Usage,
        room: bool,
    },
    Counted(Counted),
    Refused([u64; RINGS]),
    UnseenEnd,
    Found,
    Drained,
    Rare {
        now_unix_ns: u64,
        rare: Box<Rare>,
    },
    /// The tape was full; what came behind is missing.
    Cut,
}

/// What happens seldom, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum Rare {
    Begin(Box<Begin>),
    Departed { departed: Departed },
    Ruled { ruled: Ruled },
    Order { action: Action, origin: String, reason: String },
    Outcome { outcome: Outcome, stopped: Vec<ProcessKey> },
    Settings { settings: Box<Settings>, mode: Mode },
    Recovered { frozen: bool, stopped: Vec<ProcessKey>, older: u64 },
    Over { released: bool },
    Closed { skipped: u64 },
}

/// How the machine was made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    id: RunId,
    id_prefix: String,
    agent: AgentIdentity,
    mode: Mode,
    owned: bool,
    settings: Settings,
    before: Option<Before>,
    cpu_usec: u64,
    cpu_wait_usec: u64,
    moved_bytes: u64,
    /// The columns of the counters in this tape.
    pub(crate) columns: Vec<String>,
}

/// An account, with its counters by name.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    state: State,
    ended_unix_ns: Option<u64>,
    rings: [[u64; 4]; RINGS],
    counts: Vec<(String, u64)>,
    findings: u64,
    interruptions: u32,
    skipped: u64,
    counted_boot_ns: u64,
    stopped: Vec<ProcessKey>,
}

impl Begin {
    pub(crate) fn new(setup: &Setup, usage: &Usage) -> Self {
        let Setup { id, id_prefix, agent, mode, owned, settings, before } = setup.clone();
        // What it held before it began is looked at anew.
        let Usage { cpu_usec, cpu_wait_usec, moved_bytes, holds: _ } = *usage;
        Self {
            id,
            id_prefix,
            agent,
            mode,
            owned,
            settings,
            before: before.map(Before::from),
            cpu_usec,
            cpu_wait_usec,
            moved_bytes,
            columns: columns::names().map(str::to_owned).collect(),
        }
    }

    /// Every number that is added up.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let before = self.before.iter().flat_map(|before| {
            let rings = before.rings.iter().flatten().copied();
            let counts = before.counts.iter().map(|(_, count)| *count);
            rings.chain(counts).chain([before.findings, before.skipped, before.interruptions.into()])
        });
        before.chain([self.cpu_usec, self.cpu_wait_usec, self.moved_bytes])
    }

    pub(crate) fn agent(&self) -> &str {
        &self.agent.name
    }

    pub(crate) fn into_setup(self) -> (Setup, Usage) {
        let Self { id, id_prefix, agent, mode, owned, settings, before, .. } = self;
        let usage = Usage {
            cpu_usec: self.cpu_usec,
            cpu_wait_usec: self.cpu_wait_usec,
            moved_bytes: self.moved_bytes,
            holds: Holds::default(),
        };
        let before = before.map(Account::from);
        (Setup { id, id_prefix, agent, mode, owned, settings, before }, usage)
    }
}

impl From<Account> for Before {
    fn from(account: Account) -> Self {
        let Account {
            state,
            ended_unix_ns,
            rings,
            counts,
            findings,
            interruptions,
            skipped,
            counted_boot_ns,
            stopped,
        } = account;
        let rings = rings.map(|RingBooks { generated, delivered, lost, throttled }| {
            [generated, delivered, lost, throttled]
        });
        Self {
            state,
            ended_unix_ns,
            rings,
            counts: columns::by_name(&counts),
            findings,
            interruptions,
            skipped,
            counted_boot_ns,
            stopped,
        }
    }
}

impl From<Before> for Account {
    fn from(before: Before) -> Self {
        let Before {
            state,
            ended_unix_ns,
            rings,
            counts,
            findings,
            interruptions,
            skipped,
            counted_boot_ns,
            stopped,
        } = before;
        let rings = rings.map(|[generated, delivered, lost, throttled]| RingBooks {
            generated,
            delivered,
            lost,
            throttled,
        });
        Self {
            state,
            ended_unix_ns,
            rings,
            counts: columns::counts(&counts),
            findings,
            interruptions,
            skipped,
            counted_boot_ns,
            stopped,
        }
    }
}

impl From<&Recovered> for Rare {
    fn from(recovered: &Recovered) -> Self {
        let Recovered { frozen, stopped, older } = recovered.clone();
        Self::Recovered { frozen, stopped, older }
    }
}

impl From<Over> for Rare {
    fn from(over: Over) -> Self {
        let released = match over {
            Over::Empty => false,
            Over::Released => true,
        };
        Self::Over { released }
    }
}
