//! Items → rows at the end. The events of a run that follow each other become blocks.

use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::{
    block::{PackError, Packable, Packer},
    v1::{self, ItemKind, item},
};

use super::{
    ITEM_LIMIT, RUNS_KEPT,
    books::Books,
    entry::Written,
    gap::Lost,
    row::{Row, gap_row, put, sql},
};

/// The content of one row.
#[derive(Debug)]
pub(super) enum Piece<'a, W> {
    Item(&'a W),
    /// So many events of a run, the first of which is this.
    Block(Row<'a>, u64),
}

/// The rows that items become, in their order.
///
/// # Errors
///
/// A block could not be compressed.
pub(super) fn pieces<'a, W: Written>(
    packer: &mut Packer,
    items: &'a [W],
) -> Result<Vec<Piece<'a, W>>, PackError> {
    let mut pieces = Vec::new();
    let mut rest = items;
    while let Some(first) = rest.first() {
        let events = rest.iter().map_while(W::event);
        let block = if events.clone().nth(1).is_some() { block(packer, events)? } else { None };
        let taken = match block {
            Some((row, count)) => {
                pieces.push(Piece::Block(row, count));
                usize::try_from(count).unwrap_or(usize::MAX)
            }
            None => {
                pieces.push(Piece::Item(first));
                1
            }
        };
        rest = &rest[taken.min(rest.len())..];
    }
    Ok(pieces)
}

/// The first of the events as one row, and how many they are. `None`: the first stands by itself,
/// which takes less than a block of one.
pub(super) fn block<'a, E: Packable + 'a>(
    packer: &mut Packer,
    events: impl Iterator<Item = &'a E> + Clone,
) -> Result<Option<(Row<'a>, u64)>, PackError> {
    let Some(first) = events.clone().next() else { return Ok(None) };
    let packed = packer.pack(events)?;
    let Some(block) = packed.block.filter(|_| packed.events > 1) else { return Ok(None) };
    let row = Row {
        kind: ItemKind::Event,
        run: Some(first.run()),
        agent: first.agent().map(|(id, _name)| id),
        time_unix_ns: first.time_unix_ns(),
        body: v1::Item { item: Some(item::Item::Block(block)) }.encode_to_vec(),
    };
    Ok(Some((row, packed.events as u64)))
}

/// A Gap at the end for what was lost.
pub(super) fn insert_gap(connection: &Connection, books: &mut Books, lost: &Lost) -> rusqlite::Result<()> {
    let gap = lost.gap(books.next, books.next + lost.items - 1);
    insert_row(connection, books, &gap_row(gap), lost.items)
}

/// Inserts a row at the end; true: what it stands for was too large.
pub(super) fn insert(
    connection: &Connection,
    books: &mut Books,
    piece: &Piece<'_, impl Written>,
) -> rusqlite::Result<bool> {
    match piece {
        Piece::Item(item) => insert_item(connection, books, &item.item()),
        Piece::Block(row, count) => {
            books.shares.add(row.run.unwrap_or_default(), books.next, row.bytes());
            insert_row(connection, books, row, *count)?;
            Ok(false)
        }
    }
}

fn insert_item(connection: &Connection, books: &mut Books, item: &v1::Item) -> rusqlite::Result<bool> {
    let too_large = item.encoded_len() > ITEM_LIMIT;
    if let Some(item::Item::Run(run)) = &item.item
        && too_large
        && let smaller = without_lists(run)
        && smaller.encoded_len() <= ITEM_LIMIT
    {
        // Without the row the next sensor life would not take the run up.
        insert_item(connection, books, &smaller)?;
        return Ok(true);
    }
    if too_large || matches!(item.item, None | Some(item::Item::Gap(_) | item::Item::Block(_))) {
        let mut lost = Lost::default();
        match &item.item {
            Some(item::Item::Gap(gap)) => lost.absorb(gap),
            // Callers never pass blocks.
            Some(item::Item::Block(_)) | None => lost.count(item, "empty"),
            Some(_) => lost.count(item, "too-large"),
        }
        insert_gap(connection, books, &lost)?;
        return Ok(too_large);
    }
    let known_agent = agent_of(connection, item)?;
    let (kind, time_unix_ns) = kind_and_time(item);
    let row = Row {
        kind,
        run: item.run(),
        agent: known_agent.as_deref(),
        time_unix_ns,
        body: item.encode_to_vec(),
    };
    match &item.item {
        Some(item::Item::Run(run)) => upsert_run(connection, books.next, run)?,
        Some(item::Item::Event(event)) => books.shares.add(&event.run, books.next, row.bytes()),
        _ => {}
    }
    insert_row(connection, books, &row, 1)?;
    Ok(false)
}

/// Inserts a row at the end; it covers `width` positions.
fn insert_row(connection: &Connection, books: &mut Books, row: &Row<'_>, width: u64) -> rusqlite::Result<()> {
    let last = books.next + width - 1;
    put(connection, books.next, last, row)?;
    books.next = last + 1;
    books.unacked_bytes += row.bytes();
    Ok(())
}

/// A run as small as it gets.
fn without_lists(run: &v1::Run) -> v1::Item {
    let executed: u64 = run.executed.iter().map(|file| file.executions).sum();
    let run = v1::Run {
        command: Vec::new(),
        command_truncated: true,
        flows: Vec::new(),
        executed: Vec::new(),
        executed_unlisted: run.executed_unlisted + executed,
        ..run.clone()
    };
    v1::Item { item: Some(item::Item::Run(run)) }
}

fn kind_and_time(item: &v1::Item) -> (ItemKind, u64) {
    match &item.item {
        Some(item::Item::Event(event)) => (ItemKind::Event, event.time_unix_ns),
        Some(item::Item::Finding(finding)) => (ItemKind::Finding, finding.time_unix_ns),
        Some(item::Item::Decision(decision)) => (ItemKind::Decision, decision.time_unix_ns),
        Some(item::Item::Outcome(outcome)) => (ItemKind::Outcome, outcome.time_unix_ns),
        Some(item::Item::Run(run)) => (ItemKind::Run, run.ended_unix_ns.unwrap_or(run.started_unix_ns)),
        Some(item::Item::Gap(_)) => (ItemKind::Gap, 0),
        Some(item::Item::Block(_)) | None => (ItemKind::Unspecified, 0),
    }
}

/// Decisions and outcomes name only the run; its agent stands in the run's own row.
fn agent_of(connection: &Connection, item: &v1::Item) -> rusqlite::Result<Option<String>> {
    let (agent, run) = match &item.item {
        Some(item::Item::Event(event)) => (event.agent.as_ref(), None),
        Some(item::Item::Finding(finding)) => (finding.agent.as_ref(), None),
        Some(item::Item::Run(run)) => (run.agent.as_ref(), None),
        Some(item::Item::Decision(decision)) => (None, Some(&decision.run)),
        Some(item::Item::Outcome(outcome)) => (None, Some(&outcome.run)),
        Some(item::Item::Gap(_) | item::Item::Block(_)) | None => (None, None),
    };
    match run {
        Some(run) => {
            let mut select = connection.prepare_cached("SELECT agent FROM runs WHERE run = ?1")?;
            select.query_row([run], |row| row.get(0)).optional()
        }
        None => Ok(agent.map(|agent| agent.id.clone())),
    }
}

fn upsert_run(connection: &Connection, seq: u64, run: &v1::Run) -> rusqlite::Result<()> {
    let agent = run.agent.as_ref().map_or("", |agent| agent.id.as_str());
    let mut upsert = connection.prepare_cached(
        "INSERT INTO runs (run, agent, state, first_seq, seq, body) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
         ON CONFLICT (run) DO UPDATE SET agent = ?2, state = ?3, seq = ?4, body = ?5",
    )?;
    upsert.execute(params![run.id, agent, run.state, sql(seq), run.encode_to_vec()])?;
    if run.state() != v1::RunState::Ended {
        return Ok(());
    }
    // Ended ones only: nothing is said of a run that lives on while nothing happens in it.
    let mut forget = connection.prepare_cached(
        "DELETE FROM runs WHERE run IN (SELECT run FROM runs WHERE state = ?2 ORDER BY seq DESC LIMIT -1 \
        OFFSET ?1)",
    )?;
    forget.execute(params![sql(RUNS_KEPT), v1::RunState::Ended as i32]).map(drop)
}

/// One event by itself.
pub(super) fn event_row(event: &v1::Event) -> Row<'_> {
    Row {
        kind: ItemKind::Event,
        run: Some(&event.run),
        agent: event.agent.as_ref().map(|agent| agent.id.as_str()),
        time_unix_ns: event.time_unix_ns,
        body: v1::Item { item: Some(item::Item::Event(event.clone())) }.encode_to_vec(),
    }
}
