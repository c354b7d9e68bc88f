//! The reading side, on a connection of its own: ranges for the exporter, pages for queries.
//!
//! Reading is total: a row whose body does not decode, and positions that have no row, come out as
//! Gaps.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::v1::{self, ItemKind, item};

use super::{gap, store::sql};

/// Most items of one read.
const ITEMS_AT_ONCE: usize = 4_096;

/// Items one behind the other, without holes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Epoch of the file that was read.
    pub epoch: String,
    /// Position of the first item.
    pub first: u64,
    /// Position where the last item ends; less than `first` if there are none.
    pub last: u64,
    pub items: Vec<v1::Item>,
    /// Rows that did not decode.
    pub corrupt: u64,
}

/// What a query asks for. Gaps match every run and agent that they may hold something of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub run: Option<String>,
    pub agent: Option<String>,
    /// None = all.
    pub kinds: Vec<ItemKind>,
}

/// Reads on from position `seq` of the epoch that begins behind `base`: at least one item if there
/// is one, then as many as `max_bytes` hold.
pub(super) fn read_from(
    connection: &Connection,
    base: u64,
    seq: u64,
    max_bytes: usize,
) -> rusqlite::Result<Batch> {
    let mut batch = Batch { first: seq, last: seq.saturating_sub(1), ..Batch::default() };
    let of_epoch = |position: i64| position.unsigned_abs().saturating_sub(base);
    let mut bytes = 0;
    let mut select = connection.prepare_cached(
        // From the row that `seq` is in: a Gap may begin before it.
        "SELECT seq, last, kind, body FROM items
         WHERE seq >= IFNULL((SELECT MAX(seq) FROM items WHERE seq <= ?1), ?1) AND last >= ?1
         ORDER BY seq LIMIT ?2",
    )?;
    let from = base.saturating_add(seq);
    let mut rows = select.query(params![sql(from), sql(ITEMS_AT_ONCE as u64)])?;
    while let Some(row) = rows.next()? {
        let (first, last) = (of_epoch(row.get(0)?), of_epoch(row.get(1)?));
        let expected = batch.last + 1;
        let start = first.max(expected);
        let hole = (first > expected).then(|| gap::unknown(expected, first - 1, "not-kept"));
        let decoded = decode(row.get_ref(3)?.as_blob().unwrap_or_default(), start, last);
        let size = decoded.as_ref().map_or(0, prost::Message::encoded_len)
            + hole.as_ref().map_or(0, prost::Message::encoded_len)
            // Tag and length of each in its message.
            + 16;
        if !batch.items.is_empty() && bytes + size > max_bytes {
            break;
        }
        bytes += size;
        batch.items.extend(hole);
        batch.items.push(decoded.unwrap_or_else(|| {
            batch.corrupt += 1;
            gap::unknown(start, last, "corrupt")
        }));
        batch.last = last;
    }
    Ok(batch)
}

/// Where the newest `newest` items that match begin; 0 asks for all.
pub(super) fn start_of(connection: &Connection, filter: &Filter, newest: u64) -> rusqlite::Result<u64> {
    if newest == 0 {
        return Ok(0);
    }
    let select =
        format!("SELECT seq FROM ({}) ORDER BY seq DESC LIMIT 1 OFFSET ?3", filter.select("seq", ""));
    let start: Option<i64> = connection
        .prepare_cached(&select)?
        .query_row(params![filter.run, filter.agent, sql(newest - 1)], |row| row.get(0))
        .optional()?;
    Ok(start.unwrap_or(0).unsigned_abs())
}

/// One page of a query, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub items: Vec<(u64, v1::Item)>,
    /// Where to read on; `None` at the end.
    pub next: Option<u64>,
    pub corrupt: u64,
}

/// Items that match from position `from` on, at most `max_bytes` of them (but one).
pub(super) fn page(
    connection: &Connection,
    filter: &Filter,
    from: u64,
    max_bytes: usize,
) -> rusqlite::Result<Page> {
    let mut page = Page::default();
    let mut bytes = 0;
    let select =
        format!("{} ORDER BY seq LIMIT ?4", filter.select("seq, last, kind, body", " AND seq >= ?3"));
    let mut select = connection.prepare_cached(&select)?;
    let limit = sql(ITEMS_AT_ONCE as u64);
    let mut rows = select.query(params![filter.run, filter.agent, sql(from), limit])?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let (first, last) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        let body = row.get_ref(3)?.as_blob().unwrap_or_default();
        if bytes + body.len() > max_bytes && !page.items.is_empty() {
            page.next = Some(first);
            return Ok(page);
        }
        seen += 1;
        bytes += body.len();
        let item = decode(body, first, last).unwrap_or_else(|| {
            page.corrupt += 1;
            gap::unknown(first, last, "corrupt")
        });
        if filter.admits(&item) {
            page.items.push((first, item));
        }
        page.next = Some(last + 1);
    }
    if seen < ITEMS_AT_ONCE {
        page.next = None;
    }
    Ok(page)
}

/// Last known state of runs, oldest change first.
pub(super) fn runs(connection: &Connection, include_ended: bool) -> rusqlite::Result<Vec<v1::Run>> {
    let mut select =
        connection.prepare_cached("SELECT body FROM runs WHERE ?1 OR state != ?2 ORDER BY first_seq, run")?;
    let bodies = select
        .query_map(params![include_ended, v1::RunState::Ended as i32], |row| row.get::<_, Vec<u8>>(0))?;
    let mut runs = Vec::new();
    for body in bodies {
        runs.extend(v1::Run::decode(body?.as_slice()).ok());
    }
    Ok(runs)
}

/// Where a page of runs ends: its last run's first position, and its id.
pub type RunsCursor = (u64, String);

/// Last known state of the runs behind `after`, oldest first, without what only a report shows:
/// about `max_bytes` of them, and where to read on.
pub(super) fn runs_page(
    connection: &Connection,
    (after, id): &RunsCursor,
    max_bytes: usize,
) -> rusqlite::Result<(Vec<v1::Run>, Option<RunsCursor>)> {
    let mut select = connection.prepare_cached(
        "SELECT first_seq, run, body FROM runs WHERE (first_seq, run) > (?1, ?2) ORDER BY first_seq, run",
    )?;
    let mut rows = select.query(params![sql(*after), id])?;
    let (mut runs, mut bytes, mut last) = (Vec::new(), 0, None);
    while let Some(row) = rows.next()? {
        if bytes >= max_bytes {
            return Ok((runs, last));
        }
        last = Some((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?));
        let Ok(run) = v1::Run::decode(row.get_ref(2)?.as_blob().unwrap_or_default()) else { continue };
        let run = brief(run);
        bytes += run.encoded_len();
        runs.push(run);
    }
    Ok((runs, None))
}

/// A run without what only a report shows.
#[must_use]
pub fn brief(run: v1::Run) -> v1::Run {
    v1::Run { flows: Vec::new(), executed: Vec::new(), executed_unlisted: 0, stopped: Vec::new(), ..run }
}

/// Id and agent of every run, oldest first.
pub(super) fn run_names(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut select = connection.prepare_cached("SELECT run, agent FROM runs ORDER BY first_seq, run")?;
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn run(connection: &Connection, id: &str) -> rusqlite::Result<Option<v1::Run>> {
    let mut select = connection.prepare_cached("SELECT body FROM runs WHERE run = ?1")?;
    let body: Option<Vec<u8>> = select.query_row([id], |row| row.get(0)).optional()?;
    Ok(body.and_then(|body| v1::Run::decode(body.as_slice()).ok()))
}

pub(super) fn command_result(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<v1::CommandResult>> {
    let mut select = connection.prepare_cached("SELECT body FROM commands WHERE key = ?1")?;
    let body: Option<Option<Vec<u8>>> = select.query_row([key], |row| row.get(0)).optional()?;
    Ok(body.flatten().and_then(|body| v1::CommandResult::decode(body.as_slice()).ok()))
}

impl Filter {
    /// SQL over `?1` (run) and `?2` (agent). Kinds are numbers of ours, so they stand in the text.
    /// One run's items are found by their index, so that a question for it does not read through
    /// all others'.
    fn select(&self, columns: &str, and: &str) -> String {
        let gap = ItemKind::Gap as i32;
        let kinds: Vec<String> = self.kinds.iter().map(|kind| (*kind as i32).to_string()).collect();
        let kinds =
            if kinds.is_empty() { String::new() } else { format!(" AND kind IN ({})", kinds.join(",")) };
        let rest = format!("(?2 IS NULL OR agent = ?2 OR kind = {gap}){kinds}{and}");
        if self.run.is_none() {
            // Names each parameter, as the other does.
            return format!("SELECT {columns} FROM items WHERE ?1 IS NULL AND {rest}");
        }
        // A gap is of no run.
        format!(
            "SELECT {columns} FROM items INDEXED BY of_run WHERE run = ?1 AND {rest} \
             UNION ALL SELECT {columns} FROM items INDEXED BY gaps WHERE kind = {gap} AND {rest}"
        )
    }

    /// What SQL cannot see: the runs that a Gap names.
    fn admits(&self, item: &v1::Item) -> bool {
        match (&item.item, &self.run) {
            (Some(item::Item::Gap(gap)), Some(run)) => may_hold(gap, run),
            _ => true,
        }
    }
}

/// Whether items of the run may be among those a Gap stands for.
fn may_hold(gap: &v1::Gap, run: &str) -> bool {
    let named: u64 = gap.items_by_run.values().sum();
    gap.items_by_run.contains_key(run)
        || named < gap::width(gap)
        || gap.items_by_run.contains_key(gap::OTHERS)
}

/// A Gap gets the positions of its row.
fn decode(body: &[u8], first: u64, last: u64) -> Option<v1::Item> {
    let item = v1::Item::decode(body).ok().filter(|item| item.item.is_some())?;
    Some(match item.item {
        Some(item::Item::Gap(gap)) if first > 0 => gap::item(gap::trimmed(gap, first, last)),
        _ => item,
    })
}
