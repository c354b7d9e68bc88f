//! Pages of events. A page finds blocks by their rows, opens each when it is due, and gives out the
//! events in the order of their numbers. The numbers of blocks of several runs may overlap.
//!
//! Limits: a page ends early when the text made of its events exceeds 1 MiB, or when it has opened
//! 256 blocks beyond those that overlap at its beginning, or when a search has left out 65,536
//! events of blocks whose summary does not exclude it. Then it has fewer events than asked for,
//! or none, and its cursor continues from there. Overlapping blocks have at most the events of one
//! window (`spans.rs`).

use std::collections::BinaryHeap;

use rusqlite::{Connection, Rows, params_from_iter};
use sentry_proto::v1;
use sentry_story::Search;

use super::{
    cursor::{Cursor, Order},
    page::PAGE_BYTES,
    pool::Failed,
    rows::{BlockRow, select},
};
use crate::store::page::{Next, Paging, Query, Source};

const BLOCKS: usize = 256;
const LOOKED: usize = 65_536;
/// A page that finds more corrupt blocks than this is given up.
const CORRUPT: usize = 64;

/// The result of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) next: Next,
    /// Blocks that cannot be read. Their events are not in the page.
    pub(super) corrupt: Vec<i64>,
    /// The page ended because there were too many of them.
    pub(super) given_up: bool,
}

/// Gives the events of a page to `take`, which returns the bytes of the page so far.
pub(super) fn page(
    connection: &Connection,
    query: &Query,
    mut take: impl FnMut(&Source, v1::Event) -> usize,
) -> Result<Page, Failed> {
    let Paging { after, newest_first, limit } = query.paging;
    let order = Order { newest_first };
    let (sql, values, wanted) = select(query)?;
    let question = wanted.search.as_ref().map(sentry_story::question);
    let mut search = wanted.search.as_ref().map(Search::new).transpose()?;
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut ahead = advance(&mut rows)?;
    let (mut open, mut corrupt) = (BinaryHeap::new(), Vec::new());
    let (mut taken, mut bytes, mut looked, mut last) = (0, 0, 0, None);
    let (mut opened, mut most) = (0, None);
    loop {
        while let Some(block) = ahead.take_if(|block| order.is_due(block, &open)) {
            let id = block.id;
            opened += 1;
            match Cursor::new(block, order, after, &wanted, question.as_ref()) {
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
                if taken == limit || bytes > PAGE_BYTES || looked == LOOKED {
                    return Ok(Page { next: last, corrupt, given_up: false });
                }
                let event = cursor.opened.event(place.in_body)?;
                if search.as_mut().is_none_or(|search| search.matches(&event)) {
                    bytes = take(&cursor.source, event);
                    taken += 1;
                } else {
                    looked += 1;
                }
            }
            last = Some(place.number as i64);
        }
        open.extend((!cursor.places.is_empty()).then_some(cursor));
        if opened > *most.get_or_insert(opened + BLOCKS) {
            return Ok(Page { next: last, corrupt, given_up: false });
        }
    }
}

fn advance(rows: &mut Rows<'_>) -> Result<Option<BlockRow>, Failed> {
    rows.next()?.map(BlockRow::read).transpose()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::{
        page::{Cell, Condition},
        sqlite::scratch::{Scratch, event},
    };

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
        // Each block has the wanted class, but at another time, and another class at the wanted
        // time.
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
