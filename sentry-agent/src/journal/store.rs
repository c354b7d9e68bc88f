//! The writing side: append, acknowledge, remember commands.

use std::{
    fs::File,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sentry_proto::v1::{self, ItemKind, item};
use uuid::Uuid;

use super::{
    COMMANDS_KEPT, ITEM_LIMIT, JournalError, Limits, RUNS_KEPT,
    gap::{self, Lost},
    prune::{self, Books},
    schema::{self, Origin},
};
use crate::ledger::start::Remembered;

/// The journal, open for writing. One process has it at a time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    limits: Limits,
    pub(super) connection: Connection,
    epoch: String,
    pub(super) books: Books,
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

/// The write-ahead log is emptied when it has grown by so much.
pub(super) const LOG_BYTES: u64 = 16 << 20;

/// What is known of a command's idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandState {
    /// Never seen; from now on it counts as begun.
    New,
    /// Begun before, by this life of the sensor or one that ended in the middle of it; no result.
    Begun,
    Done(v1::CommandResult),
}

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
        let (epoch, books) = load(&connection).map_err(JournalError::of("read the journal's books"))?;
        let mut journal = Self {
            path: path.to_owned(),
            limits,
            connection,
            epoch,
            books,
            dropped_spool_full: 0,
            too_large: 0,
            origin,
            log_limit: LOG_BYTES,
            _owner: owner,
        };
        // The limits may be smaller than last time.
        journal.transact("prune the journal", |_, _| Ok(()))?;
        Ok(journal)
    }

    /// Appends items in one transaction; returns their positions (an empty range for no items).
    ///
    /// A Gap among the items takes as many positions as it covers, wherever it said it stood.
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
        items: &[v1::Item],
    ) -> Result<RangeInclusive<u64>, JournalError> {
        let first = self.books.next;
        let too_large = items.iter().filter(|item| item.encoded_len() > ITEM_LIMIT).count() as u64;
        self.transact("append to the journal", |connection, books| {
            if !lost.is_empty() {
                insert_gap(connection, books, lost)?;
            }
            items.iter().try_for_each(|item| insert(connection, books, item))
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
        if seq <= self.books.confirmed || seq >= self.books.next {
            return Ok(());
        }
        self.transact("acknowledge in the journal", |connection, books| {
            books.confirmed = seq;
            if seq > books.acked { prune::acknowledge(connection, books, seq) } else { Ok(()) }
        })
    }

    /// Nobody waits for what stands up to `seq`: it becomes history, as if it were acknowledged.
    /// Going back, or past the end, is ignored.
    ///
    /// # Errors
    ///
    /// Nothing was written.
    pub fn release(&mut self, seq: u64) -> Result<(), JournalError> {
        if seq <= self.books.acked || seq >= self.books.next {
            return Ok(());
        }
        self.transact("release in the journal", |connection, books| {
            prune::acknowledge(connection, books, seq)
        })
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
        self.transact("begin a new epoch in the journal", |connection, books| {
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
        self.transact("give up an item of the journal", |connection, books| {
            prune::replace_by_gap(connection, books, seq, "refused")
        })
    }

    /// Notes that a command begins, unless it is known.
    ///
    /// # Errors
    ///
    /// It could not be noted: do not act.
    pub fn begin_command(&mut self, key: &str) -> Result<CommandState, JournalError> {
        let known = self.command(key).map_err(JournalError::of("look up a command"))?;
        if let Some(state) = known {
            return Ok(state);
        }
        self.transact("note a command", |connection, _| {
            connection.execute("INSERT INTO commands (key, body) VALUES (?1, NULL)", [key])?;
            connection
                .execute(
                    "DELETE FROM commands WHERE number <= (SELECT MAX(number) FROM commands) - ?1",
                    [sql(COMMANDS_KEPT)],
                )
                .map(drop)
        })?;
        Ok(CommandState::New)
    }

    /// Notes a command's result.
    ///
    /// # Errors
    ///
    /// It could not be noted.
    pub fn finish_command(&mut self, result: &v1::CommandResult) -> Result<(), JournalError> {
        self.transact("note a command's result", |connection, _| {
            let body = result.encode_to_vec();
            connection
                .execute("UPDATE commands SET body = ?2 WHERE key = ?1", params![result.key, body])
                .map(drop)
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

    /// The ledger as it was remembered.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn remembered_ledger(&self) -> Result<Option<Remembered>, JournalError> {
        let error = JournalError::of("read what is remembered of the ledger");
        let chain_uid = schema::meta(&self.connection, "ledger_chain").map_err(&error)?;
        let seq = schema::meta_number(&self.connection, "ledger_seq").map_err(&error)?;
        Ok(chain_uid.map(|chain_uid| Remembered { chain_uid, seq }))
    }

    /// Remembers where the ledger stands: whoever takes the ledger away has to change this, too.
    ///
    /// # Errors
    ///
    /// It was not written.
    pub fn remember_ledger(&mut self, ledger: &Remembered) -> Result<(), JournalError> {
        self.transact("remember the ledger", |connection, _| {
            schema::set_meta(connection, "ledger_chain", &ledger.chain_uid)?;
            schema::set_meta(connection, "ledger_seq", &ledger.seq.to_string())
        })
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

    fn command(&self, key: &str) -> rusqlite::Result<Option<CommandState>> {
        let mut select = self.connection.prepare_cached("SELECT body FROM commands WHERE key = ?1")?;
        let body: Option<Option<Vec<u8>>> = select.query_row([key], |row| row.get(0)).optional()?;
        Ok(body.map(|body| match body.and_then(|body| v1::CommandResult::decode(body.as_slice()).ok()) {
            Some(result) => CommandState::Done(result),
            None => CommandState::Begun,
        }))
    }

    /// Runs `act` and the pruning in one transaction; the books in memory change only with the
    /// commit.
    fn transact(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&Connection, &mut Books) -> rusqlite::Result<()>,
    ) -> Result<(), JournalError> {
        let error = JournalError::of(name);
        let mut books = self.books.clone();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&error)?;
        let done = (|| {
            act(&transaction, &mut books)?;
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
        self.bound_log();
        Ok(())
    }

    /// What was committed stays so, whatever comes of this.
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

/// SQLite's integers are signed; positions and sizes never get that far, times are cut.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Inserts a row at the end; it covers `width` positions.
pub(super) fn insert_row(
    connection: &Connection,
    books: &mut Books,
    row: &Row<'_>,
    width: u64,
) -> rusqlite::Result<()> {
    let last = books.next + width - 1;
    prune::put(connection, books.next, last, row)?;
    books.next = last + 1;
    books.unacked_bytes += row.bytes();
    Ok(())
}

/// Columns of an item besides its position.
pub(super) struct Row<'a> {
    pub(super) kind: ItemKind,
    pub(super) run: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) time_unix_ns: u64,
    pub(super) body: Vec<u8>,
}

impl Row<'_> {
    /// With what SQLite adds for the row and its place in the index, roughly.
    pub(super) fn bytes(&self) -> u64 {
        const OVERHEAD: usize = 96;
        (self.body.len() + OVERHEAD) as u64
    }
}

fn insert_gap(connection: &Connection, books: &mut Books, lost: &Lost) -> rusqlite::Result<()> {
    let gap = lost.gap(books.next, books.next + lost.items - 1);
    insert_row(connection, books, &prune::gap_row(gap), lost.items)
}

fn insert(connection: &Connection, books: &mut Books, item: &v1::Item) -> rusqlite::Result<()> {
    let too_large = item.encoded_len() > ITEM_LIMIT;
    if let Some(item::Item::Run(run)) = &item.item
        && too_large
        && let smaller = without_lists(run)
        && smaller.encoded_len() <= ITEM_LIMIT
    {
        // Without its row nobody would take it up again.
        return insert(connection, books, &smaller);
    }
    if too_large
        || item.item.is_none()
        || matches!(item.item, Some(item::Item::Gap(_) | item::Item::Block(_)))
    {
        let mut lost = Lost::default();
        match &item.item {
            Some(item::Item::Gap(gap)) => lost.absorb(gap),
            // Nobody hands a block in.
            Some(item::Item::Block(_)) | None => lost.count(item, "empty"),
            Some(_) => lost.count(item, "too-large"),
        }
        return insert_gap(connection, books, &lost);
    }
    let known_agent = agent_of(connection, item)?;
    let (kind, time_unix_ns) = kind_and_time(item);
    let row = Row {
        kind,
        run: gap::run_of(item),
        agent: known_agent.as_deref(),
        time_unix_ns,
        body: item.encode_to_vec(),
    };
    match &item.item {
        Some(item::Item::Run(run)) => upsert_run(connection, books.next, run)?,
        Some(item::Item::Event(event)) => books.shares.add(&event.run, books.next, row.bytes()),
        _ => {}
    }
    insert_row(connection, books, &row, 1)
}

/// A run as small as it gets.
fn without_lists(run: &v1::Run) -> v1::Item {
    let executed: u64 = run.executed.iter().map(|file| file.executions).sum();
    let run = v1::Run {
        command: Vec::new(),
        command_truncated: true,
        flows: Vec::new(),
        executed: Vec::new(),
        executed_unlisted: run.executed_unlisted + executed,
        ..run.clone()
    };
    v1::Item { item: Some(item::Item::Run(run)) }
}

fn kind_and_time(item: &v1::Item) -> (ItemKind, u64) {
    match &item.item {
        Some(item::Item::Event(event)) => (ItemKind::Event, event.time_unix_ns),
        Some(item::Item::Finding(finding)) => (ItemKind::Finding, finding.time_unix_ns),
        Some(item::Item::Decision(decision)) => (ItemKind::Decision, decision.time_unix_ns),
        Some(item::Item::Outcome(outcome)) => (ItemKind::Outcome, outcome.time_unix_ns),
        Some(item::Item::Run(run)) => (ItemKind::Run, run.ended_unix_ns.unwrap_or(run.started_unix_ns)),
        Some(item::Item::Gap(_)) => (ItemKind::Gap, 0),
        Some(item::Item::Block(_)) | None => (ItemKind::Unspecified, 0),
    }
}

/// Decisions and outcomes name only the run; its agent stands in the run's own row.
fn agent_of(connection: &Connection, item: &v1::Item) -> rusqlite::Result<Option<String>> {
    let (agent, run) = match &item.item {
        Some(item::Item::Event(event)) => (event.agent.as_ref(), None),
        Some(item::Item::Finding(finding)) => (finding.agent.as_ref(), None),
        Some(item::Item::Run(run)) => (run.agent.as_ref(), None),
        Some(item::Item::Decision(decision)) => (None, Some(&decision.run)),
        Some(item::Item::Outcome(outcome)) => (None, Some(&outcome.run)),
        Some(item::Item::Gap(_) | item::Item::Block(_)) | None => (None, None),
    };
    match run {
        Some(run) => {
            let mut select = connection.prepare_cached("SELECT agent FROM runs WHERE run = ?1")?;
            select.query_row([run], |row| row.get(0)).optional()
        }
        None => Ok(agent.map(|agent| agent.id.clone())),
    }
}

fn upsert_run(connection: &Connection, seq: u64, run: &v1::Run) -> rusqlite::Result<()> {
    let agent = run.agent.as_ref().map_or("", |agent| agent.id.as_str());
    let mut upsert = connection.prepare_cached(
        "INSERT INTO runs (run, agent, state, first_seq, seq, body) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
         ON CONFLICT (run) DO UPDATE SET agent = ?2, state = ?3, seq = ?4, body = ?5",
    )?;
    upsert.execute(params![run.id, agent, run.state, sql(seq), run.encode_to_vec()])?;
    if run.state() != v1::RunState::Ended {
        return Ok(());
    }
    // Ended ones only: a run that lives on is not told of for as long as nothing happens in it.
    let mut forget = connection.prepare_cached(
        "DELETE FROM runs WHERE run IN (SELECT run FROM runs WHERE state = ?2 ORDER BY seq DESC LIMIT -1 OFFSET ?1)",
    )?;
    forget.execute(params![sql(RUNS_KEPT), v1::RunState::Ended as i32]).map(drop)
}

fn load(connection: &Connection) -> rusqlite::Result<(String, Books)> {
    let epoch = schema::meta(connection, "epoch")?.unwrap_or_default();
    let acked = schema::meta_number(connection, "acked")?;
    // Files of older versions have neither: one epoch is all they know, and nothing says who
    // acknowledged.
    let base = schema::meta_number(connection, "base")?.min(acked);
    let confirmed = schema::meta_number(connection, "confirmed")?.clamp(base, acked);
    let last: i64 = connection.query_row("SELECT IFNULL(MAX(last), 0) FROM items", [], |row| row.get(0))?;
    // Never behind what is there, whatever the table of numbers says.
    let next = schema::meta_number(connection, "next")?.max(last.unsigned_abs() + 1).max(acked + 1);
    let sum = |condition: &str| {
        let select = format!("SELECT IFNULL(SUM(bytes), 0) FROM items WHERE seq {condition} ?1");
        connection.query_row(&select, [sql(acked)], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let (acked_bytes, unacked_bytes) = (sum("<=")?, sum(">")?);
    let shares = prune::shares(connection, (acked, next))?;
    let kept = prune::shares(connection, (0, acked))?;
    Ok((epoch, Books { next, base, confirmed, acked, acked_bytes, unacked_bytes, shares, kept }))
}
