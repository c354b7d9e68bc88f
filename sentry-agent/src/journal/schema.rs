//! The file: making it, opening it, moving a corrupt one aside.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use uuid::Uuid;

use super::{JournalError, tapes};
use crate::ledger::lock;

/// `PRAGMA user_version`. In format 1 each event has a row; since 2 a row may hold a block of them.
const FORMAT: i64 = 2;
/// All of it is valid in the newest format.
const OLDER: i64 = 1;

const TABLES: &str = "
CREATE TABLE items (
    seq INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    run TEXT,
    agent TEXT,
    time INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX gaps ON items (last) WHERE kind = 6;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    state INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE commands (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body BLOB) STRICT;
";

/// Younger than the tables: a file without it is read through once.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS of_run ON items (run) WHERE run IS NOT NULL";

/// The file, its write-ahead log, and the index of that.
const SIDES: [&str; 3] = ["", "-wal", "-shm"];

/// Whence a journal's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An earlier life left it.
    Earlier,
    /// There was none.
    New,
    /// It took the place of a corrupt one, which is kept here.
    InsteadOf(PathBuf),
}

/// A writing connection on a sound file with the tables in it, and whence the file is. A corrupt
/// one is moved aside first.
pub(super) fn open(path: &Path) -> Result<(Connection, Origin), JournalError> {
    match prepare(path) {
        Err(error @ JournalError::Corrupt { .. }) => {
            let aside = move_aside(path)?;
            tracing::error!(
                journal.path = %path.display(),
                journal.moved_to = %aside.display(),
                error = &error as &dyn std::error::Error,
                "journal corrupt, a new epoch begins"
            );
            prepare(path).map(|(connection, _)| (connection, Origin::InsteadOf(aside)))
        }
        result => result,
    }
}

/// Of a reading connection, in KiB, as SQLite takes it. Most questions are for one run or the
/// newest items.
const READ_CACHE: i64 = -256;

/// A reading connection.
pub(super) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    const ACT: &str = "open the journal for reading";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(JournalError::of(ACT))?;
    connection.busy_timeout(BUSY).map_err(JournalError::of(ACT))?;
    connection.pragma_update(None, "cache_size", READ_CACHE).map_err(JournalError::of(ACT))?;
    Ok(connection)
}

/// Makes this process the journal's only writer, until the file is closed.
pub(super) fn own(path: &Path) -> Result<File, JournalError> {
    let lock = suffixed(path, ".lock");
    match lock::take(&lock) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(error) => Err(error.into()),
    }
}

/// Makes the directory that the journal is to be in; the journal's path without links.
pub(super) fn make_dir(path: &Path) -> Result<PathBuf, JournalError> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_owned()) };
    Ok(sentry_private::make_dir(dir)?.join(name))
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    select.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn meta_number(connection: &Connection, key: &str) -> rusqlite::Result<u64> {
    let text = meta(connection, key)?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The epoch and its base, as one commit wrote them.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<(String, u64)> {
    let select = "SELECT IFNULL(MAX(CASE key WHEN 'epoch' THEN value END), ''),
                         IFNULL(MAX(CASE key WHEN 'base' THEN value END), '0') FROM meta";
    connection.query_row(select, [], |row| Ok((row.get(0)?, row.get::<_, String>(1)?.parse().unwrap_or(0))))
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?;
    insert.execute([key, value]).map(drop)
}

/// Waits for a lock that another connection holds for the length of one commit.
const BUSY: Duration = Duration::from_secs(5);

fn prepare(path: &Path) -> Result<(Connection, Origin), JournalError> {
    const ACT: &str = "open the journal";
    for side in SIDES {
        // What SQLite makes beside the file has the file's mode.
        sentry_private::prepare(&suffixed(path, side), side.is_empty())?;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags).map_err(JournalError::of(ACT))?;
    configure(&connection).map_err(JournalError::of(ACT))?;
    let found: i64 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(JournalError::of(ACT))?;
    let origin = match found {
        0 => {
            create(&connection).map_err(JournalError::of("make the journal's tables"))?;
            Origin::New
        }
        OLDER | FORMAT => {
            check(&connection)?;
            // From here on an older version refuses the file, instead of taking blocks for damage.
            connection
                .pragma_update(None, "user_version", FORMAT)
                .map_err(JournalError::of("raise the journal's format"))?;
            Origin::Earlier
        }
        _ => return Err(JournalError::Version { path: path.to_owned(), found, known: FORMAT }),
    };
    connection.execute_batch(INDEX).map_err(JournalError::of("index the journal"))?;
    connection.execute_batch(tapes::TABLE).map_err(JournalError::of("make the journal's tapes"))?;
    set_meta(&connection, "clean", "0").map_err(JournalError::of(ACT))?;
    Ok((connection, origin))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Bounds what the write-ahead log keeps on disk once it begins anew.
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    set_meta(&transaction, "epoch", &Uuid::now_v7().to_string())?;
    set_meta(&transaction, "next", "1")?;
    set_meta(&transaction, "acked", "0")?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Bytes of the write-ahead log.
pub(super) fn log_bytes(path: &Path) -> u64 {
    fs::metadata(suffixed(path, "-wal")).map_or(0, |log| log.len())
}

/// Empties the write-ahead log. SQLite begins it anew by itself only in a moment in which nobody
/// reads, which does not come while questions overlap; this waits for those that read, a little.
///
/// # Errors
///
/// Somebody read for longer than that, or the disk failed.
pub(super) fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    /// The queue to the writer takes what comes in this time.
    const PATIENCE: Duration = Duration::from_millis(50);
    connection.busy_timeout(PATIENCE)?;
    let busy: rusqlite::Result<bool> =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    connection.busy_timeout(BUSY)?;
    if busy? {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(code, None));
    }
    Ok(())
}

/// Proves a file of ours; the whole of it after an unclean end.
fn check(connection: &Connection) -> Result<(), JournalError> {
    const ACT: &str = "check the journal";
    let clean = meta(connection, "clean").map_err(as_corrupt(ACT))?;
    if meta(connection, "epoch").map_err(as_corrupt(ACT))?.is_none() {
        return Err(corrupt(ACT));
    }
    if clean.as_deref() == Some("1") { Ok(()) } else { quick_check(connection) }
}

/// Reads through the whole file.
pub(super) fn quick_check(connection: &Connection) -> Result<(), JournalError> {
    const ACT: &str = "check the journal";
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(JournalError::of(ACT))?;
    if verdict == "ok" { Ok(()) } else { Err(corrupt(ACT)) }
}

fn corrupt(act: &'static str) -> JournalError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    JournalError::Corrupt { act, source: rusqlite::Error::SqliteFailure(code, None) }
}

/// A missing table in a file that says it has our format is damage, too.
fn as_corrupt(act: &'static str) -> impl Fn(rusqlite::Error) -> JournalError {
    move |source| match JournalError::of(act)(source) {
        JournalError::Database { act, source } => JournalError::Corrupt { act, source },
        other => other,
    }
}

/// Renames a file with what belongs to it, out of the way of a new one.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let free = (1_u32..).map(|n| suffixed(path, &format!(".corrupt-{n}"))).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| suffixed(path, ".corrupt"));
    for side in SIDES {
        let (from, to) = (suffixed(path, side), suffixed(&aside, side));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => {
                result.map_err(|source| JournalError::Io { act: "move aside", path: from, source })?;
            }
        }
    }
    Ok(aside)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
