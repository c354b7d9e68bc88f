#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod blocks;

mod damage;

mod property;

mod running;

mod tapes;

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use sentry_detect::{
    event::{Event, EventKind, Ring},
    run::{AgentIdentity, ProcessKey, RunId},
};
use sentry_proto::v1::{self, ItemKind, item};

use crate::{enrich::process_table::unknown, ledger::start::Remembered};

use super::{
    COMMANDS_KEPT, CommandState, Filter, Form, ITEM_LIMIT, Journal, JournalError, JournalHandle,
    JournalWriter, Limits, RUNS_KEPT, gap::Lost, read, schema, store::LOG_BYTES,
};

pub(super) const ROOMY: Limits = Limits { spool_bytes: 64 << 20, keep_bytes: 64 << 20 };

pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join("state/journal.db")
}

/// Text that does not compress to nothing, so that limits are reached.
fn padding(n: u64, bytes: usize) -> String {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 32) as u8 % 64)
    };
    (0..bytes).map(|_| next()).collect()
}

/// An event of `run` that differs from every other one, with `bytes` of padding.
pub(super) fn event(run: &str, n: u64, bytes: usize) -> v1::Item {
    let kind = v1::event::Kind::CgroupMake(v1::CgroupMake { cgroup: n, path: padding(n, bytes) });
    v1::Item {
        item: Some(item::Item::Event(v1::Event {
            id: format!("{run}-c-{n}"),
            run: run.to_owned(),
            agent: Some(v1::Agent { id: format!("agent-of-{run}"), name: String::new() }),
            sequence: n,
            time_unix_ns: n,
            kind: Some(kind),
            ..v1::Event::default()
        })),
    }
}

/// An event as the sensor has it.
pub(crate) fn seed(run: &str) -> Event {
    let process = unknown(ProcessKey { tgid: 1, start_boot_ns: 1 });
    Event {
        id: String::new(),
        run: RunId(run.to_owned()).into(),
        agent: AgentIdentity { id: format!("agent-of-{run}"), name: String::new() }.into(),
        ring: Ring::Bulk,
        sequence: 1,
        time_unix_ns: 1,
        process: process.into(),
        kind: EventKind::Seed,
    }
}

pub(super) fn run(id: &str, state: v1::RunState) -> v1::Item {
    v1::Item {
        item: Some(item::Item::Run(v1::Run {
            id: id.to_owned(),
            agent: Some(v1::Agent { id: format!("agent-of-{id}"), name: String::new() }),
            state: state.into(),
            ..v1::Run::default()
        })),
    }
}

pub(super) fn gap_of(item: &v1::Item) -> Option<&v1::Gap> {
    match &item.item {
        Some(item::Item::Gap(gap)) => Some(gap),
        _ => None,
    }
}

/// Everything from `seq` on with positions, read in small batches; panics at a hole.
pub(super) fn read_all(journal: &Journal, seq: u64) -> Vec<(u64, v1::Item)> {
    let mut all = Vec::new();
    let mut next = seq;
    loop {
        let batch = read::read_from(&journal.connection, Form::Single, (0, next), 4_000).unwrap();
        if batch.items.is_empty() {
            return all;
        }
        assert_eq!(batch.first, next);
        for item in batch.items {
            let position = next;
            next = match gap_of(&item) {
                Some(gap) => {
                    assert_eq!(gap.first, position, "a Gap stands at its first position");
                    gap.last + 1
                }
                None => position + 1,
            };
            all.push((position, item));
        }
        assert_eq!(batch.last + 1, next);
    }
}

#[test]
fn items_come_back_in_order_after_a_drop_without_close() {
    let dir = tempfile::tempdir().unwrap();
    let mut epoch = String::new();
    for round in 0..4_u64 {
        let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
        assert!(round == 0 || epoch == journal.epoch());
        epoch = journal.epoch().to_owned();
        assert_eq!(journal.last_seq(), round * 10);
        let items: Vec<_> = (0..10).map(|n| event("a", round * 10 + n + 1, 10)).collect();
        assert_eq!(journal.append(&items).unwrap(), round * 10 + 1..=round * 10 + 10);
        assert!(journal.append(&[]).unwrap().is_empty());
    }
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let all = read_all(&journal, 1);
    assert_eq!(all, (1..=40).map(|n| (n, event("a", n, 10))).collect::<Vec<_>>());
    journal.acked(17).unwrap();
    journal.acked(3).unwrap();
    journal.acked(4_000).unwrap();
    journal.close().unwrap();
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!((journal.acked_seq(), journal.last_seq()), (17, 40));
}

#[test]
fn one_process_writes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert!(matches!(Journal::open(&file(dir.path()), ROOMY), Err(JournalError::InUse { .. })));
}

#[test]
fn a_full_spool_is_one_gap_in_front() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { spool_bytes: 20_000, keep_bytes: 0 };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    // Sixteen runs, so that none has more than its share.
    let nth = |n: u64| event(&format!("r{}", n % 16), n, 300);
    journal.append(&[nth(1), nth(2)]).unwrap();
    journal.acked(2).unwrap();
    for n in 3..=203 {
        journal.append(&[nth(n)]).unwrap();
        assert!(journal.bytes().1 <= limits.spool_bytes);
    }
    let all = read_all(&journal, 3);
    let gap = gap_of(&all[0].1).unwrap();
    assert_eq!((gap.first, gap.reason.as_str()), (3, "spool-full"));
    assert!(gap.last > 100);
    assert_eq!(all[1], (gap.last + 1, nth(gap.last + 1)));
    assert!(all[1..].iter().all(|(_, item)| gap_of(item).is_none()), "one Gap only");
    assert_eq!(gap.items_by_run["r4"], (3..=gap.last).filter(|n| n % 16 == 4).count() as u64);
    assert_eq!(gap.items_by_run.values().sum::<u64>(), gap.last - 2);
    assert_eq!(journal.dropped_spool_full, gap.last - 2);
    // The collector got only a part before the Gap grew: the rest keeps standing for itself.
    let last = gap.last;
    journal.acked(50).unwrap();
    let all = read_all(&journal, 51);
    let rest = gap_of(&all[0].1).unwrap();
    assert_eq!((rest.first, rest.last), (51, last));
    assert!(rest.items_by_run.is_empty(), "whose items these were is not known any more");
    assert_eq!(gap_of(&read_all(&journal, 60)[0].1).unwrap().first, 60);
}

fn events_of(items: &[(u64, v1::Item)], run: &str) -> Vec<v1::Item> {
    let is_of = |item: &v1::Item| matches!(&item.item, Some(item::Item::Event(event)) if event.run == run);
    items.iter().map(|(_, item)| item.clone()).filter(is_of).collect()
}

#[test]
fn a_flood_makes_room_before_other_runs_do() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { spool_bytes: 100_000, keep_bytes: 0 };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    let mut quiet = Vec::new();
    for n in 1..=40 {
        quiet.push(event("quiet", n, 300));
        let flood = (1..=25).map(|m| event("flood", 25 * (n - 1) + m, 300));
        let items: Vec<_> = flood.chain([event("quiet", n, 300)]).collect();
        journal.append(&items).unwrap();
        if n == 20 {
            // What the runs have is known again afterwards.
            drop(journal);
            journal = Journal::open(&file(dir.path()), limits).unwrap();
        }
    }
    assert!(journal.bytes().1 <= limits.spool_bytes);
    let all = read_all(&journal, 1);
    let of = |run| events_of(&all, run);
    assert_eq!(of("quiet"), quiet, "all are there");
    let gaps: Vec<_> = all.iter().filter_map(|(_, item)| gap_of(item)).collect();
    let missing: u64 = gaps.iter().map(|gap| gap.last - gap.first + 1).sum();
    assert_eq!(missing + of("flood").len() as u64, 40 * 25);
    assert!(gaps.len() <= 40, "one between two that are kept: {}", gaps.len());
    for gap in gaps {
        let whole = [("flood".to_owned(), gap.last - gap.first + 1)];
        assert_eq!((gap.items_by_run.clone(), gap.reason.as_str()), (whole.into(), "spool-full"));
    }
}

#[test]
fn a_flood_makes_room_in_the_history_before_other_runs_do() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { spool_bytes: 1 << 20, keep_bytes: 100_000 };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    for n in 1..=40 {
        let flood = (1..=25).map(|m| event("flood", 25 * (n - 1) + m, 300));
        let items: Vec<_> = flood.chain([event("quiet", n, 300)]).collect();
        let last = *journal.append(&items).unwrap().end();
        journal.acked(last).unwrap();
        if n == 20 {
            // What the runs have is known again afterwards.
            drop(journal);
            journal = Journal::open(&file(dir.path()), limits).unwrap();
        }
    }
    let all = read_all(&journal, 1);
    let of = |run| events_of(&all, run);
    assert_eq!(of("quiet"), (1..=40).map(|n| event("quiet", n, 300)).collect::<Vec<_>>(), "all are there");
    let flood = of("flood");
    assert_eq!(flood.last(), Some(&event("flood", 1000, 300)), "the newest stay");
    assert!(journal.bytes().0 <= limits.keep_bytes && !flood.is_empty());
}

#[test]
fn acknowledged_items_go_oldest_first_beyond_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { spool_bytes: 1 << 20, keep_bytes: 10_000 };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    // A row each.
    for n in 1..=100 {
        journal.append(&[event("a", n, 300)]).unwrap();
    }
    journal.acked(80).unwrap();
    let (acked, unacked) = journal.bytes();
    assert!(acked <= 10_000 && acked > 9_000, "{acked}");
    assert!(unacked > 6_000);
    let all = read_all(&journal, 1);
    let pruned = gap_of(&all[0].1).unwrap();
    assert_eq!((pruned.first, pruned.reason.as_str()), (1, "not-kept"));
    assert_eq!(all[1].0, pruned.last + 1);
    assert_eq!(all.last().unwrap().0, 100);
    // Nothing acknowledged is left: numbers go on.
    journal.acked(100).unwrap();
    drop(journal);
    let mut journal =
        Journal::open(&file(dir.path()), Limits { spool_bytes: 1 << 20, keep_bytes: 0 }).unwrap();
    assert_eq!(journal.bytes(), (0, 0));
    assert_eq!(journal.append(&[event("a", 101, 1)]).unwrap(), 101..=101);
}

#[test]
fn what_does_not_fit_a_message_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&[event("a", 1, ITEM_LIMIT), v1::Item { item: None }, event("a", 3, 1)]).unwrap();
    let all = read_all(&journal, 1);
    assert_eq!(gap_of(&all[0].1).unwrap().reason, "too-large");
    assert_eq!(gap_of(&all[0].1).unwrap().items_by_run["a"], 1);
    assert_eq!(gap_of(&all[1].1).unwrap().reason, "empty");
    assert_eq!(all[2], (3, event("a", 3, 1)));
}

#[test]
fn a_run_that_is_too_large_is_kept_without_its_lists() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let small = v1::Run { id: "r".into(), uid: 7, ..v1::Run::default() };
    let executed = v1::Executed { sha256: vec![0; ITEM_LIMIT], executions: 3, ..v1::Executed::default() };
    let large = v1::Run { command: vec!["x".repeat(9)], executed: vec![executed], ..small.clone() };
    journal.append(&[v1::Item { item: Some(item::Item::Run(large)) }]).unwrap();
    let kept = v1::Run { command_truncated: true, executed_unlisted: 3, ..small };
    assert_eq!(read_all(&journal, 1), [(1, v1::Item { item: Some(item::Item::Run(kept.clone())) })]);
    assert_eq!(read::runs(&journal.connection, false).unwrap(), [kept]);
    assert_eq!(journal.too_large, 1);
}

#[test]
fn what_the_ledger_was_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!(journal.remembered_ledger().unwrap(), None);
    assert_eq!(journal.origin(), &schema::Origin::New);
    let ledger = Remembered { chain_uid: "c".into(), seq: 9 };
    journal.remember_ledger(&ledger).unwrap();
    drop(journal);
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!(journal.remembered_ledger().unwrap(), Some(ledger));
    assert_eq!(journal.origin(), &schema::Origin::Earlier);
}

#[test]
fn what_was_lost_before_takes_its_positions() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let mut lost = Lost::default();
    (0..5).for_each(|n| lost.count(&event("a", n, 1), "disk-full"));
    lost.count(&event("b", 9, 1), "queue-full");
    assert_eq!(journal.append_after(&lost, &[event("a", 7, 1)]).unwrap(), 1..=7);
    let all = read_all(&journal, 1);
    let gap = gap_of(&all[0].1).unwrap();
    assert_eq!((gap.first, gap.last, gap.reason.as_str()), (1, 6, "disk-full, queue-full"));
    assert_eq!((gap.items_by_run["a"], gap.items_by_run["b"]), (5, 1));
    assert_eq!(all[1].0, 7);
}

#[test]
fn a_command_is_begun_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!(journal.begin_command("k1").unwrap(), CommandState::New);
    assert_eq!(journal.begin_command("k1").unwrap(), CommandState::Begun);
    let outcome = v1::Outcome { processes: 3, ..v1::Outcome::default() };
    let result = v1::CommandResult { key: "k1".to_owned(), outcome: Some(outcome) };
    journal.finish_command(&result).unwrap();
    assert_eq!(journal.begin_command("k2").unwrap(), CommandState::New);
    drop(journal);
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!(journal.begin_command("k1").unwrap(), CommandState::Done(result));
    assert_eq!(journal.begin_command("k2").unwrap(), CommandState::Begun);
    for n in 0..COMMANDS_KEPT {
        journal.begin_command(&format!("n{n}")).unwrap();
    }
    let kept: i64 =
        journal.connection.query_row("SELECT COUNT(*) FROM commands", [], |row| row.get(0)).unwrap();
    assert_eq!(kept.unsigned_abs(), COMMANDS_KEPT);
    assert_eq!(journal.begin_command("n1023").unwrap(), CommandState::Begun);
    assert_eq!(journal.begin_command("k1").unwrap(), CommandState::New, "forgotten by number");
}

#[test]
fn a_new_epoch_keeps_every_row_and_counts_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let items: Vec<_> = (1..=10).map(|n| event("a", n, 10)).collect();
    journal.append(&items).unwrap();
    journal.acked(4).unwrap();
    let first = journal.epoch().to_owned();
    let rows = read_all(&journal, 1);
    journal.begin_epoch("a test").unwrap();
    let check = |journal: &Journal| {
        assert_ne!(journal.epoch(), first);
        let places = (journal.base_seq(), journal.acked_seq(), journal.confirmed_seq(), journal.last_seq());
        assert_eq!(places, (4, 4, 4, 10));
        assert_eq!(read_all(journal, 1), rows, "history is where it was");
        let (epoch, base) = schema::epoch(&journal.connection).unwrap();
        assert_eq!((epoch.as_str(), base), (journal.epoch(), 4));
        let batch = read::read_from(&journal.connection, Form::Single, (base, 1), 1 << 20).unwrap();
        assert_eq!((batch.first, batch.last, &batch.items[..]), (1, 6, &items[4..]));
        assert_eq!(schema::meta(&journal.connection, "epoch_why").unwrap().as_deref(), Some("a test"));
    };
    check(&journal);
    drop(journal);
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    check(&journal);
    // What stands in for pruned items has positions of the epoch, too.
    journal.give_up(5).unwrap();
    let batch = read::read_from(&journal.connection, Form::Single, (4, 1), 1).unwrap();
    let gap = gap_of(&batch.items[0]).unwrap();
    assert_eq!((gap.first, gap.last, batch.last), (1, 1, 1));
}

#[test]
fn what_nobody_waits_for_is_not_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let items: Vec<_> = (1..=10).map(|n| event("a", n, 10)).collect();
    journal.append(&items).unwrap();
    journal.release(8).unwrap();
    assert_eq!((journal.acked_seq(), journal.confirmed_seq()), (8, 0));
    journal.acked(3).unwrap();
    assert_eq!((journal.acked_seq(), journal.confirmed_seq()), (8, 3));
    journal.acked(9).unwrap();
    journal.acked(11).unwrap();
    drop(journal);
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!((journal.acked_seq(), journal.confirmed_seq(), journal.last_seq()), (9, 9, 10));
}

#[test]
fn a_file_of_an_older_version_is_one_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let items: Vec<_> = (1..=10).map(|n| event("a", n, 10)).collect();
    journal.append(&items).unwrap();
    journal.acked(4).unwrap();
    let epoch = journal.epoch().to_owned();
    journal.connection.execute("DELETE FROM meta WHERE key IN ('base', 'confirmed')", []).unwrap();
    drop(journal);
    let journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    assert_eq!((journal.epoch(), journal.base_seq(), journal.acked_seq()), (epoch.as_str(), 0, 4));
    assert_eq!((journal.confirmed_seq(), journal.last_seq()), (0, 10));
}

#[test]
fn what_the_collector_refuses_becomes_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&[event("a", 1, 900), event("b", 2, 900), event("", 3, 900)]).unwrap();
    journal.acked(1).unwrap();
    for seq in 1..=4 {
        journal.give_up(seq).unwrap();
    }
    let all = read_all(&journal, 1);
    assert_eq!(all[0].1, event("a", 1, 900), "acknowledged: not refused");
    let gap = gap_of(&all[1].1).unwrap();
    assert_eq!((gap.first, gap.last, gap.reason.as_str(), gap.items_by_run["b"]), (2, 2, "refused", 1));
    assert!(gap_of(&all[2].1).unwrap().items_by_run.is_empty(), "no run has an empty id");
}

#[test]
fn queries_find_runs_agents_kinds_and_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    let decision = v1::Decision { run: "b".to_owned(), ..v1::Decision::default() };
    let decision = v1::Item { item: Some(item::Item::Decision(decision)) };
    journal.append(&[run("a", v1::RunState::Running), run("b", v1::RunState::Running)]).unwrap();
    for n in 0..50 {
        journal.append(&[event("a", n, 1), event("b", n, 1)]).unwrap();
    }
    journal.append(&[decision, run("a", v1::RunState::Ended)]).unwrap();
    let connection = &journal.connection;
    let find = |filter: &Filter, newest| {
        let mut found = Vec::new();
        let mut from = Some(read::start_of(connection, filter, newest).unwrap());
        while let Some(start) = from {
            let page = read::page(connection, filter, start, 300).unwrap();
            assert_eq!(page.corrupt, 0);
            found.extend(page.items.into_iter().map(|(seq, _)| seq));
            from = page.next;
        }
        found
    };
    assert_eq!(find(&Filter::default(), 0), (1..=104).collect::<Vec<_>>());
    assert_eq!(find(&Filter::default(), 3), [102, 103, 104]);
    assert_eq!(find(&Filter::default(), 1_000).len(), 104);
    let of_a = Filter { run: Some("a".to_owned()), ..Filter::default() };
    assert_eq!(find(&of_a, 0).len(), 52);
    assert_eq!(find(&of_a, 2), [101, 104]);
    let agent_b = Filter { agent: Some("agent-of-b".to_owned()), ..Filter::default() };
    assert_eq!(find(&agent_b, 2), [102, 103], "a decision belongs to its run's agent");
    let kinds = Filter { kinds: vec![ItemKind::Run, ItemKind::Decision], ..Filter::default() };
    assert_eq!(find(&kinds, 0), [1, 2, 103, 104]);
    assert_eq!(find(&Filter { run: Some("c".to_owned()), ..Filter::default() }, 0), [0_u64; 0]);

    let states: Vec<_> =
        read::runs(connection, true).unwrap().into_iter().map(|run| (run.id, run.state)).collect();
    assert_eq!(states, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
    assert_eq!(read::runs(connection, false).unwrap().len(), 1);
    assert_eq!(read::run(connection, "a").unwrap().unwrap().state, 3);
    assert!(read::run(connection, "c").unwrap().is_none());
}

#[test]
fn a_live_run_is_never_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&file(dir.path()), ROOMY).unwrap();
    journal.append(&[run("quiet", v1::RunState::Running), run("first", v1::RunState::Ended)]).unwrap();
    let others = "WITH RECURSIVE n(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM n WHERE n < ?1 + 1)
                  INSERT INTO runs (run, agent, state, first_seq, seq, body) SELECT 'r' || n, '', ?2, n, n, \
                  x'' FROM n";
    let added = journal.connection.execute(others, (RUNS_KEPT as i64, v1::RunState::Ended as i32)).unwrap();
    assert_eq!(added as u64, RUNS_KEPT - 1);
    let known = |journal: &Journal, id: &str| read::run(&journal.connection, id).unwrap().is_some();
    journal.append(&[run("frozen", v1::RunState::Frozen)]).unwrap();
    assert!(known(&journal, "first"), "as many ended ones are kept");
    journal.append(&[run("last", v1::RunState::Ended)]).unwrap();
    assert!(!known(&journal, "first"));
    assert!(known(&journal, "quiet") && known(&journal, "frozen") && known(&journal, "last"));
}

#[test]
fn a_gap_belongs_to_the_runs_it_names() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { spool_bytes: 100_000, keep_bytes: 1 << 20 };
    let mut journal = Journal::open(&file(dir.path()), limits).unwrap();
    journal.append(&[run("a", v1::RunState::Running), event("a", 1, 1)]).unwrap();
    journal.acked(2).unwrap();
    let mut lost = Lost::default();
    lost.count(&event("b", 1, 1), "disk-full");
    journal.append_after(&lost, &[run("b", v1::RunState::Running)]).unwrap();
    for n in 0..100 {
        journal.append(&[event("a", n, 2_000)]).unwrap();
    }
    let gaps = Filter { run: Some("a".to_owned()), kinds: vec![ItemKind::Gap], ..Filter::default() };
    assert_eq!(read::page(&journal.connection, &gaps, 0, 1 << 20).unwrap().items.len(), 1);
    let gaps = Filter { run: Some("z".to_owned()), kinds: vec![ItemKind::Gap], ..Filter::default() };
    assert_eq!(read::page(&journal.connection, &gaps, 0, 1 << 20).unwrap().items.len(), 0);
}

/// SQLite begins it anew only when nobody reads.
#[test]
fn the_write_ahead_log_is_bounded_while_questions_overlap() {
    const WRITTEN: u64 = 8 * LOG_BYTES;
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let mut journal = Journal::open(&path, ROOMY).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let connection = schema::open_reader(&path).unwrap();
                while !over.load(Ordering::Relaxed) {
                    let question = connection.unchecked_transaction().unwrap();
                    // As long as a question takes.
                    for _ in 0..200 {
                        let _runs = read::runs(&question, true).unwrap();
                    }
                }
            });
        }
        let batch: Vec<_> = (0..16).map(|n| event("a", n, 1 << 16)).collect();
        for _ in 0..WRITTEN >> 20 {
            journal.append(&batch).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let log = schema::log_bytes(&path);
    assert!(log <= WRITTEN / 2, "{log} of more than {WRITTEN} bytes written");
}
