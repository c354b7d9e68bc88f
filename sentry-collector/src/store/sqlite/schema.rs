//! The tables, their versions and the settings of the database.
//!
//! Format: SQLite 3, WAL, `PRAGMA user_version` = number of migrations applied; a higher number is
//! refused. Row ids of listed tables (AUTOINCREMENT) and numbers of events only grow, in commit
//! order, because cursors refer to them. `body` is the item's own protobuf encoding, in `bodies` an
//! encoded `v1::Item`; positions and counts are below 2^63, times are Unix milliseconds.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};
use sentry_private::PrivateError;

use super::findings;
use crate::store::error::StoreError;

const MIGRATIONS: [&str; 7] = [
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
    include_str!("schema/v5.sql"),
    include_str!("schema/v6.sql"),
    include_str!("schema/v7.sql"),
];
/// The version of which the new columns are filled by what is in bodies.
const WITH_NAMES_OF_FINDINGS: i64 = 7;
/// Format of the data directory as a whole: for now the same as that of the database.
pub const FORMAT: u32 = MIGRATIONS.len() as u32;
/// Views of one connection: they change without a migration.
const LISTINGS: &str = include_str!("listings.sql");
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const WAL_LIMIT_BYTES: i64 = 16 << 20;

/// The writer's connection, schema up to date.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: rusqlite::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
    for side in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(side);
        // SQLite makes further files beside the database with the same mode.
        sentry_private::prepare(Path::new(&file), side.is_empty()).map_err(of_private)?;
    }
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    set_up(&connection).map_err(failed)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if found > known || found < 0 {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        migrate(&mut connection, migration, index as i64 + 1).map_err(failed)?;
    }
    Ok(connection)
}

/// A reader's connection, with the views that listings select from.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.execute_batch(LISTINGS)?;
    Ok(connection)
}

/// A database that cannot be made has an exit code of its own.
pub(super) fn of_private(error: PrivateError) -> StoreError {
    match error {
        PrivateError::Io { path, source, .. } => StoreError::Create { path, source },
        refused => refused.into(),
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged item must survive a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &mut Connection, migration: &str, version: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(migration)?;
    if version == WITH_NAMES_OF_FINDINGS {
        findings::fill(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn opens_again_what_it_made_and_refuses_a_newer_schema() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(open(&path).unwrap());
        let connection = open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, known: 7, .. }), "{refused}");
    }

    #[test]
    fn is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("a.db")).unwrap();
        let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!((journal.as_str(), synchronous), ("wal", 2));
    }
}
