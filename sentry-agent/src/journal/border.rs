//! The border between spool and history, and items that are given up. Every function runs inside
//! the caller's transaction.

use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::{
    block::{PackError, Packer},
    v1::{self, ItemKind},
};

use super::{
    append,
    books::Books,
    gap::{self, Lost},
    row::{Held, decode_gap, gap_row, held, put, sql},
};

/// Moves the border between what is acknowledged and what is not. A Gap that it falls into keeps
/// its later part; a block stays whole in the spool until all of it is acknowledged.
pub(super) fn acknowledge(connection: &Connection, books: &mut Books, seq: u64) -> rusqlite::Result<()> {
    let mut border = seq;
    if let Some(row) = row_at(connection, seq, false)?.filter(|row| row.last > seq) {
        if row.kind == ItemKind::Gap as i32 {
            let gap = decode_gap(&row.body).unwrap_or_default();
            let rest = gap_row(gap::trimmed(gap, seq + 1, row.last));
            delete(connection, row.first)?;
            put(connection, seq + 1, row.last, &rest)?;
            books.unacked_bytes = books.unacked_bytes.saturating_sub(row.bytes) + rest.bytes();
        } else {
            border = row.first - 1;
        }
    }
    let mut select = connection.prepare_cached(
        "SELECT CASE kind WHEN ?3 THEN run END, bytes, seq FROM items WHERE seq > ?1 AND seq <= ?2",
    )?;
    let mut rows = select.query(params![sql(books.border), sql(border), ItemKind::Event as i32])?;
    let mut moved = 0;
    while let Some(row) = rows.next()? {
        let bytes = row.get::<_, i64>(1)?.unsigned_abs();
        let run = row.get_ref(0)?.as_str_or_null()?;
        books.shares.less(run, bytes);
        if let Some(run) = run {
            books.kept.add(run, row.get::<_, i64>(2)?.unsigned_abs(), bytes);
        }
        moved += bytes;
    }
    (books.acked, books.border) = (seq, border);
    books.acked_bytes += moved;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(moved);
    Ok(())
}

/// Puts a Gap in the place of the unacknowledged item at `seq`, if there is one: the row that
/// begins there, or one event of a block.
pub(super) fn replace_by_gap(
    connection: &Connection,
    books: &mut Books,
    packer: &mut Packer,
    seq: u64,
    reason: &str,
) -> rusqlite::Result<()> {
    let Some(row) = row_at(connection, seq, true)?.filter(|row| seq > books.acked && row.last >= seq) else {
        return Ok(());
    };
    let events = match held(&row.body, row.last - row.first + 1, row.run.as_deref()) {
        Some(Held::Block(block)) => {
            block.open().and_then(|events| events.iter().collect::<Result<Vec<_>, _>>()).ok()
        }
        Some(Held::Item(_)) | None => None,
    };
    // A row that is no block, or one that nobody can read, goes as a whole.
    let (first, last) =
        if events.is_some() { (seq, seq) } else { (row.first.max(books.acked + 1), row.last) };
    if events.is_none() && row.kind != ItemKind::Event as i32 && row.first != seq {
        return Ok(());
    }
    let mut lost = Lost::default();
    let items = if row.kind == ItemKind::Event as i32 { last - first + 1 } else { 1 };
    lost.count_by_run(row.run.as_deref(), items);
    lost.reason(reason);
    let gap = gap_row(lost.gap(first, last));
    delete(connection, row.first)?;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(row.bytes) + gap.bytes();
    books.shares.less(row.run.as_deref(), row.bytes);
    put(connection, first, last, &gap)?;
    let Some(events) = events else {
        if row.first <= books.acked {
            // The acknowledged part of the row is removed with it.
            books.border = books.acked;
        }
        return Ok(());
    };
    let (before, after) =
        events.split_at(usize::try_from(seq - row.first).unwrap_or(usize::MAX).min(events.len()));
    let run = row.run.as_deref().unwrap_or_default();
    let mut put_back = |from: u64, events: &[v1::Event]| {
        put_events(connection, packer, from, events, |first, last, bytes| {
            if last <= books.acked {
                books.acked_bytes += bytes;
                books.kept.add(run, first, bytes);
                books.border = last;
            } else {
                books.unacked_bytes += bytes;
                books.shares.add(run, first, bytes);
            }
        })
    };
    put_back(row.first, before)?;
    put_back(seq + 1, after.get(1..).unwrap_or_default())
}

/// Writes events of one run at the positions from `first` on; `placed` hears first and last
/// position of each row, and its bytes.
pub(super) fn put_events(
    connection: &Connection,
    packer: &mut Packer,
    mut first: u64,
    mut events: &[v1::Event],
    mut placed: impl FnMut(u64, u64, u64),
) -> rusqlite::Result<()> {
    while let Some(event) = events.first() {
        let (row, count) = match append::block(packer, events.iter()).map_err(packing)? {
            Some(block) => block,
            None => (append::event_row(event), 1),
        };
        let last = first + count - 1;
        put(connection, first, last, &row)?;
        placed(first, last, row.bytes());
        first = last + 1;
        events = &events[usize::try_from(count).unwrap_or(usize::MAX).min(events.len())..];
    }
    Ok(())
}

/// For a transaction, which ends with the error.
fn packing(error: PackError) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// A row as it stands in the table.
struct Stored {
    first: u64,
    last: u64,
    kind: i32,
    run: Option<String>,
    bytes: u64,
    body: Vec<u8>,
}

/// The row that begins at `seq`, or the last one before; with its body if it is a Gap over `seq`,
/// or wanted.
fn row_at(connection: &Connection, seq: u64, with_body: bool) -> rusqlite::Result<Option<Stored>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, last, kind, run, bytes, CASE WHEN ?2 OR (kind = ?3 AND last > ?1) THEN body END
         FROM items WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let stored = |row: &rusqlite::Row<'_>| {
        Ok(Stored {
            first: row.get::<_, i64>(0)?.unsigned_abs(),
            last: row.get::<_, i64>(1)?.unsigned_abs(),
            kind: row.get(2)?,
            run: row.get(3)?,
            bytes: row.get::<_, i64>(4)?.unsigned_abs(),
            body: row.get::<_, Option<_>>(5)?.unwrap_or_default(),
        })
    };
    select.query_row(params![sql(seq), with_body, ItemKind::Gap as i32], stored).optional()
}

fn delete(connection: &Connection, first: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM items WHERE seq = ?1")?.execute([sql(first)]).map(drop)
}
