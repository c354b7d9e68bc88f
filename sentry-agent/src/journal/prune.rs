//! Keeps the journal inside its limits. Every function runs inside the caller's transaction.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::v1::{self, ItemKind, item};

use super::{
    Limits,
    gap::{self, Lost},
    share::Shares,
    store::{Row, sql},
};

/// Rows looked at in one step.
const STEP: i64 = 1_000;
/// More than the largest Gap takes: so much more goes, or the Gap itself would keep the spool over
/// its limit.
const GAP_ROOM: u64 = 4 << 10;

/// Positions and sizes, as the tables have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Books {
    /// Position of the next item.
    pub(super) next: u64,
    /// Position before the first one of the epoch.
    pub(super) base: u64,
    /// What the collector has acknowledged in the epoch; never beyond `acked`.
    pub(super) confirmed: u64,
    /// What nobody waits for: acknowledged, or released where there is no collector.
    pub(super) acked: u64,
    pub(super) acked_bytes: u64,
    pub(super) unacked_bytes: u64,
    /// Of the events that are not acknowledged, the spool.
    pub(super) shares: Shares,
    /// Of those that are, the history.
    pub(super) kept: Shares,
}

/// A run with more than this part of the spool, or of the history, makes room before others do.
const FAIR_PART: u64 = 8;

/// What the runs have of the events at the positions in `(after, until]`.
pub(super) fn shares(connection: &Connection, (after, until): (u64, u64)) -> rusqlite::Result<Shares> {
    let mut shares = Shares::default();
    let mut select = connection.prepare(
        "SELECT run, MIN(seq), SUM(bytes) FROM items
         WHERE seq > ?1 AND seq <= ?2 AND kind = ?3 AND run IS NOT NULL GROUP BY run",
    )?;
    let mut rows = select.query(params![sql(after), sql(until), ItemKind::Event as i32])?;
    while let Some(row) = rows.next()? {
        let (first, bytes) = (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, i64>(2)?.unsigned_abs());
        shares.add(row.get_ref(0)?.as_str()?, first, bytes);
    }
    Ok(shares)
}

/// Deletes what is over the limits; returns how many unacknowledged items that were.
pub(super) fn prune(connection: &Connection, books: &mut Books, limits: Limits) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    while books.unacked_bytes > limits.spool_bytes
        && let Some((run, from)) = books.shares.largest(limits.spool_bytes / FAIR_PART)
    {
        let over = books.unacked_bytes - limits.spool_bytes;
        let went = thin_out(connection, books, (&run, from), over)?;
        books.shares.went(&run, went.bytes, went.next);
        dropped += went.items;
    }
    dropped += make_room(connection, books, limits.spool_bytes)?;
    while books.acked_bytes > limits.keep_bytes
        && let Some((run, from)) = books.kept.largest(limits.keep_bytes / FAIR_PART)
    {
        let over = books.acked_bytes - limits.keep_bytes;
        let went = forget_of(connection, (&run, from), books.acked, over)?;
        books.kept.went(&run, went.bytes, went.next);
        books.acked_bytes = books.acked_bytes.saturating_sub(went.bytes);
    }
    while books.acked_bytes > limits.keep_bytes {
        let over = books.acked_bytes - limits.keep_bytes;
        let Some((cut, bytes)) = oldest(connection, (0, books.acked), over)? else {
            books.acked_bytes = 0;
            break;
        };
        let mut select =
            connection.prepare_cached("SELECT run, bytes FROM items WHERE seq <= ?1 AND kind = ?2")?;
        let mut rows = select.query(params![sql(cut), ItemKind::Event as i32])?;
        while let Some(row) = rows.next()? {
            books.kept.less(row.get_ref(0)?.as_str_or_null()?, row.get::<_, i64>(1)?.unsigned_abs());
        }
        drop(rows);
        connection.prepare_cached("DELETE FROM items WHERE seq <= ?1")?.execute([sql(cut)])?;
        books.acked_bytes = books.acked_bytes.saturating_sub(bytes);
    }
    Ok(dropped)
}

/// Deletes the oldest events of a run from the history, which stand at `from` or behind and up to
/// `until`: as many as have `over` bytes, at most [`STEP`].
fn forget_of(
    connection: &Connection,
    (run, from): (&str, u64),
    until: u64,
    over: u64,
) -> rusqlite::Result<Went> {
    let mut went = Went::default();
    oldest_of(connection, run, (from, until), over, |seq, bytes| went.add(seq, bytes))?;
    connection
        .prepare_cached("DELETE FROM items WHERE seq >= ?1 AND seq < ?2 AND run = ?3 AND kind = ?4")?
        .execute(params![sql(from), sql(went.next), run, ItemKind::Event as i32])?;
    Ok(went)
}

/// Moves the border between what is acknowledged and what is not. A Gap that it falls into keeps
/// its later part.
pub(super) fn acknowledge(connection: &Connection, books: &mut Books, seq: u64) -> rusqlite::Result<()> {
    let straddling = gap_over(connection, seq)?;
    if let Some((first, last, gap, bytes)) = straddling {
        let rest = gap_row(gap::trimmed(gap, seq + 1, last));
        connection.prepare_cached("DELETE FROM items WHERE seq = ?1")?.execute([sql(first)])?;
        put(connection, seq + 1, last, &rest)?;
        books.unacked_bytes = books.unacked_bytes.saturating_sub(bytes) + rest.bytes();
    }
    let mut select = connection.prepare_cached(
        "SELECT CASE kind WHEN ?3 THEN run END, bytes, seq FROM items WHERE seq > ?1 AND seq <= ?2",
    )?;
    let mut rows = select.query(params![sql(books.acked), sql(seq), ItemKind::Event as i32])?;
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
    books.acked = seq;
    books.acked_bytes += moved;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(moved);
    Ok(())
}

/// Puts a Gap in the place of the unacknowledged row that begins at `seq`, if there is one.
pub(super) fn replace_by_gap(
    connection: &Connection,
    books: &mut Books,
    seq: u64,
    reason: &str,
) -> rusqlite::Result<()> {
    let mut select =
        connection.prepare_cached("SELECT last, run, bytes FROM items WHERE seq = ?1 AND seq > ?2")?;
    let row: Option<(i64, Option<String>, i64)> = select
        .query_row([sql(seq), sql(books.acked)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((last, run, bytes)) = row else { return Ok(()) };
    let mut lost = Lost::default();
    lost.count_by_run(run.as_deref(), 1);
    lost.reason(reason);
    let gap = gap_row(lost.gap(seq, last.unsigned_abs()));
    connection.prepare_cached("DELETE FROM items WHERE seq = ?1")?.execute([sql(seq)])?;
    put(connection, seq, last.unsigned_abs(), &gap)?;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(bytes.unsigned_abs()) + gap.bytes();
    books.shares.less(run.as_deref(), bytes.unsigned_abs());
    Ok(())
}

pub(super) fn gap_row(gap: v1::Gap) -> Row<'static> {
    let body = gap::item(gap).encode_to_vec();
    Row { kind: ItemKind::Gap, run: None, agent: None, time_unix_ns: 0, body }
}

pub(super) fn put(connection: &Connection, first: u64, last: u64, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO items (seq, last, kind, run, agent, time, bytes, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert
        .execute(params![
            sql(first),
            sql(last),
            row.kind as i32,
            row.run,
            row.agent,
            sql(row.time_unix_ns),
            sql(row.bytes()),
            row.body,
        ])
        .map(drop)
}

/// Events of one run that were deleted, or that Gaps took the place of.
#[derive(Default)]
struct Went {
    items: u64,
    bytes: u64,
    /// Position behind the last of them.
    next: u64,
}

impl Went {
    fn add(&mut self, seq: u64, bytes: u64) {
        *self = Self { items: self.items + 1, bytes: self.bytes + bytes, next: seq + 1 };
    }
}

/// Position and bytes of the oldest events of a run, from one position to another: as many as have
/// `over` bytes, at most [`STEP`].
fn oldest_of(
    connection: &Connection,
    run: &str,
    (from, until): (u64, u64),
    over: u64,
    mut take: impl FnMut(u64, u64),
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT seq, bytes FROM items WHERE seq >= ?1 AND seq <= ?2 AND run = ?3 AND kind = ?4 ORDER BY seq LIMIT ?5",
    )?;
    let mut rows = select.query(params![sql(from), sql(until), run, ItemKind::Event as i32, STEP])?;
    let mut sum = 0;
    while sum < over
        && let Some(row) = rows.next()?
    {
        let (seq, bytes) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        sum += bytes;
        take(seq, bytes);
    }
    Ok(())
}

/// Replaces the oldest unacknowledged events of a run, which stand at `from` or behind, by Gaps: as
/// many as have `over` bytes, at most [`STEP`].
fn thin_out(
    connection: &Connection,
    books: &mut Books,
    (run, from): (&str, u64),
    over: u64,
) -> rusqlite::Result<Went> {
    let mut went = Went::default();
    // First and last position of events that stand one behind the other, and their bytes.
    let mut stretches: Vec<(u64, u64, u64)> = Vec::new();
    oldest_of(connection, run, (from.max(books.acked + 1), books.next), over, |seq, bytes| {
        match stretches.last_mut() {
            Some((_, last, sum)) if *last + 1 == seq => (*last, *sum) = (seq, *sum + bytes),
            _ => stretches.push((seq, seq, bytes)),
        }
        went.add(seq, bytes);
    })?;
    for stretch in stretches {
        gap_for(connection, books, run, stretch)?;
    }
    Ok(went)
}

/// Puts a Gap in the place of a run's events from `first` to `last`, and of a Gap right before
/// them.
fn gap_for(
    connection: &Connection,
    books: &mut Books,
    run: &str,
    (first, last, bytes): (u64, u64, u64),
) -> rusqlite::Result<()> {
    let mut lost = Lost::default();
    lost.count_by_run(Some(run), last - first + 1);
    lost.reason("spool-full");
    let mut select = connection.prepare_cached(
        "SELECT seq, last, bytes, CASE kind WHEN ?3 THEN body END FROM items
         WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC LIMIT 1",
    )?;
    let before: Option<(i64, i64, i64, Option<Vec<u8>>)> = select
        .query_row(params![sql(first), sql(books.acked), ItemKind::Gap as i32], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (mut begin, mut gone) = (first, bytes);
    if let Some((seq, end, size, Some(body))) = before
        && end.unsigned_abs() + 1 == first
    {
        lost.absorb(&decode_gap(&body).unwrap_or_default());
        (begin, gone) = (seq.unsigned_abs(), bytes + size.unsigned_abs());
    }
    connection
        .prepare_cached("DELETE FROM items WHERE seq >= ?1 AND seq <= ?2")?
        .execute([sql(begin), sql(last)])?;
    let row = gap_row(lost.gap(begin, last));
    put(connection, begin, last, &row)?;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(gone) + row.bytes();
    Ok(())
}

/// Replaces the oldest unacknowledged rows by one Gap until the others fit.
fn make_room(connection: &Connection, books: &mut Books, limit: u64) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    while books.unacked_bytes > limit {
        let over = books.unacked_bytes - limit + GAP_ROOM;
        let Some((mut cut, _)) = oldest(connection, (books.acked, u64::MAX), over)? else {
            books.unacked_bytes = 0;
            break;
        };
        // A Gap right behind becomes part of this one.
        if let Some(next) = gap_after(connection, cut)? {
            cut = next;
        }
        let taken = take(connection, books, cut)?;
        let row = gap_row(taken.lost.gap(taken.first, taken.last));
        let added = row.bytes();
        if taken.rows == 1 && taken.items == 0 {
            // One Gap is all there is: the limit is smaller than that.
            break;
        }
        connection
            .prepare_cached("DELETE FROM items WHERE seq > ?1 AND seq <= ?2")?
            .execute([sql(books.acked), sql(cut)])?;
        put(connection, taken.first, taken.last, &row)?;
        books.unacked_bytes = books.unacked_bytes.saturating_sub(taken.bytes) + added;
        dropped += taken.items;
    }
    Ok(dropped)
}

/// The rows that go, added up.
struct Taken {
    first: u64,
    last: u64,
    rows: u64,
    /// Rows that are items, not Gaps.
    items: u64,
    bytes: u64,
    lost: Lost,
}

fn take(connection: &Connection, books: &mut Books, cut: u64) -> rusqlite::Result<Taken> {
    let acked = books.acked;
    let mut taken = Taken { first: acked + 1, last: cut, rows: 0, items: 0, bytes: 0, lost: Lost::default() };
    let mut select = connection.prepare_cached(
        "SELECT seq, last, run, bytes, CASE kind WHEN ?3 THEN body END, kind FROM items
         WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
    )?;
    let mut rows = select.query(params![sql(acked), sql(cut), ItemKind::Gap as i32])?;
    while let Some(row) = rows.next()? {
        taken.rows += 1;
        taken.last = taken.last.max(row.get::<_, i64>(1)?.unsigned_abs());
        let bytes = row.get::<_, i64>(3)?.unsigned_abs();
        taken.bytes += bytes;
        match row.get::<_, Option<Vec<u8>>>(4)? {
            Some(gap) => taken.lost.absorb(&decode_gap(&gap).unwrap_or_default()),
            None => {
                let run = row.get_ref(2)?.as_str_or_null()?;
                taken.items += 1;
                taken.lost.count_by_run(run, 1);
                if row.get::<_, i32>(5)? == ItemKind::Event as i32 {
                    books.shares.less(run, bytes);
                }
            }
        }
    }
    taken.lost.reason("spool-full");
    Ok(taken)
}

/// The last of the oldest rows in `(after, until]` that have `over` bytes together, and how many
/// they have. At most [`STEP`] rows at a time.
fn oldest(
    connection: &Connection,
    (after, until): (u64, u64),
    over: u64,
) -> rusqlite::Result<Option<(u64, u64)>> {
    let mut select = connection
        .prepare_cached("SELECT seq, bytes FROM items WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")?;
    let mut rows = select.query([sql(after), sql(until), STEP])?;
    let mut found = None;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get::<_, i64>(1)?.unsigned_abs();
        found = Some((row.get::<_, i64>(0)?.unsigned_abs(), bytes));
        if bytes >= over {
            break;
        }
    }
    Ok(found)
}

/// Position of the row after `seq`, if that row is a Gap.
fn gap_after(connection: &Connection, seq: u64) -> rusqlite::Result<Option<u64>> {
    let mut select =
        connection.prepare_cached("SELECT seq, kind FROM items WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
    let next: Option<(i64, i32)> =
        select.query_row([sql(seq)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(next.filter(|(_, kind)| *kind == ItemKind::Gap as i32).map(|(first, _)| first.unsigned_abs()))
}

type PlacedGap = (u64, u64, v1::Gap, u64);

/// The Gap that begins at or before `seq` and goes on behind it.
fn gap_over(connection: &Connection, seq: u64) -> rusqlite::Result<Option<PlacedGap>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, last, bytes, body FROM items WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1",
    )?;
    let row: Option<(i64, i64, i64, Vec<u8>)> = select
        .query_row([sql(seq)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    Ok(row.filter(|(_, last, _, _)| *last > sql(seq)).map(|(first, last, bytes, body)| {
        let (first, last) = (first.unsigned_abs(), last.unsigned_abs());
        let gap = decode_gap(&body).unwrap_or_default();
        (first, last, gap, bytes.unsigned_abs())
    }))
}

fn decode_gap(body: &[u8]) -> Option<v1::Gap> {
    match v1::Item::decode(body).ok()?.item? {
        item::Item::Gap(gap) => Some(gap),
        _ => None,
    }
}
