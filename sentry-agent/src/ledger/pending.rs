//! The ledger as the act stage uses it: a full disk delays an entry, it does not stop an act.

use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
};

use sentry_detect::{
    decision::{Decision, Outcome},
    finding::Finding,
};
use sentry_proto::v1;
use serde_json::json;

use super::{Entry, Ledger, LedgerError};
use crate::{enrich::clock::unix_ns, error_chain};

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
            match write(&mut self.ledger, note) {
                Ok(_entry) => {}
                Err(error @ (LedgerError::Body { .. } | LedgerError::TooLarge { .. })) => {
                    self.given_up += 1;
                    tracing::error!(error = %error_chain(&error), given_up = self.given_up, "entry given up");
                }
                Err(error) => {
                    tracing::error!(
                        error = %error_chain(&error),
                        waiting = self.waiting.len(),
                        given_up = self.given_up,
                        "cannot write to the ledger; entries wait in memory"
                    );
                    break;
                }
            }
            self.waiting.pop_front();
        }
        if self.waiting.len() > CAPACITY {
            self.waiting.pop_front();
            self.given_up += 1;
        }
    }
}

/// Opens the ledger. One that was changed since it was written is kept beside the new one as evidence, and the new one
/// begins with an entry that says so: whoever can spoil the file must not be able to keep the sensor from starting.
///
/// # Errors
/// When the directory cannot be used, or another process has it open.
pub fn open_or_replace(dir: &Path) -> Result<Ledger, LedgerError> {
    let (kept, why) = match Ledger::open(dir) {
        Err(error @ LedgerError::Tampered { .. }) => (aside(dir), error_chain(&error)),
        other => return other,
    };
    let moving = |source| LedgerError::Io { act: "move aside", path: dir.to_owned(), source };
    fs::rename(dir, &kept).map_err(moving)?;
    tracing::error!(kept = %kept.display(), why, "the ledger was changed since it was written; a new one begins");
    let mut ledger = Ledger::open(dir)?;
    ledger.append("predecessor-tampered", json!({ "kept": kept, "why": why }), unix_ns())?;
    Ok(ledger)
}

/// A name beside `dir` that is free.
fn aside(dir: &Path) -> PathBuf {
    (1u32..)
        .map(|n| dir.with_extension(format!("tampered-{n}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| dir.with_extension("tampered"))
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::ledger;

    #[test]
    fn a_spoiled_ledger_is_kept_and_a_new_one_tells_of_it() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("ledger");
        let mut first = open_or_replace(&dir).unwrap();
        for n in 0..3 {
            first.append("note", json!({ "n": n }), 1).unwrap();
        }
        drop(first);
        let segment = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .unwrap();
        let spoiled = fs::read_to_string(&segment).unwrap().replace("\"n\":1", "\"n\":7");
        fs::write(&segment, &spoiled).unwrap();

        let chain = open_or_replace(&dir).unwrap().chain_uid().to_owned();
        assert!(ledger::verify(&dir).is_ok());
        let kept = home.path().join("ledger.tampered-1");
        assert!(ledger::verify(&kept).is_err());
        let told = fs::read_to_string(segment).unwrap();
        assert!(told.contains("predecessor-tampered") && told.contains(&chain), "{told}");
    }
}
