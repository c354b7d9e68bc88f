//! The writing side: append, acknowledge, give up.

use std::{
    fs::File,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, TransactionBehavior, params};
use sentry_proto::{
    block::Packer,
    v1::{self, ItemKind},
};
use sentry_recording::{Part, RecordingError};
use uuid::Uuid;

use super::{
    JournalError, Limits, append,
    books::{self, Books},
    border,
    entry::Written,
    gap::Lost,
    merge, prune,
    row::sql,
    schema::{self, Origin},
    tapes,
};

/// The journal, open for writing. One process has it at a time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    limits: Limits,
    pub(super) connection: Connection,
    epoch: String,
    pub(super) books: Books,
    packer: Packer,
    /// What the next transaction takes along.
    noted: Noted,
    /// No small blocks that can be merged stand before this position.
    merged: u64,
    /// Items that made room because the spool was full, since it was opened.
    pub(super) dropped_spool_full: u64,
    /// Items that were too large, since it was opened: a run without its lists stands for one, a
    /// Gap for any other.
    pub(super) too_large: u64,
    origin: Origin,
    /// Bytes of the write-ahead log beyond which it is to be emptied.
    log_limit: u64,
    _owner: File,
}

/// Positions up to which items are acknowledged; 0, or less than what is written: nothing new.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    acked: u64,
    /// By the collector.
    confirmed: u64,
}

/// The write-ahead log is emptied when it has grown by so much.
pub(super) const LOG_BYTES: u64 = 16 << 20;

impl Journal {
    /// Opens the journal at `path` or makes it. A corrupt one is moved aside and a new epoch
    /// begins.
    ///
    /// # Errors
    ///
    /// The file cannot be made or read, another process writes it, or a newer version wrote it.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, JournalError> {
        let path = &schema::make_dir(path)?;
        let owner = schema::own(path)?;
        let (connection, origin) = schema::open(path)?;
        let (epoch, books) =
            books::load(&connection).map_err(JournalError::of("read the journal's books"))?;
        let mut journal = Self {
            path: path.to_owned(),
            limits,
            connection,
            epoch,
            books,
            packer: Packer::new()?,
            noted: Noted::default(),
            merged: 0,
            dropped_spool_full: 0,
            too_large: 0,
            origin,
            log_limit: LOG_BYTES,
            _owner: owner,
        };
        // The limits may be smaller than last time.
        journal.transact("prune the journal", |_, _, _| Ok(()))?;
        Ok(journal)
    }

    /// Appends items in one transaction; returns their positions (an empty range for no items).
    ///
    /// Events of a run that follow each other become blocks. A Gap among the items takes as many
    /// positions as it covers, wherever it said it stood.
    ///
    /// # Errors
    ///
    /// Nothing was written: the disk is full or failed, or the file is corrupt.
    pub fn append(&mut self, items: &[v1::Item]) -> Result<RangeInclusive<u64>, JournalError> {
        self.append_after(&Lost::default(), items)
    }

    /// As [`Journal::append`], with a Gap for what was lost before.
    pub(super) fn append_after(
        &mut self,
        lost: &Lost,
        items: &[impl Written],
    ) -> Result<RangeInclusive<u64>, JournalError> {
        let first = self.books.next;
        let pieces = append::pieces(&mut self.packer, items)?;
        let mut too_large = 0;
        self.transact("append to the journal", |connection, books, _| {
            if !lost.is_empty() {
                append::insert_gap(connection, books, lost)?;
            }
            for piece in &pieces {
                too_large += u64::from(append::insert(connection, books, piece)?);
            }
            Ok(())
        })?;
        self.too_large += too_large;
        Ok(first..=self.books.next - 1)
    }

    /// Everything up to `seq` is durable at the collector. Going back, or past the end, is ignored.
    ///
    /// # Errors
    ///
    /// The position was not written; the same items will be sent again, which is harmless.
    pub fn acked(&mut self, seq: u64) -> Result<(), JournalError> {
        self.note_acked(seq, true);
        self.settle()
    }

    /// Nobody waits for what stands up to `seq`: it becomes history, as if it were acknowledged.
    /// Going back, or past the end, is ignored.
    ///
    /// # Errors
    ///
    /// Nothing was written.
    pub fn release(&mut self, seq: u64) -> Result<(), JournalError> {
        self.note_acked(seq, false);
        self.settle()
    }

    /// As [`Journal::acked`] or [`Journal::release`], but the next transaction takes it along.
    pub(super) fn note_acked(&mut self, seq: u64, confirmed: bool) {
        if seq >= self.books.next {
            return;
        }
        self.noted.acked = self.noted.acked.max(seq);
        if confirmed {
            self.noted.confirmed = self.noted.confirmed.max(seq);
        }
    }

    /// Writes what was noted.
    ///
    /// # Errors
    ///
    /// It stays noted.
    pub(super) fn settle(&mut self) -> Result<(), JournalError> {
        let Noted { acked, confirmed } = self.noted;
        if acked <= self.books.acked && confirmed <= self.books.confirmed {
            return Ok(());
        }
        self.transact("acknowledge in the journal", |_, _, _| Ok(()))
    }

    /// What the collector says of this epoch cannot be of this file: an older copy of it came back,
    /// or somebody else spoke for this sensor. A new epoch begins with what is not acknowledged;
    /// every row stays where it is.
    ///
    /// # Errors
    ///
    /// The epoch goes on.
    pub fn begin_epoch(&mut self, why: &str) -> Result<(), JournalError> {
        let epoch = Uuid::now_v7().to_string();
        self.transact("begin a new epoch in the journal", |connection, books, _| {
            schema::set_meta(connection, "epoch", &epoch)?;
            schema::set_meta(connection, "epoch_why", why)?;
            books.base = books.acked;
            books.confirmed = books.acked;
            Ok(())
        })?;
        tracing::error!(journal.epoch = epoch, why, "a new epoch of the journal begins");
        self.epoch = epoch;
        Ok(())
    }

    /// The collector will never take what stands at `seq`: a Gap takes its place.
    ///
    /// # Errors
    ///
    /// The item still stands there.
    pub fn give_up(&mut self, seq: u64) -> Result<(), JournalError> {
        self.transact("give up an item of the journal", |connection, books, packer| {
            border::replace_by_gap(connection, books, packer, seq, "refused")
        })
    }

    /// Merges small blocks of the history, some thousand events at most; false: there is nothing
    /// more to merge yet.
    ///
    /// # Errors
    ///
    /// They stay as they are.
    pub(super) fn merge(&mut self) -> Result<bool, JournalError> {
        let found = merge::find(&self.connection, self.merged, self.books.border)
            .map_err(JournalError::of("look for blocks to merge in the journal"))?;
        if !found.groups.is_empty() {
            self.transact("merge blocks of the journal", |connection, books, packer| {
                found.groups.iter().try_for_each(|group| merge::merge(connection, books, packer, group))
            })?;
        }
        self.merged = found.next;
        Ok(found.more)
    }

    /// Keeps what runs were judged by beside their events, each part with its run.
    ///
    /// # Errors
    ///
    /// Nothing was written.
    pub(super) fn keep_tapes(&mut self, parts: &[(String, Part)]) -> Result<(), JournalError> {
        let packed = parts.iter().map(|(run, part)| Ok((run.as_str(), part.pack()?)));
        let packed: Vec<_> = packed.collect::<Result<_, RecordingError>>()?;
        let keep_bytes = self.limits.keep_bytes;
        self.transact("keep tapes in the journal", |connection, _, _| {
            tapes::keep(connection, &packed, keep_bytes)
        })
    }

    /// Marks an orderly end, so that the next start need not read through the file.
    ///
    /// # Errors
    ///
    /// The mark was not written; the next start takes longer.
    pub fn close(self) -> Result<(), JournalError> {
        schema::set_meta(&self.connection, "clean", "1").map_err(JournalError::of("close the journal"))
    }

    /// Whence the file is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Names this life of the file.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Position of the newest item; 0 = none yet.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.books.next - 1
    }

    /// Newest position that nobody waits for: acknowledged, or released.
    #[must_use]
    pub fn acked_seq(&self) -> u64 {
        self.books.acked
    }

    /// Newest position that the collector has acknowledged; [`Journal::base_seq`] if there is none
    /// in this epoch.
    #[must_use]
    pub fn confirmed_seq(&self) -> u64 {
        self.books.confirmed
    }

    /// When the first item that the collector has not acknowledged happened, Unix time in ns.
    /// `None` where no item says: the time of a run is that of its start.
    pub(super) fn oldest_unconfirmed(&self) -> Option<u64> {
        let select = "SELECT time FROM items WHERE seq > ?1 AND time > 0 AND kind IN (?2, ?3, ?4, ?5)
                      ORDER BY seq LIMIT 1";
        let [event, finding, decision, outcome] =
            [ItemKind::Event, ItemKind::Finding, ItemKind::Decision, ItemKind::Outcome]
                .map(|kind| kind as i32);
        let values = params![sql(self.books.confirmed), event, finding, decision, outcome];
        let time = self.connection.query_row(select, values, |row| row.get::<_, i64>(0));
        time.ok().map(i64::unsigned_abs)
    }

    /// Where the epoch begins: its position 1 is the one behind this.
    #[must_use]
    pub fn base_seq(&self) -> u64 {
        self.books.base
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that are acknowledged and that are not.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.books.acked_bytes, self.books.unacked_bytes)
    }

    /// Runs `act` and the pruning in one transaction; the books in memory change only with the
    /// commit.
    pub(super) fn transact(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&Connection, &mut Books, &mut Packer) -> rusqlite::Result<()>,
    ) -> Result<(), JournalError> {
        let error = JournalError::of(name);
        let mut books = self.books.clone();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&error)?;
        let Noted { acked, confirmed } = self.noted;
        let done = (|| {
            books.confirmed = books.confirmed.max(confirmed);
            if acked > books.acked {
                border::acknowledge(&transaction, &mut books, acked)?;
            }
            act(&transaction, &mut books, &mut self.packer)?;
            let dropped = prune::prune(&transaction, &mut books, self.limits)?;
            schema::set_meta(&transaction, "next", &books.next.to_string())?;
            schema::set_meta(&transaction, "acked", &books.acked.to_string())?;
            schema::set_meta(&transaction, "confirmed", &books.confirmed.to_string())?;
            schema::set_meta(&transaction, "base", &books.base.to_string())?;
            transaction.commit()?;
            Ok(dropped)
        })();
        self.dropped_spool_full += done.map_err(&error)?;
        self.books = books;
        self.noted = Noted::default();
        self.bound_log();
        Ok(())
    }

    /// What was committed stays committed, even if this fails.
    fn bound_log(&mut self) {
        let bytes = schema::log_bytes(&self.path);
        if bytes < self.log_limit {
            return;
        }
        match schema::empty_log(&self.connection) {
            Ok(()) => self.log_limit = LOG_BYTES,
            Err(error) => {
                self.log_limit = bytes + LOG_BYTES;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "journal's write-ahead log not emptied, it grows on"
                );
            }
        }
    }
}
