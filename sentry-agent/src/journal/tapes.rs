//! Parts of tapes: what runs were judged by beside their events, so that `sentry record` has it.
//!
//! They are younger than the file's format: an older version leaves the table alone. They are not
//! on the feed, so they have no positions, and no Gap stands for one that is lost: the tape has a
//! hole by its numbers then.

use rusqlite::{Connection, params};
use sentry_recording::Packed;

use super::row::sql;

pub(super) const TABLE: &str = "
CREATE TABLE IF NOT EXISTS tapes (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    life TEXT NOT NULL,
    part INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS tape_of_run ON tapes (run, bytes);
";

/// The part of the history's room that tapes may have beside it.
const SHARE: u64 = 8;
/// What a row takes beside its texts and its body.
const ROW_BYTES: usize = 64;

/// Keeps parts, each of its run, and makes room for them. Within the caller's transaction.
pub(super) fn keep(
    connection: &Connection,
    parts: &[(&str, Packed)],
    keep_bytes: u64,
) -> rusqlite::Result<()> {
    let mut insert = connection
        .prepare_cached("INSERT INTO tapes (run, life, part, bytes, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (run, Packed { life, number, body }) in parts {
        let bytes = ROW_BYTES + run.len() + life.len() + body.len();
        insert.execute(params![run, life, sql(*number), sql(bytes as u64), body])?;
    }
    make_room(connection, keep_bytes / SHARE)
}

/// Deletes the oldest until the others have no more than `limit` bytes.
fn make_room(connection: &Connection, limit: u64) -> rusqlite::Result<()> {
    let sum: i64 = connection
        .prepare_cached("SELECT IFNULL(SUM(bytes), 0) FROM tapes")?
        .query_row([], |row| row.get(0))?;
    let mut over = sum.unsigned_abs().saturating_sub(limit);
    if over == 0 {
        return Ok(());
    }
    let mut select = connection.prepare_cached("SELECT number, bytes FROM tapes ORDER BY number")?;
    let mut rows = select.query([])?;
    let mut cut = 0_i64;
    while over > 0
        && let Some(row) = rows.next()?
    {
        cut = row.get(0)?;
        over = over.saturating_sub(row.get::<_, i64>(1)?.unsigned_abs());
    }
    drop(rows);
    connection.prepare_cached("DELETE FROM tapes WHERE number <= ?1")?.execute([cut]).map(drop)
}

/// The parts of a run's tapes, in the order in which they were kept.
pub(super) fn of_run(connection: &Connection, run: &str) -> rusqlite::Result<Vec<Packed>> {
    let mut select =
        connection.prepare_cached("SELECT life, part, body FROM tapes WHERE run = ?1 ORDER BY number")?;
    let rows = select.query_map([run], |row| {
        Ok(Packed { life: row.get(0)?, number: row.get::<_, i64>(1)?.unsigned_abs(), body: row.get(2)? })
    })?;
    rows.collect()
}
