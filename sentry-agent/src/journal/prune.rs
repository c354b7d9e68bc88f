//! Keeps the journal inside its limits. Every function runs inside the caller's transaction.

use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::v1::ItemKind;

use super::{
    Limits,
    books::Books,
    gap::Lost,
    row::{decode_gap, gap_row, put, sql},
};

/// Rows looked at in one step.
const STEP: i64 = 1_000;
/// More than the largest Gap takes: so much more goes, or the Gap itself would keep the spool over
/// its limit.
const GAP_ROOM: u64 = 4 << 10;

/// A run with more than this part of the spool, or of the history, makes room before others do.
const FAIR_PART: u64 = 8;

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
        let went = forget_of(connection, (&run, from), books.border, over)?;
        books.kept.went(&run, went.bytes, went.next);
        books.acked_bytes = books.acked_bytes.saturating_sub(went.bytes);
    }
    while books.acked_bytes > limits.keep_bytes {
        let over = books.acked_bytes - limits.keep_bytes;
        let Some((cut, bytes)) = oldest(connection, (0, books.border), over)? else {
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
    oldest_of(connection, run, (from, until), over, |row| went.add(row))?;
    connection
        .prepare_cached("DELETE FROM items WHERE seq >= ?1 AND seq < ?2 AND run = ?3 AND kind = ?4")?
        .execute(params![sql(from), sql(went.next), run, ItemKind::Event as i32])?;
    Ok(went)
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
    fn add(&mut self, Stretch { first, last, bytes }: Stretch) {
        *self = Self { items: self.items + (last + 1 - first), bytes: self.bytes + bytes, next: last + 1 };
    }
}

/// Events of one run that stand one behind the other.
#[derive(Clone, Copy)]
struct Stretch {
    first: u64,
    last: u64,
    bytes: u64,
}

/// The rows with the oldest events of a run, from one position to another: as many as have `over`
/// bytes, at most [`STEP`].
fn oldest_of(
    connection: &Connection,
    run: &str,
    (from, until): (u64, u64),
    over: u64,
    mut take: impl FnMut(Stretch),
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached(
        "SELECT seq, bytes, last FROM items WHERE seq >= ?1 AND seq <= ?2 AND run = ?3 AND kind = ?4 ORDER \
        BY seq LIMIT ?5",
    )?;
    let mut rows = select.query(params![sql(from), sql(until), run, ItemKind::Event as i32, STEP])?;
    let mut sum = 0;
    while sum < over
        && let Some(row) = rows.next()?
    {
        let (first, bytes) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        sum += bytes;
        take(Stretch { first, last: row.get::<_, i64>(2)?.unsigned_abs(), bytes });
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
    let mut stretches: Vec<Stretch> = Vec::new();
    let acked = books.acked;
    oldest_of(connection, run, (from.max(books.border + 1), books.next), over, |row| {
        match stretches.last_mut() {
            Some(before) if before.last + 1 == row.first => {
                (before.last, before.bytes) = (row.last, before.bytes + row.bytes);
            }
            _ => stretches.push(row),
        }
        // The acknowledged part of a block is not lost.
        went.add(Stretch { first: row.first.max(acked + 1), ..row });
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
    Stretch { first: row, last, bytes }: Stretch,
) -> rusqlite::Result<()> {
    let first = row.max(books.acked + 1);
    let mut lost = Lost::default();
    lost.count_by_run(Some(run), last - first + 1);
    lost.reason("spool-full");
    let mut select = connection.prepare_cached(
        "SELECT seq, last, bytes, CASE kind WHEN ?3 THEN body END FROM items
         WHERE seq < ?1 AND seq > ?2 ORDER BY seq DESC LIMIT 1",
    )?;
    let before: Option<(i64, i64, i64, Option<Vec<u8>>)> = select
        .query_row(params![sql(row), sql(books.border), ItemKind::Gap as i32], |row| {
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
        .execute([sql(begin.min(row)), sql(last)])?;
    let gap = gap_row(lost.gap(begin, last));
    put(connection, begin, last, &gap)?;
    books.unacked_bytes = books.unacked_bytes.saturating_sub(gone) + gap.bytes();
    if row <= books.acked {
        books.border = books.acked;
    }
    Ok(())
}

/// Replaces the oldest unacknowledged rows by one Gap until the others fit.
fn make_room(connection: &Connection, books: &mut Books, limit: u64) -> rusqlite::Result<u64> {
    let mut dropped = 0;
    while books.unacked_bytes > limit {
        let over = books.unacked_bytes - limit + GAP_ROOM;
        let Some((mut cut, _)) = oldest(connection, (books.border, u64::MAX), over)? else {
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
            // Only one Gap is left: the limit is smaller than that.
            break;
        }
        connection
            .prepare_cached("DELETE FROM items WHERE seq > ?1 AND seq <= ?2")?
            .execute([sql(books.border), sql(cut)])?;
        // The acknowledged part of a block is removed with it.
        books.border = books.acked;
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
    let mut rows = select.query(params![sql(books.border), sql(cut), ItemKind::Gap as i32])?;
    while let Some(row) = rows.next()? {
        taken.rows += 1;
        let (first, last) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        taken.last = taken.last.max(last);
        let bytes = row.get::<_, i64>(3)?.unsigned_abs();
        taken.bytes += bytes;
        match row.get::<_, Option<Vec<u8>>>(4)? {
            Some(gap) => taken.lost.absorb(&decode_gap(&gap).unwrap_or_default()),
            None => {
                let run = row.get_ref(2)?.as_str_or_null()?;
                let items = last + 1 - first.max(acked + 1);
                taken.items += items;
                taken.lost.count_by_run(run, items);
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
