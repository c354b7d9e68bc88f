//! Small blocks of the history → larger ones.
//!
//! An agent that does little fills no block before its events have to be durable. Once nobody waits
//! for them, those that stand one behind the other are packed again, together: a slow agent then
//! takes as little room as a fast one. Each event is packed again once, or twice.

use rusqlite::{Connection, params};
use sentry_proto::{
    block::{EVENTS, Packer},
    v1::{self, ItemKind, item},
};

use super::{
    books::Books,
    border::put_events,
    row::{Held, held, sql},
};

/// Rows looked at in one step.
const ROWS: i64 = 8_192;
/// Events that are packed again in one step.
const STEP: u64 = EVENTS as u64;
/// Most bytes of the rows that are packed together.
const BYTES: u64 = 4 << 20;
/// Events for which the end of the history is packed again; before, more may come.
const ENOUGH: u64 = EVENTS as u64 / 2;

/// Rows of one run that stand one behind the other.
#[derive(Debug)]
pub(super) struct Group {
    first: u64,
    last: u64,
    run: String,
    agent: Option<String>,
    rows: u64,
    bytes: u64,
}

impl Group {
    fn events(&self) -> u64 {
        self.last + 1 - self.first
    }
}

/// The blocks to merge in one step.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    /// Where to continue.
    pub(super) next: u64,
    /// Whether there may be something.
    pub(super) more: bool,
}

/// Looks for rows from `from` on, and up to `border`.
pub(super) fn find(connection: &Connection, from: u64, border: u64) -> rusqlite::Result<Found> {
    let mut found = Found { next: from, ..Found::default() };
    let mut select = connection.prepare_cached(
        "SELECT seq, last, kind, run, agent, bytes FROM items WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq \
        LIMIT ?3",
    )?;
    let mut rows = select.query(params![sql(from), sql(border), ROWS])?;
    let mut open: Option<Group> = None;
    let (mut looked_at, mut events) = (0, 0);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        let (first, last) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        let is_event = row.get::<_, i32>(2)? == ItemKind::Event as i32;
        let run = row.get_ref(3)?.as_str_or_null()?.filter(|_| is_event);
        let agent = row.get_ref(4)?.as_str_or_null()?;
        let bytes = row.get::<_, i64>(5)?.unsigned_abs();
        if let Some(group) = &mut open
            && group.last + 1 == first
            && run == Some(group.run.as_str())
            && agent == group.agent.as_deref()
            && last + 1 - group.first <= EVENTS as u64
            && group.bytes + bytes <= BYTES
        {
            (group.last, group.rows, group.bytes) = (last, group.rows + 1, group.bytes + bytes);
            continue;
        }
        if let Some(done) = open.take().filter(|group| group.rows > 1) {
            events += done.events();
            found.groups.push(done);
        }
        found.next = first;
        if events >= STEP {
            found.more = true;
            return Ok(found);
        }
        open = run.map(|run| {
            let (run, agent) = (run.to_owned(), agent.map(str::to_owned));
            Group { first, last, run, agent, rows: 1, bytes }
        });
        if open.is_none() {
            found.next = last + 1;
        }
    }
    found.more = looked_at == ROWS;
    if let Some(last) = open.filter(|group| group.rows > 1 && (group.events() >= ENOUGH || found.more)) {
        found.next = last.last + 1;
        found.groups.push(last);
    }
    Ok(found)
}

/// Packs the events of a group together. One that cannot be read stays as it is.
pub(super) fn merge(
    connection: &Connection,
    books: &mut Books,
    packer: &mut Packer,
    group: &Group,
) -> rusqlite::Result<()> {
    let Some(events) = events(connection, group)? else { return Ok(()) };
    connection
        .prepare_cached("DELETE FROM items WHERE seq >= ?1 AND seq <= ?2")?
        .execute([sql(group.first), sql(group.last)])?;
    books.acked_bytes = books.acked_bytes.saturating_sub(group.bytes);
    books.kept.less(Some(&group.run), group.bytes);
    put_events(connection, packer, group.first, &events, |first, _, bytes| {
        books.acked_bytes += bytes;
        books.kept.add(&group.run, first, bytes);
    })
}

/// `None`: a row is damaged.
fn events(connection: &Connection, group: &Group) -> rusqlite::Result<Option<Vec<v1::Event>>> {
    let mut select = connection.prepare_cached(
        "SELECT last + 1 - seq, body FROM items WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq",
    )?;
    let mut rows = select.query([sql(group.first), sql(group.last)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().unwrap_or_default();
        match held(body, row.get::<_, i64>(0)?.unsigned_abs(), Some(&group.run)) {
            Some(Held::Item(v1::Item { item: Some(item::Item::Event(event)) })) => events.push(event),
            Some(Held::Block(block)) => {
                match block.open().and_then(|block| block.iter().collect::<Result<Vec<_>, _>>()) {
                    Ok(more) => events.extend(more),
                    Err(_damaged) => return Ok(None),
                }
            }
            Some(Held::Item(_)) | None => return Ok(None),
        }
    }
    Ok((events.len() as u64 == group.events()).then_some(events))
}
