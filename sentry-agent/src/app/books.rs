//! Ledger and journal as the life before left them, held against each other. What is not as it was
//! left is a trouble: a text for `sentry health`, which stays there for this life.

use std::path::{Path, PathBuf};

use super::error::AppError;
use crate::{
    config,
    journal::{Journal, Limits, Origin},
    ledger::{
        Ledger,
        start::{Remembered, open_or_replace},
    },
};

/// Both, open.
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    pub(crate) journal: Journal,
    pub(crate) ledger_dir: PathBuf,
    /// Of the ledger that this one took the place of just now.
    pub(crate) kept_ledger: Option<PathBuf>,
    pub(crate) troubles: Vec<String>,
}

/// Where the ledger of a sensor is.
pub(crate) fn ledger_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("ledger")
}

/// Opens both; what was changed or corrupt is kept aside, and new ones begin.
pub(crate) fn open(state_dir: &Path, config: &config::Journal) -> Result<Books, AppError> {
    let dir = ledger_dir(state_dir);
    let mut ledger = open_or_replace(&dir)?;
    let limits = Limits { spool_bytes: config.spool_bytes, keep_bytes: config.keep_bytes };
    let mut journal = Journal::open(&state_dir.join("journal.db"), limits)?;
    // The first entry is the chain's own: the life that wrote it may have come no further.
    let is_old = ledger.ledger.head().0 > 1 || ledger.kept.is_some();
    if let Some(remembered) = journal.remembered_ledger()? {
        ledger.compare(&remembered)?;
    }
    let (seq, _) = ledger.ledger.head();
    journal.remember_ledger(&Remembered { chain_uid: ledger.ledger.chain_uid().to_owned(), seq })?;
    let mut troubles = ledger.troubles;
    match journal.origin() {
        Origin::New if is_old => {
            troubles.push("the journal was missing; a new one begins, without what was kept before".into());
        }
        Origin::New | Origin::Earlier => {}
        Origin::InsteadOf(aside) => troubles.push(format!(
            "the journal was corrupt; it is kept as {}, and a new one begins",
            aside.display()
        )),
    }
    Ok(Books { ledger: ledger.ledger, journal, ledger_dir: dir, kept_ledger: ledger.kept, troubles })
}
