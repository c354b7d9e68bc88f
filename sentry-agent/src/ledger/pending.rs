//! The ledger as the act stage uses it: a full disk delays an entry, it does not stop an act.

use std::collections::VecDeque;

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
};
use sentry_proto::v1;

use super::{Entry, Ledger, LedgerError};
use crate::error_chain;

/// Entries that wait for a writable disk. Beyond it the oldest is given up, counted, and the count is logged.
const CAPACITY: usize = 4_096;

/// Something for the ledger.
pub enum Note {
    RunStarted(v1::Run),
    RunEnded(v1::Run),
    Finding(Finding),
    Decision(Decision),
    Outcome(Outcome),
}

/// Writes notes in order; keeps those the disk would not take and writes them first, once it does.
pub struct PendingLedger {
    ledger: Ledger,
    waiting: VecDeque<Note>,
    given_up: u64,
}

impl PendingLedger {
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, waiting: VecDeque::new(), given_up: 0 }
    }

    /// Writes the note, durably if the disk takes it. On a failing disk the act it belongs to goes on: stopping a
    /// runaway outranks writing of it.
    pub fn note(&mut self, note: Note) {
        self.waiting.push_back(note);
        while let Some(note) = self.waiting.front() {
            if let Err(error) = write(&mut self.ledger, note) {
                tracing::error!(
                    error = %error_chain(&error),
                    waiting = self.waiting.len(),
                    given_up = self.given_up,
                    "cannot write to the ledger; entries wait in memory"
                );
                break;
            }
            self.waiting.pop_front();
        }
        if self.waiting.len() > CAPACITY {
            self.waiting.pop_front();
            self.given_up += 1;
        }
    }
}

fn write(ledger: &mut Ledger, note: &Note) -> Result<Entry, LedgerError> {
    match note {
        Note::RunStarted(run) => ledger.run_started(run),
        Note::RunEnded(run) => ledger.run_ended(run),
        Note::Finding(finding) => ledger.finding(finding),
        Note::Decision(decision) => ledger.decision(decision),
        Note::Outcome(outcome) => ledger.outcome(outcome),
    }
}
