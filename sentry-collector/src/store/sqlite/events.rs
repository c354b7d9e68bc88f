//! Pages of events. Blocks are found by their rows, opened when the page gets to them, and their
//! events given out in the order of their numbers; blocks of several runs may lie side by side.
//!
//! Limits: a page ends early when what its events became exceeds 1 MiB, or when 256 more blocks
//! were opened than lie side by side at its beginning. It may then have fewer events than asked
//! for, or none; its cursor leads on. Side by side lie at most the events of one window
//! (`spans.rs`).

use std::collections::BinaryHeap;

use prost::Message as _;
use rusqlite::{Connection, Row, Rows, params_from_iter, types::Value};
use sentry_proto::v1;

use super::{
    blocks::{self, Damage},
    page::{PAGE_BYTES, value},
    pool::Failed,
    spans::{Place, WINDOW},
};
use crate::{
    feed::block::{BadBlock, Classes, Opened},
    store::page::{Cell, Condition, Next, Paging, Query, Source},
};

const RELATION: &str = "listed_blocks";
const COLUMNS: &str = "id, upto, run, sensor, host, version, boot_id, container, spans, body";
const BLOCKS: usize = 256;
/// A page that finds more than this is given up.
const CORRUPT: usize = 64;

/// What came of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) next: Next,
    /// Blocks that cannot be read. Their events are not in the page.
    pub(super) corrupt: Vec<i64>,
    /// There were too many of them to go on.
    pub(super) given_up: bool,
}

/// What is wanted of an event beyond what its block's row says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    from_ms: Option<i64>,
    below_ms: Option<i64>,
    class_uid: Option<u32>,
}

/// The row of a block that the page comes to next.
#[derive(Debug)]
struct Ahead {
    id: i64,
    /// Numbers of its first and last event.
    numbers: (u64, u64),
    run: String,
    source: Source,
    spans: Vec<u8>,
    body: Option<Vec<u8>>,
}

/// A block that the page has come to.
#[derive(Debug)]
struct Cursor {
    source: Source,
    opened: Opened,
    /// What is left of it, the next one last; never empty.
    places: Vec<Place>,
    /// For each place in the body, where only one class is wanted.
    of_class: Option<Vec<bool>>,
    order: Order,
}

/// Which number comes first: the one of the higher rank.
#[derive(Clone, Copy, Debug)]
struct Order {
    newest_first: bool,
}

/// Gives the events of a page to `take`, which says how many bytes it has made of all of them so
/// far.
pub(super) fn page(
    connection: &Connection,
    query: &Query,
    mut take: impl FnMut(&Source, v1::Event) -> usize,
) -> Result<Page, Failed> {
    let Paging { after, newest_first, limit } = query.paging;
    let order = Order { newest_first };
    let (sql, values, wanted) = select(query)?;
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut ahead = advance(&mut rows)?;
    let (mut open, mut corrupt) = (BinaryHeap::new(), Vec::new());
    let (mut taken, mut bytes, mut last) = (0, 0, None);
    let (mut opened, mut most) = (0, None);
    loop {
        while let Some(block) = ahead.take_if(|block| block.is_due(order, &open)) {
            let id = block.id;
            opened += 1;
            match Cursor::new(block, order, after, &wanted) {
                Ok(cursor) => open.extend(cursor),
                Err(damage) => {
                    tracing::debug!(block = id, %damage, "a block is left out of a page");
                    corrupt.push(id);
                }
            }
            if corrupt.len() > CORRUPT {
                return Ok(Page { next: None, corrupt, given_up: true });
            }
            ahead = advance(&mut rows)?;
        }
        let Some(mut cursor) = open.pop() else {
            return Ok(Page { next: None, corrupt, given_up: false });
        };
        if let Some(place) = cursor.places.pop() {
            if cursor.has(place, &wanted) {
                if taken == limit || bytes > PAGE_BYTES {
                    return Ok(Page { next: last, corrupt, given_up: false });
                }
                bytes = take(&cursor.source, cursor.opened.event(place.in_body)?);
                taken += 1;
            }
            last = Some(place.number as i64);
        }
        open.extend((!cursor.places.is_empty()).then_some(cursor));
        if opened > *most.get_or_insert(opened + BLOCKS) {
            return Ok(Page { next: last, corrupt, given_up: false });
        }
    }
}

/// The statement, its values, and what they leave to be looked at.
fn select(query: &Query) -> Result<(String, Vec<Value>, Wanted), Failed> {
    let (mut clauses, mut values, mut wanted) = (Vec::new(), Vec::new(), Wanted::default());
    let mut add = |clause: String, value: Value| {
        clauses.push(clause);
        values.push(value);
    };
    for condition in &query.conditions {
        match condition {
            Condition::Is("class_uid", Cell::Integer(class)) => {
                // No class has the number that stands for those out of range.
                let class = u32::try_from(*class).unwrap_or(u32::MAX);
                wanted.class_uid = Some(class);
                add("classes & ? <> 0".to_owned(), Classes::of(class).bits().into());
            }
            Condition::Is(column @ ("run" | "agent" | "sensor"), cell) => {
                add(format!("{column} = ?"), value(cell));
            }
            Condition::From("time_ms", least) => {
                wanted.from_ms = Some(*least);
                add("latest_ms >= ?".to_owned(), (*least).into());
            }
            Condition::Below("time_ms", bound) => {
                wanted.below_ms = Some(*bound);
                add("earliest_ms < ?".to_owned(), (*bound).into());
            }
            Condition::Is(column, _)
            | Condition::From(column, _)
            | Condition::Below(column, _)
            | Condition::Has { column, .. } => {
                return Err(Failed::Column { relation: RELATION, column });
            }
        }
    }
    let newest_first = query.paging.newest_first;
    if let Some(after) = query.paging.after {
        // No block is longer than a window, so none that begins further away reaches here. The plus
        // keeps the database from walking by the other column and sorting then.
        let reach = WINDOW as i64;
        if newest_first {
            add("+id < ?".to_owned(), after.into());
            add("upto < ?".to_owned(), after.saturating_add(reach).into());
        } else {
            add("+upto > ?".to_owned(), after.into());
            add("id > ?".to_owned(), after.saturating_sub(reach).into());
        }
    }
    let mut sql = format!("SELECT {COLUMNS} FROM {RELATION}");
    if !clauses.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&clauses.join(" AND "));
    }
    sql.push_str(if newest_first { " ORDER BY upto DESC" } else { " ORDER BY id" });
    Ok((sql, values, wanted))
}

fn advance(rows: &mut Rows<'_>) -> Result<Option<Ahead>, Failed> {
    rows.next()?.map(ahead).transpose()
}

fn ahead(row: &Row<'_>) -> Result<Ahead, Failed> {
    let (id, upto): (i64, i64) = (row.get(0)?, row.get(1)?);
    let container: Option<Vec<u8>> = row.get(7)?;
    let container = container.as_deref().map(v1::Container::decode).transpose();
    Ok(Ahead {
        id,
        numbers: (id as u64, upto as u64),
        run: row.get(2)?,
        source: Source {
            sensor: row.get(3)?,
            host: row.get(4)?,
            version: row.get(5)?,
            boot_id: row.get(6)?,
            container: container
                .map_err(|_error| Failed::Column { relation: RELATION, column: "container" })?,
        },
        spans: row.get(8)?,
        body: row.get(9)?,
    })
}

// === impl Ahead ===

impl Ahead {
    /// Whether an event of the block may come before the next one of those that are open.
    fn is_due(&self, order: Order, open: &BinaryHeap<Cursor>) -> bool {
        let (first, last) = self.numbers;
        let edge = order.rank(if order.newest_first { last } else { first });
        open.peek().is_none_or(|top| edge >= top.rank())
    }
}

// === impl Cursor ===

impl Cursor {
    /// `None` where all events of the block stand before the page.
    fn new(block: Ahead, order: Order, after: Option<i64>, wanted: &Wanted) -> Result<Option<Self>, Damage> {
        let (opened, spans) = blocks::open(&block.run, &block.spans, block.body.as_deref())?;
        let after = after.map(|after| order.rank(after.unsigned_abs()));
        let is_behind = |place: &Place| after.is_none_or(|after| order.rank(place.number) < after);
        let mut places: Vec<Place> = spans.places().filter(is_behind).collect();
        if !order.newest_first {
            places.reverse();
        }
        if places.is_empty() {
            return Ok(None);
        }
        let of_class = wanted.class_uid.map(|class| opened.of_class(class)).transpose()?;
        Ok(Some(Self { source: block.source, opened, places, of_class, order }))
    }

    fn has(&self, place: Place, wanted: &Wanted) -> bool {
        let at = place.in_body;
        let time_ms = self.opened.time_ms(at);
        wanted.from_ms.is_none_or(|from| time_ms >= from)
            && wanted.below_ms.is_none_or(|below| time_ms < below)
            && self.of_class.as_ref().is_none_or(|of_class| of_class.get(at).copied().unwrap_or(false))
    }

    /// Of its next event.
    fn rank(&self) -> u64 {
        self.places.last().map_or(0, |place| self.order.rank(place.number))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Cursor {}

// === impl Order ===

impl Order {
    fn rank(self, number: u64) -> u64 {
        if self.newest_first { number } else { u64::MAX - number }
    }
}

impl From<BadBlock> for Failed {
    fn from(error: BadBlock) -> Self {
        Self::Block(error)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::{
        schema,
        scratch::{Scratch, event},
    };

    /// What the database does for a query, step by step.
    fn plan(conditions: Vec<Condition>, after: Option<i64>, newest_first: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(schema::open(&path).unwrap());
        let connection = schema::open_reader(&path).unwrap();
        let query = Query { conditions, paging: Paging { after, newest_first, limit: 100 } };
        let (sql, values, _) = select(&query).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    }

    fn is(column: &'static str, value: &str) -> Condition {
        Condition::Is(column, Cell::Text(value.to_owned()))
    }

    #[test]
    fn blocks_are_read_in_order_and_not_sorted() {
        let several = [
            Vec::new(),
            vec![is("run", "r")],
            vec![is("agent", "a")],
            vec![is("sensor", "s")],
            vec![
                is("run", "r"),
                is("agent", "a"),
                Condition::From("time_ms", 1),
                Condition::Below("time_ms", 9),
                Condition::Is("class_uid", Cell::Integer(1007)),
            ],
        ];
        for conditions in several {
            for (after, newest_first) in [(None, true), (None, false), (Some(5), true), (Some(5), false)] {
                let plan = plan(conditions.clone(), after, newest_first);
                assert!(
                    !plan.contains("B-TREE FOR ORDER BY"),
                    "{conditions:?} {after:?} {newest_first}:\n{plan}"
                );
            }
        }
    }

    #[test]
    fn a_condition_reaches_the_index_of_its_column() {
        for (column, index) in [("run", "(run=?"), ("agent", "(agent=?"), ("sensor", "(sensor=?")] {
            for newest_first in [true, false] {
                let plan = plan(vec![is(column, "x")], None, newest_first);
                let used = plan.lines().any(|step| step.starts_with("SEARCH t ") && step.contains(index));
                assert!(used, "{column} {newest_first}:\n{plan}");
            }
        }
    }

    #[test]
    fn a_page_begins_at_its_cursor_and_not_at_the_newest_block() {
        let plans = [(true, "upto<?"), (false, "rowid>?")].map(|(newest_first, range)| {
            let plan = plan(Vec::new(), Some(5), newest_first);
            assert!(plan.contains(range), "{plan}");
            plan
        });
        assert_ne!(plans[0], plans[1]);
    }

    #[test]
    fn a_condition_that_events_do_not_have_is_refused() {
        let query = |condition| Query {
            conditions: vec![condition],
            paging: Paging { after: None, newest_first: true, limit: 1 },
        };
        let unknown = [
            is("colour", "red"),
            Condition::From("colour", 1),
            Condition::Below("colour", 1),
            Condition::Has { relation: "others", column: "colour", value: Cell::Null },
        ];
        for condition in unknown {
            let refused = select(&query(condition));
            assert!(matches!(refused, Err(Failed::Column { column: "colour", .. })), "{refused:?}");
        }
    }

    #[test]
    fn blocks_that_lie_side_by_side_are_read_in_the_order_in_which_their_events_came() {
        let mut scratch = Scratch::new();
        let run = |n: u64| if n.is_multiple_of(3) { "r1" } else { "r2" };
        let came: Vec<(u64, v1::Event)> = (1..=100).map(|n| (n, event(run(n), n))).collect();
        scratch.put(&came[..60]);
        scratch.put(&came[60..]);
        let ids: Vec<String> = came.into_iter().map(|(_, event)| event.id).collect();
        assert_eq!(scratch.count("SELECT count(*) FROM blocks"), 4);
        for limit in [1, 7, 1000] {
            assert_eq!(scratch.walk(false, limit), ids);
            assert_eq!(scratch.walk(true, limit), ids.iter().rev().cloned().collect::<Vec<_>>());
        }
    }

    #[test]
    fn conditions_hold_for_each_event() {
        let mut scratch = Scratch::new();
        let events: Vec<v1::Event> = (1..=20).map(|n| event("r1", n)).collect();
        scratch.put_block(1, &events);
        let conditions = vec![
            Condition::From("time_ms", 5),
            Condition::Below("time_ms", 11),
            Condition::Is("class_uid", Cell::Integer(1007)),
        ];
        let paging = Paging { after: None, newest_first: false, limit: 2 };
        let (ids, page) = scratch.page(conditions.clone(), paging).unwrap();
        assert_eq!(
            (ids.as_slice(), page.next),
            (["r1-e-6".to_owned(), "r1-e-8".to_owned()].as_slice(), Some(9))
        );
        let (ids, page) = scratch.page(conditions, Paging { after: page.next, ..paging }).unwrap();
        assert_eq!((ids.as_slice(), page.next), (["r1-e-10".to_owned()].as_slice(), None));
    }

    #[test]
    fn a_page_ends_before_it_has_opened_too_many_blocks() {
        let mut scratch = Scratch::new();
        // Each has what is asked for, and something else at the time that is asked for.
        for n in 0..600 {
            let pair = [2 * n + 1, 2 * n + 2].map(|position| event("r1", position));
            let [mut connect, mut exec] = pair;
            (exec.time_unix_ns, connect.time_unix_ns) = (1_000_000, 9_000_000);
            scratch.put_block(2 * n + 1, &[connect, exec]);
        }
        let conditions =
            vec![Condition::Below("time_ms", 5), Condition::Is("class_uid", Cell::Integer(4001))];
        let (mut after, mut pages) = (None, 0);
        loop {
            let paging = Paging { after, newest_first: true, limit: 10 };
            let (ids, page) = scratch.page(conditions.clone(), paging).unwrap();
            assert_eq!(ids, [] as [String; 0]);
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3, "of 256 blocks each");
    }

    #[test]
    fn a_damaged_block_is_left_out_and_named_and_many_end_the_page() {
        let mut scratch = Scratch::new();
        for n in 1..=100 {
            scratch.put_block(n, &[event("r1", n)]);
        }
        scratch.damage(50);
        let paging = Paging { after: None, newest_first: false, limit: 1000 };
        let (ids, page) = scratch.page(Vec::new(), paging).unwrap();
        assert_eq!((ids.len(), page.corrupt.as_slice(), page.given_up), (99, [50].as_slice(), false));
        (1..=100).filter(|id| *id != 50).for_each(|id| scratch.damage(id));
        let (ids, page) = scratch.page(Vec::new(), paging).unwrap();
        assert_eq!((ids.len(), page.corrupt.len(), page.given_up), (0, 65, true));
    }
}
