//! Rows of blocks: written, read and removed as a whole. `bodies` holds the events, `blocks` the
//! columns for queries.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentry_proto::{block::Question, v1};

use super::spans::{Place, Spans, WINDOW};
use crate::feed::block::{BadBlock, Block, Opened};

/// A block with fewer events waits to be merged with others of its run.
const SMALL: u64 = 1024;

/// The owner of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) feed: i64,
    pub(super) sensor: i64,
    pub(super) session: i64,
}

/// A block read from the database.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) owner: Owner,
    pub(super) run: String,
    /// First and last position and the number of events, in case the spans are unreadable.
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) events: i64,
    pub(super) spans: Vec<u8>,
    pub(super) body: Option<Vec<u8>>,
}

/// Why a stored block is unreadable.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("its body is gone")]
    NoBody,
    #[error("the places of its events cannot be read")]
    Spans,
    #[error("it is a block of another run or of another length")]
    Foreign,
    #[error(transparent)]
    Block(#[from] BadBlock),
}

/// An event, with its number and position.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) position: u64,
    pub(super) event: v1::Event,
}

/// Writes a block. Returns whether it waits to be merged; a block that `stays` does not.
pub(super) fn insert(
    tx: &Transaction<'_>,
    owner: Owner,
    block: &Block,
    spans: &Spans,
    stays: bool,
) -> rusqlite::Result<bool> {
    let (number, upto) = spans.numbers();
    let (first, last) = spans.positions();
    let window = number / WINDOW;
    // A block that reaches into the next window may not be merged: it could omit numbers of two
    // windows.
    let small = !stays && spans.events() < SMALL && window == upto / WINDOW;
    tx.prepare_cached(
        "INSERT INTO blocks (id, upto, feed, sensor, session, run, agent, first, last, events, earliest_ms,
             latest_ms, classes, small, spans)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        number as i64,
        upto as i64,
        owner.feed,
        owner.sensor,
        owner.session,
        block.run,
        block.agent,
        first as i64,
        last as i64,
        spans.events() as i64,
        block.earliest_ms,
        block.latest_ms,
        block.classes.bits(),
        small.then_some(window as i64),
        spans.encode()
    ])?;
    tx.prepare_cached("INSERT INTO bodies (id, body) VALUES (?1, ?2)")?
        .execute(params![number as i64, block.body])?;
    Ok(small)
}

pub(super) fn load(connection: &Connection, id: i64) -> rusqlite::Result<Option<Stored>> {
    connection
        .prepare_cached(
            "SELECT t.feed, t.sensor, t.session, t.run, t.first, t.last, t.events, t.spans, b.body
             FROM blocks t LEFT JOIN bodies b ON b.id = t.id WHERE t.id = ?1",
        )?
        .query_row([id], |row| {
            Ok(Stored {
                owner: Owner { feed: row.get(0)?, sensor: row.get(1)?, session: row.get(2)? },
                run: row.get(3)?,
                first: row.get(4)?,
                last: row.get(5)?,
                events: row.get(6)?,
                spans: row.get(7)?,
                body: row.get(8)?,
            })
        })
        .optional()
}

pub(super) fn remove(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM blocks WHERE id = ?1")?.execute([id])?;
    tx.prepare_cached("DELETE FROM bodies WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// The events of a block with their numbers and positions, if the block agrees with its row.
/// `None`: by its summary, it has no event that the question looks for.
pub(super) fn open(
    run: &str,
    spans: &[u8],
    body: Option<&[u8]>,
    question: Option<&Question>,
) -> Result<Option<(Opened, Spans)>, Damage> {
    let spans = Spans::decode(spans).ok_or(Damage::Spans)?;
    let Some(opened) = Opened::open(body.ok_or(Damage::NoBody)?, question)? else { return Ok(None) };
    if opened.run() != run || opened.len() as u64 != spans.in_body() {
        return Err(Damage::Foreign);
    }
    Ok(Some((opened, spans)))
}

// === impl Stored ===

impl Stored {
    /// All events of the block that count.
    pub(super) fn read(&self) -> Result<Vec<Event>, Damage> {
        let opened = open(&self.run, &self.spans, self.body.as_deref(), None)?;
        let Some((opened, spans)) = opened else { return Ok(Vec::new()) };
        let event = |place: Place| {
            let event = opened.event(place.in_body)?;
            Ok(Event { number: place.number, position: place.position, event })
        };
        spans.places().map(event).collect()
    }
}
