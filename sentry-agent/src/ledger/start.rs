//! Opening the ledger for a sensor's life: one that was changed, or is not there any more, must not
//! keep the sensor from starting, and nobody must overlook it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sentry_service::error_chain;
use serde_json::json;

use super::{
    Ledger, LedgerError,
    entry::{MISSING, SET_ASIDE},
    now_unix_ns,
};

/// Kind of the entry that records entries that are not there any more.
const OLDER: &str = "entries-missing";

/// The ledger at the start of a sensor's life.
#[derive(Debug)]
pub struct Opened {
    pub ledger: Ledger,
    /// Where the one before it is kept, as evidence.
    pub kept: Option<PathBuf>,
    /// What a person has to look at, in words.
    pub troubles: Vec<String>,
}

/// Where the ledger stood at the start of an earlier life, as somebody else remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    pub chain_uid: String,
    pub seq: u64,
}

/// Opens the ledger. One that was changed since it was written is kept beside the new one as
/// evidence, and the new one begins with an entry that names it.
///
/// # Errors
/// When the directory cannot be used, or another process has it open.
pub fn open_or_replace(dir: &Path) -> Result<Opened, LedgerError> {
    let (kept, why) = match Ledger::open(dir) {
        Err(error @ LedgerError::Tampered { .. }) => (aside(dir), error_chain(&error)),
        other => {
            let ledger = other?;
            let troubles = ledger.torn_entries().map(|count| {
                format!("a crash tore {count} ledger entry that was signed; the entry `recovered` records it")
            });
            return Ok(Opened { troubles: troubles.into_iter().collect(), ledger, kept: None });
        }
    };
    let moving = |source| LedgerError::Io { act: "move aside", path: dir.to_owned(), source };
    fs::rename(dir, &kept).map_err(moving)?;
    tracing::error!(
        kept = %kept.display(),
        why,
        "the ledger was changed since it was written; a new one begins"
    );
    let mut ledger = Ledger::open(dir)?;
    ledger.append(SET_ASIDE, json!({ "kept": kept, "why": why }), now_unix_ns())?;
    let trouble =
        format!("the ledger was changed since it was written; it is kept as {}: {why}", kept.display());
    Ok(Opened { ledger, kept: Some(kept), troubles: vec![trouble] })
}

impl Opened {
    /// Compares with what was remembered: a ledger that was removed, exchanged or put back from an
    /// older copy is whole in itself. It is recorded in an entry, and as a trouble.
    ///
    /// # Errors
    /// When the entry cannot be written.
    pub fn compare(&mut self, remembered: &Remembered) -> Result<(), LedgerError> {
        let Remembered { chain_uid, seq } = remembered;
        let (found, _) = self.ledger.head();
        let (kind, body, trouble) = if *chain_uid == self.ledger.chain_uid() {
            if found >= *seq {
                return Ok(());
            }
            let trouble =
                format!("the ledger ends at entry {found} and had {seq}: an older copy took its place");
            (OLDER, json!({ "expected": seq, "found": found }), trouble)
        } else if self.kept.is_some() {
            return Ok(());
        } else {
            let trouble =
                format!("the ledger of chain {chain_uid} is missing; another one has taken its place");
            (MISSING, json!({ "chain_uid": chain_uid, "entries": seq }), trouble)
        };
        tracing::error!(trouble, "the ledger is not the one that was left");
        self.ledger.append(kind, body, now_unix_ns())?;
        self.troubles.push(trouble);
        Ok(())
    }
}

/// Ledgers that were set aside from `dir`, oldest first.
#[must_use]
pub fn kept_beside(dir: &Path) -> Vec<PathBuf> {
    (1u32..).map(|n| numbered(dir, n)).take_while(|path| path.exists()).collect()
}

fn numbered(dir: &Path, n: u32) -> PathBuf {
    dir.with_extension(format!("tampered-{n}"))
}

/// A name beside `dir` that is free.
fn aside(dir: &Path) -> PathBuf {
    (1u32..)
        .map(|n| numbered(dir, n))
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_else(|| dir.with_extension("tampered"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::ledger;

    fn filled(dir: &Path) -> Remembered {
        let mut opened = open_or_replace(dir).unwrap();
        assert_eq!(opened.troubles, Vec::<String>::new());
        for n in 0..3 {
            opened.ledger.append("note", json!({ "n": n }), 1).unwrap();
        }
        let (seq, _) = opened.ledger.head();
        Remembered { chain_uid: opened.ledger.chain_uid().to_owned(), seq }
    }

    fn segment(dir: &Path) -> PathBuf {
        dir.join("segment-00000001.jsonl")
    }

    fn last_line(dir: &Path) -> String {
        fs::read_to_string(segment(dir)).unwrap().lines().last().unwrap().to_owned()
    }

    #[test]
    fn a_spoiled_ledger_is_kept_and_everybody_hears_of_it() {
        let home = tempfile::tempdir().unwrap();
        let (dir, kept) = (home.path().join("ledger"), home.path().join("ledger.tampered-1"));
        let before = filled(&dir);
        let spoiled = fs::read_to_string(segment(&dir)).unwrap().replace("\"n\":1", "\"n\":7");
        fs::write(segment(&dir), &spoiled).unwrap();

        let mut opened = open_or_replace(&dir).unwrap();
        opened.compare(&before).unwrap();
        assert_eq!(opened.kept.as_ref(), Some(&kept));
        assert_eq!(opened.troubles.len(), 1);
        assert!(opened.troubles[0].contains(&kept.display().to_string()), "{:?}", opened.troubles);
        assert_ne!(opened.ledger.chain_uid(), before.chain_uid);
        let verified = ledger::verify(&dir).unwrap();
        assert_eq!(verified.set_aside.len(), 1);
        assert_eq!(verified.set_aside[0].kept.as_ref(), Some(&kept));
        assert!(verified.set_aside[0].why.contains("fingerprint"), "{:?}", verified.set_aside);
        assert!(ledger::verify(&kept).is_err());
    }

    #[test]
    fn a_ledger_that_is_gone_is_missed() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("ledger");
        let before = filled(&dir);
        fs::remove_dir_all(&dir).unwrap();
        let mut opened = open_or_replace(&dir).unwrap();
        opened.compare(&before).unwrap();
        assert!(opened.troubles[0].contains(&before.chain_uid), "{:?}", opened.troubles);
        drop(opened);
        assert!(last_line(&dir).contains(MISSING), "{}", last_line(&dir));
        assert_eq!(ledger::verify(&dir).unwrap().set_aside[0].kept, None);
    }

    #[test]
    fn an_older_copy_is_found_out() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("ledger");
        let before = filled(&dir);
        let mut opened = open_or_replace(&dir).unwrap();
        opened.compare(&before).unwrap();
        assert_eq!(opened.troubles, Vec::<String>::new());
        opened.compare(&Remembered { seq: before.seq + 1, ..before }).unwrap();
        assert_eq!(opened.troubles.len(), 1);
        drop(opened);
        assert!(last_line(&dir).contains(OLDER), "{}", last_line(&dir));
    }
}
