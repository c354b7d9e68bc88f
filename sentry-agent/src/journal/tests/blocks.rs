//! Events that are stored together.

use std::sync::Arc;

use rusqlite::{Connection, params};
use sentry_proto::{
    block::{self, Question, Sieve, Sift},
    v1::{self, item},
};

use super::{Filter, Form, Journal, Limits, ROOMY, event, file, gap_of, read, read_all, run};
use crate::journal::merge;

/// First and last position of each row.
fn rows(journal: &Journal) -> Vec<(i64, i64)> {
    let mut select = journal.connection.prepare("SELECT seq, last FROM items ORDER BY seq").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn of_a(count: u64) -> Vec<v1::Item> {
    (1..=count).map(|n| event("a", n, 10)).collect()
}

fn merge_all(journal: &mut Journal) {
    while journal.merge().unwrap() {}
}

#[test]
fn events_of_a_run_that_follow_each_other_are_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let mut items = of_a(100);
    items.insert(60, run("a", v1::RunState::Running));
    items.push(event("b", 1, 10));
    journal.append(&items).unwrap();
    assert_eq!(rows(&journal), [(1, 60), (61, 61), (62, 101), (102, 102)]);
    assert_eq!(read_all(&journal, 1).into_iter().map(|(_, item)| item).collect::<Vec<_>>(), items);
    assert_eq!(read_all(&journal, 30)[0], (30, items[29].clone()), "a read may begin within");
    let (_, bytes) = journal.bytes();
    assert!(bytes < 100 * 60, "{bytes}");
}

#[test]
fn blocks_are_read_as_they_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    for _ in 0..3 {
        journal.append(&of_a(100)).unwrap();
    }
    let read =
        |seq, max_bytes| read::read_from(&journal.connection, Form::Blocks, (0, seq), max_bytes).unwrap();
    let blocks = |batch: &read::Batch| {
        let count = |item: &v1::Item| match &item.item {
            Some(v1::item::Item::Block(block)) => Some(block::Checked::new(block.clone()).unwrap().count()),
            _ => None,
        };
        batch.items.iter().map(count).collect::<Vec<_>>()
    };
    let all = read(1, 1 << 20);
    assert_eq!((all.first, all.last, all.held), (1, 300, 300));
    assert_eq!(blocks(&all), [Some(100); 3]);
    let one = read(1, 1);
    assert_eq!((one.last, blocks(&one)), (100, vec![Some(100)]), "one item at least");
    let within = read(99, 1 << 20);
    assert_eq!((within.last, within.held), (300, 202));
    assert_eq!(blocks(&within), [None, None, Some(100), Some(100)]);
    assert_eq!(within.items[0], event("a", 99, 10));
}

#[test]
fn a_block_stays_in_the_spool_until_all_of_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&of_a(100)).unwrap();
    let (_, bytes) = journal.bytes();
    journal.acked(40).unwrap();
    assert_eq!((journal.acked_seq(), journal.bytes()), (40, (0, bytes)));
    drop(journal);
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!((journal.acked_seq(), journal.books.border, journal.bytes()), (40, 0, (0, bytes)));
    journal.acked(100).unwrap();
    assert_eq!((journal.acked_seq(), journal.books.border, journal.bytes()), (100, 100, (bytes, 0)));
}

#[test]
fn of_a_block_that_makes_room_only_what_is_not_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&of_a(100)).unwrap();
    journal.acked(40).unwrap();
    drop(journal);
    for spool_bytes in [10_000, 200] {
        // Over an eighth of the limit it makes room as the largest run, else as the oldest.
        let limits = Limits { spool_bytes, ..ROOMY };
        let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
        if spool_bytes > 1_000 {
            continue;
        }
        assert_eq!(journal.dropped_spool_full, 60);
        let all = read_all(&journal, 41);
        let gap = gap_of(&all[0].1).unwrap();
        assert_eq!((gap.first, gap.last, gap.items_by_run["a"], all.len()), (41, 100, 60, 1));
        assert_eq!((journal.acked_seq(), journal.books.border), (40, 40));
        journal.acked(100).unwrap();
    }
}

#[test]
fn an_event_of_a_block_is_given_up_alone() {
    for refused in [1, 50, 100] {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
        let items = of_a(100);
        journal.append(&items).unwrap();
        journal.acked(refused - 1).unwrap();
        journal.give_up(refused).unwrap();
        for (seq, item) in read_all(&journal, 1) {
            match gap_of(&item) {
                Some(gap) => {
                    assert_eq!((gap.first, gap.last, gap.reason.as_str()), (refused, refused, "refused"));
                    assert_eq!(gap.items_by_run["a"], 1);
                }
                None => assert_eq!(item, items[seq as usize - 1]),
            }
        }
        assert_eq!(journal.acked_seq(), refused - 1);
        journal.acked(100).unwrap();
        let (acked, unacked) = journal.bytes();
        drop(journal);
        let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
        assert_eq!((journal.bytes(), unacked), ((acked, 0), 0), "as the rows say");
    }
}

#[test]
fn questions_find_their_way_within_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&of_a(100)).unwrap();
    journal.append(&(1..=50).map(|n| event("b", n, 10)).collect::<Vec<_>>()).unwrap();
    journal.append(&of_a(100)).unwrap();
    let of_a = Filter { run: Some("a".to_owned()), ..Filter::default() };
    let find = |newest, max_bytes| {
        let mut found = Vec::new();
        let mut from = Some(read::start_of(&journal.connection, &of_a, newest).unwrap());
        while let Some(start) = from {
            let page = read::page(&journal.connection, &of_a, start, max_bytes).unwrap();
            found.extend(page.items.into_iter().map(|(seq, _)| seq));
            from = page.next;
        }
        found
    };
    assert_eq!(find(3, 1 << 20), [248, 249, 250]);
    assert_eq!(find(102, 300), (99..=100).chain(151..=250).collect::<Vec<_>>());
    assert_eq!(find(0, 1).len(), 200);
}

#[test]
fn a_page_leaves_out_blocks_that_cannot_answer_and_goes_on_behind_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    // An event's number is its time.
    for first in [1, 201, 401] {
        journal.append(&(first..first + 100).map(|n| event("a", n, 10)).collect::<Vec<_>>()).unwrap();
    }
    journal.append(&[run("a", v1::RunState::Ended)]).unwrap();
    let found = |from, until| {
        let question = Some(Question::default().within(from, until));
        let filter = Filter { run: Some("a".to_owned()), question, ..Filter::default() };
        let page = read::page(&journal.connection, &filter, 0, 1 << 20).unwrap();
        assert_eq!(page.next, None);
        page.items.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>()
    };
    assert_eq!(found(250, 260), (101..=200).chain([301]).collect::<Vec<_>>(), "a block and the run");
    assert_eq!(found(100, 201), (1..=200).chain([301]).collect::<Vec<_>>());
    assert_eq!(found(150, 160), [301]);
}

#[test]
fn a_page_makes_only_events_that_a_sieve_lets_through() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&of_a(100)).unwrap();
    journal.append(&[run("a", v1::RunState::Ended)]).unwrap();
    let Some(item::Item::Event(wanted)) = event("a", 42, 10).item else { unreachable!() };
    let sieve = Some(Sieve::new(Arc::new(Only(wanted.kind.unwrap()))));
    let filter = Filter { sieve, ..Filter::default() };
    let found = |from| {
        let page = read::page(&journal.connection, &filter, from, 1 << 20).unwrap();
        page.items.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>()
    };
    assert_eq!(found(0), [42, 101], "the event, and the run");
    assert_eq!(found(43), [101], "a page that begins behind it");
}

/// Lets this kind through.
#[derive(Debug)]
struct Only(v1::event::Kind);

impl Sift for Only {
    fn kind(&self, kind: Option<&v1::event::Kind>) -> bool {
        kind == Some(&self.0)
    }

    fn process(&self, _process: Option<&v1::Process>) -> bool {
        true
    }
}

#[test]
fn small_blocks_of_the_history_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let mut all = vec![run("a", v1::RunState::Running)];
    journal.append(&all).unwrap();
    for n in 1..=1_000 {
        let few: Vec<_> = (5 * n - 4..=5 * n).map(|n| event("a", n, 10)).collect();
        journal.append(&few).unwrap();
        all.extend(few);
    }
    journal.acked(2_001).unwrap();
    let before = journal.bytes();
    merge_all(&mut journal);
    assert_eq!(journal.bytes(), before, "more may come behind the last");
    journal.acked(5_001).unwrap();
    let (before, _) = journal.bytes();
    merge_all(&mut journal);
    assert_eq!(rows(&journal)[..3], [(1, 1), (2, 4_096), (4_097, 4_101)], "the rest waits for more");
    let (after, _) = journal.bytes();
    assert!(after < before / 2, "{before} → {after}");
    assert_eq!(read_all(&journal, 1).into_iter().map(|(_, item)| item).collect::<Vec<_>>(), all);
    drop(journal);
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!(journal.bytes(), (after, 0));
}

#[test]
fn what_is_not_acknowledged_is_not_merged_and_neither_is_another_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    for n in 1..=4 {
        journal.append(&[event("a", n, 1), event("a", n, 2)]).unwrap();
        journal.append(&[event("b", n, 1)]).unwrap();
    }
    journal.append(&[event("b", 5, 1), event("b", 6, 2)]).unwrap();
    let before = rows(&journal);
    merge_all(&mut journal);
    assert_eq!(rows(&journal), before);
    journal.append(&[run("c", v1::RunState::Running)]).unwrap();
    journal.acked(15).unwrap();
    merge_all(&mut journal);
    assert_eq!(rows(&journal), [&before[..7], &[(12, 14), (15, 15)]].concat());
}

fn damage(connection: &Connection, seq: i64) {
    let mut body: Vec<u8> =
        connection.query_row("SELECT body FROM items WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    connection.execute("UPDATE items SET body = ?2 WHERE seq = ?1", params![seq, body]).unwrap();
}

#[test]
fn a_damaged_or_foreign_block_is_named_and_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    for run in ["a", "b", "a", "a", "c"] {
        journal.append(&(1..=10).map(|n| event(run, n, 10)).collect::<Vec<_>>()).unwrap();
    }
    damage(&journal.connection, 1);
    // One of another run, and one that is longer than the row.
    let copy = "UPDATE items SET body = (SELECT body FROM items WHERE seq = 41) WHERE seq = 11";
    journal.connection.execute(copy, []).unwrap();
    journal.connection.execute("UPDATE items SET last = 29 WHERE seq = 21", []).unwrap();
    let batch = read::read_from(&journal.connection, Form::Blocks, (0, 1), 1 << 20).unwrap();
    assert_eq!((batch.corrupt, batch.last), (3, 50));
    let gaps: Vec<_> = batch.items.iter().filter_map(gap_of).collect();
    let named: Vec<_> = gaps
        .iter()
        .map(|gap| {
            (gap.first, gap.last, &*gap.reason, gap.items_by_run.iter().next().map(|(run, n)| (&**run, *n)))
        })
        .collect();
    assert_eq!(
        named,
        [
            (1, 10, "corrupt", Some(("a", 10))),
            (11, 20, "corrupt", Some(("b", 10))),
            (21, 29, "corrupt", Some(("a", 9))),
            (30, 30, "not-kept", None),
        ]
    );
    let all = read_all(&journal, 1);
    assert_eq!(all.iter().filter(|(_, item)| gap_of(item).is_none()).count(), 20, "the others are there");
    assert_eq!(read::page(&journal.connection, &Filter::default(), 0, 1 << 20).unwrap().corrupt, 3);
    // Merging leaves it where it is.
    journal.acked(50).unwrap();
    let found = merge::find(&journal.connection, 0, 50).unwrap();
    assert!(!found.more);
    merge_all(&mut journal);
    assert_eq!(read_all(&journal, 1), all);
}

/// Made by the version that had a row for each event.
#[test]
fn a_journal_of_format_1_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    drop(Journal::open(&path, ROOMY).unwrap());
    std::fs::remove_file(&path).unwrap();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("golden/format_1.sql")).unwrap();
    drop(old);
    let mut journal = Journal::open(&path, ROOMY).unwrap();
    assert_eq!(journal.epoch(), "0199-old");
    assert_eq!((journal.acked_seq(), journal.confirmed_seq(), journal.last_seq()), (18, 18, 20));
    let all = read_all(&journal, 1);
    let is_right = |(seq, item): &(u64, v1::Item)| match (*seq, gap_of(item)) {
        (1, None) => *item == run("a", v1::RunState::Running),
        (7, Some(gap)) => (gap.first, gap.last, gap.items_by_run["a"]) == (7, 9, 3),
        (n, None) => {
            let run = if (10..16).contains(&n) && n % 2 == 0 { "b" } else { "a" };
            let v1::Item { item: Some(v1::item::Item::Event(event)) } = item else { return false };
            (event.run.as_str(), event.id.clone(), event.sequence) == (run, format!("{run}-c-{n}"), n)
        }
        (_, Some(_)) => false,
    };
    assert!(all.iter().all(is_right), "{all:?}");
    assert_eq!(all.len(), 18);
    let version: i64 = journal.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2, "an older version refuses it from now on");
    // What follows are blocks, and the old rows are merged with them.
    let more: Vec<_> = (21..=3_000).map(|n| event("a", n, 10)).collect();
    journal.append(&more).unwrap();
    journal.acked(3_000).unwrap();
    merge_all(&mut journal);
    assert_eq!(rows(&journal).last(), Some(&(15, 3_000)));
    let expected: Vec<_> = all.into_iter().chain((21..=3_000).zip(more)).collect();
    assert_eq!(read_all(&journal, 1), expected);
}
