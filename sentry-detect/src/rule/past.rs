//! What several rules look back on.

use crate::aggregate::{
    acts::{Acts, Sort},
    counters::Counters,
    holds::Holds,
    window::Readings,
};

/// An act that is counted by the kernel, and the fingerprint of its object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) sort: Sort,
    pub(crate) object: u64,
}

/// The newest readings of a run, and what its acts met.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) readings: Readings,
    /// Over the hold time.
    pub(crate) acts: Acts,
    /// The time that CPU use, or the rate of calls, has to last, ms.
    pub(crate) hold_ms: u64,
    /// The run was made for a command, from whose beginning on it is known.
    pub(crate) has_command: bool,
    /// What it holds now.
    pub(crate) holds: Holds,
}

impl Past {
    pub(crate) fn new(looks_back_ms: u64, hold_ms: u64, now_unix_ns: u64) -> Self {
        Self {
            readings: Readings::new(ns(looks_back_ms)),
            acts: Acts::new(ns(hold_ms), now_unix_ns),
            hold_ms,
            has_command: true,
            holds: Holds::default(),
        }
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.acts.add(act.sort, act.object);
    }

    /// Takes a reading; false when it is not later than the newest, and then it changes nothing.
    pub(crate) fn reading(&mut self, now_unix_ns: u64, counters: Counters) -> bool {
        if !self.readings.push(now_unix_ns, counters) {
            return false;
        }
        self.acts.advance(now_unix_ns);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.readings.clear();
        self.acts.clear();
    }
}

/// Milliseconds as nanoseconds.
pub(crate) fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}
