//! Rows of the table of items: making, placing and reading them.
//!
//! A row of kind Event holds one event, or a block of a run's events that stand one behind the
//! other; a Gap covers several positions, too. Every other row has one position.

use prost::Message as _;
use rusqlite::{Connection, params};
use sentry_proto::{
    block::Checked,
    v1::{self, ItemKind, item},
};

use super::gap;

/// SQLite's integers are signed; positions and sizes never get that far, times are cut.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Columns of a row besides its positions.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) kind: ItemKind,
    pub(super) run: Option<&'a str>,
    pub(super) agent: Option<&'a str>,
    pub(super) time_unix_ns: u64,
    pub(super) body: Vec<u8>,
}

impl Row<'_> {
    /// With what SQLite adds for the row and its place in the index, roughly.
    pub(super) fn bytes(&self) -> u64 {
        const OVERHEAD: usize = 96;
        (self.body.len() + OVERHEAD) as u64
    }
}

pub(super) fn gap_row(gap: v1::Gap) -> Row<'static> {
    let body = gap::item(gap).encode_to_vec();
    Row { kind: ItemKind::Gap, run: None, agent: None, time_unix_ns: 0, body }
}

/// Writes a row that covers `first..=last`.
pub(super) fn put(connection: &Connection, first: u64, last: u64, row: &Row<'_>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO items (seq, last, kind, run, agent, time, bytes, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert
        .execute(params![
            sql(first),
            sql(last),
            row.kind as i32,
            row.run,
            row.agent,
            sql(row.time_unix_ns),
            sql(row.bytes()),
            row.body,
        ])
        .map(drop)
}

/// What a row holds.
#[expect(clippy::large_enum_variant, reason = "one lives for as long as its row is read")]
#[derive(Debug)]
pub(super) enum Held {
    Item(v1::Item),
    /// As many events as the row has positions, of the row's run.
    Block(Box<Checked>),
}

/// What the row that covers `width` positions holds; `None` where it is damaged, or not of this
/// row.
pub(super) fn held(body: &[u8], width: u64, run: Option<&str>) -> Option<Held> {
    match v1::Item::decode(body).ok()?.item? {
        item::Item::Block(block) => {
            let block = Checked::new(block).ok()?;
            let is_ours = block.count() == width && Some(block.head().run.as_str()) == run;
            is_ours.then(|| Held::Block(Box::new(block)))
        }
        other => Some(Held::Item(v1::Item { item: Some(other) })),
    }
}

pub(super) fn decode_gap(body: &[u8]) -> Option<v1::Gap> {
    match v1::Item::decode(body).ok()?.item? {
        item::Item::Gap(gap) => Some(gap),
        _ => None,
    }
}
