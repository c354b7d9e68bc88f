//! The reading side, on a connection of its own: ranges for the exporter, pages for queries.
//!
//! Reading is total: a row whose body does not decode, and positions that have no row, come out as
//! Gaps.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::{
    block::{Events, Question, Sieve},
    v1::{self, ItemKind, item},
};

use super::{
    gap,
    row::{Held, held, sql},
};

/// Most rows of one read.
const ROWS_AT_ONCE: usize = 4_096;

/// Most bytes of rows that one page looks into, whatever it finds there: others wait meanwhile.
const LOOKED_BYTES: usize = 8 << 20;

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
    /// Items, those in blocks counted one by one.
    pub held: u64,
    /// Rows that did not decode.
    pub corrupt: u64,
}

/// How events that are stored together are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Each is an item.
    #[default]
    Single,
    /// As blocks, where a read begins with the first of their events.
    Blocks,
}

/// What a query asks for. Gaps match every run and agent that they may hold something of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub run: Option<String>,
    pub agent: Option<String>,
    /// None = all.
    pub kinds: Vec<ItemKind>,
    /// Blocks of events in which this cannot be are left out.
    pub question: Option<Question>,
    /// Events of blocks that it does not let through are left out.
    pub sieve: Option<Sieve>,
    /// Neither question nor sieve is asked about blocks that come out whole.
    pub form: Form,
}

/// Reads on from position `seq` of the epoch that begins behind `base`: at least one item if there
/// is one, then as many as `max_bytes` hold.
pub(super) fn read_from(
    connection: &Connection,
    form: Form,
    (base, seq): (u64, u64),
    max_bytes: usize,
) -> rusqlite::Result<Batch> {
    let mut batch = Batch { first: seq, last: seq.saturating_sub(1), ..Batch::default() };
    let mut bytes = 0;
    let mut take = |part: Part| {
        // Tag and length in its message.
        let size = part.item.encoded_len() + 8;
        if !batch.items.is_empty() && bytes + size > max_bytes {
            return false;
        }
        bytes += size;
        batch.items.push(part.item);
        batch.last = part.last - base;
        batch.held += part.held;
        batch.corrupt += u64::from(part.is_corrupt);
        true
    };
    let mut select = connection.prepare_cached(
        // From the row that `seq` is in: a Gap or a block may begin before it.
        "SELECT seq, last, run, body FROM items
         WHERE seq >= IFNULL((SELECT MAX(seq) FROM items WHERE seq <= ?1), ?1) AND last >= ?1
         ORDER BY seq LIMIT ?2",
    )?;
    let mut expected = base.saturating_add(seq);
    let mut rows = select.query(params![sql(expected), sql(ROWS_AT_ONCE as u64)])?;
    while let Some(row) = rows.next()? {
        let row = Stored::of(row)?;
        let start = row.first.max(expected);
        let hole = (start > expected).then(|| {
            let item = gap::unknown(expected - base, start - 1 - base, "not-kept");
            Part { first: expected, last: start - 1, item, held: 1, is_corrupt: false }
        });
        if !hole.is_none_or(&mut take) || !row.parts((start, base), form, (None, None), &mut take) {
            break;
        }
        expected = row.last + 1;
    }
    Ok(batch)
}

/// A row as it is read.
struct Stored<'a> {
    first: u64,
    last: u64,
    run: Option<&'a str>,
    body: &'a [u8],
}

/// An item, and the positions that it covers.
struct Part {
    first: u64,
    last: u64,
    item: v1::Item,
    /// Items, those in blocks counted one by one.
    held: u64,
    /// A Gap in the place of what did not decode.
    is_corrupt: bool,
}

impl<'a> Stored<'a> {
    fn of(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            first: row.get::<_, i64>(0)?.unsigned_abs(),
            last: row.get::<_, i64>(1)?.unsigned_abs(),
            run: row.get_ref(2)?.as_str_or_null()?,
            body: row.get_ref(3)?.as_blob().unwrap_or_default(),
        })
    }

    /// Hands out what stands at `start` and behind it, until `take` says that it has no room: then
    /// false. Gaps count from `base`.
    fn parts(
        &self,
        (start, base): (u64, u64),
        form: Form,
        (question, sieve): (Option<&Question>, Option<&Sieve>),
        mut take: impl FnMut(Part) -> bool,
    ) -> bool {
        let whole = |item, held| Part { first: start, last: self.last, item, held, is_corrupt: false };
        match held(self.body, self.last + 1 - self.first, self.run) {
            Some(Held::Item(v1::Item { item: Some(item::Item::Gap(gap)) })) => {
                // A Gap gets the positions of its row.
                let gap = gap::trimmed(gap, start.saturating_sub(base), self.last.saturating_sub(base));
                take(whole(gap::item(gap), 1))
            }
            Some(Held::Item(item)) => take(whole(item, 1)),
            Some(Held::Block(block)) if form == Form::Blocks && start == self.first => {
                let count = block.count();
                take(whole(v1::Item { item: Some(item::Item::Block(block.into_block())) }, count))
            }
            Some(Held::Block(block)) if question.is_some_and(|question| !question.may_be_in(&block)) => true,
            Some(Held::Block(block)) => {
                let opened = match sieve {
                    Some(sieve) => block.sift(sieve),
                    None => block.open().map(|events| {
                        let all = (0..events.len()).collect();
                        Some((events, all))
                    }),
                };
                match opened {
                    Ok(Some((events, places))) => self.events(&events, &places, (start, base), take),
                    Ok(None) => true,
                    Err(_damaged) => take(self.lost(start, self.last, base)),
                }
            }
            None => take(self.lost(start, self.last, base)),
        }
    }

    /// Those at these places, from `start` on.
    fn events(
        &self,
        events: &Events,
        places: &[usize],
        (start, base): (u64, u64),
        mut take: impl FnMut(Part) -> bool,
    ) -> bool {
        let behind = places.iter().map(|place| (*place, self.first + *place as u64));
        behind.filter(|(_, seq)| *seq >= start).all(|(place, seq)| {
            take(match events.event(place) {
                Ok(event) => {
                    let item = v1::Item { item: Some(item::Item::Event(event)) };
                    Part { first: seq, last: seq, item, held: 1, is_corrupt: false }
                }
                Err(_damaged) => self.lost(seq, seq, base),
            })
        })
    }

    /// The Gap for what does not decode.
    fn lost(&self, first: u64, last: u64, base: u64) -> Part {
        let mut lost = gap::Lost::default();
        lost.count_by_run(self.run, last + 1 - first);
        lost.reason("corrupt");
        let item = gap::item(lost.gap(first.saturating_sub(base), last.saturating_sub(base)));
        Part { first, last, item, held: 1, is_corrupt: true }
    }
}

/// Where the newest `newest` items that match begin; 0 asks for all.
pub(super) fn start_of(connection: &Connection, filter: &Filter, newest: u64) -> rusqlite::Result<u64> {
    let mut missing = newest;
    let select =
        format!("SELECT seq, last, kind FROM ({}) ORDER BY seq DESC", filter.select("seq, last, kind", ""));
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query(params![filter.run, filter.agent])?;
    while missing > 0
        && let Some(row) = rows.next()?
    {
        let (first, last) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
        // A Gap is one item, whatever it covers.
        let items = if row.get::<_, i32>(2)? == ItemKind::Event as i32 { last + 1 - first } else { 1 };
        if items >= missing {
            return Ok(first + (items - missing));
        }
        missing -= items;
    }
    Ok(0)
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
    let mut take = |part: Part| {
        let size = part.item.encoded_len();
        if bytes + size > max_bytes && !page.items.is_empty() {
            page.next = Some(part.first);
            return false;
        }
        bytes += size;
        page.corrupt += u64::from(part.is_corrupt);
        if filter.admits(&part.item) {
            page.items.push((part.first, part.item));
        }
        true
    };
    // A block that begins before may go on there.
    let and = " AND seq >= IFNULL((SELECT MAX(seq) FROM items WHERE seq <= ?3), ?3) AND last >= ?3";
    let select = format!("{} ORDER BY seq LIMIT ?4", filter.select("seq, last, run, body", and));
    let mut select = connection.prepare_cached(&select)?;
    let limit = sql(ROWS_AT_ONCE as u64);
    let mut rows = select.query(params![filter.run, filter.agent, sql(from), limit])?;
    let (mut seen, mut end, mut looked) = (0, from, 0);
    while let Some(row) = rows.next()? {
        seen += 1;
        let row = Stored::of(row)?;
        // A Gap stands where it begins, wherever the page does.
        let mut take = |part: Part| {
            let is_earlier = row.first < from && matches!(part.item.item, Some(item::Item::Gap(_)));
            is_earlier || take(part)
        };
        let asked = (filter.question.as_ref(), filter.sieve.as_ref());
        if !row.parts((row.first.max(from), 0), filter.form, asked, &mut take) {
            return Ok(page);
        }
        end = row.last + 1;
        looked += row.body.len();
        if looked >= LOOKED_BYTES {
            page.next = Some(end);
            return Ok(page);
        }
    }
    page.next = (seen == ROWS_AT_ONCE).then_some(end);
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
