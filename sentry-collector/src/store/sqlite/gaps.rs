//! Rows of gaps: items that a sensor lost, and stored items that became unreadable.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sentry_proto::v1;

use super::{
    blocks::{self, Owner, Stored},
    clock::now_ms,
    spans::Spans,
};
use crate::feed::item::Gap;

/// Reason of a gap in place of a stored block.
const CORRUPT: &str = "corrupt";

/// Lost positions. `cut`: the gap began earlier when it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) cut: bool,
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    owner: Owner,
    missing: Missing,
    gap: &Gap,
) -> rusqlite::Result<()> {
    let Missing { first, last, cut } = missing;
    let named: u64 = gap.items_by_run.iter().map(|(_, items)| items).sum();
    let unnamed = (last - first + 1).saturating_sub(named);
    let id: Option<i64> = tx
        .prepare_cached(
            // Two gaps at one position occur only if the row of a corrupt block is corrupt too.
            "INSERT INTO gaps (feed, seq, last, sensor, session, reason, cut, unnamed, time_ms, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                owner.feed,
                first as i64,
                last as i64,
                owner.sensor,
                owner.session,
                gap.reason,
                cut,
                unnamed as i64,
                now_ms(),
                gap.body
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = id else { return Ok(()) };
    for (run, items) in &gap.items_by_run {
        tx.prepare_cached("INSERT INTO gap_runs (run, gap, items) VALUES (?1, ?2, ?3)")?.execute(params![
            run,
            id,
            *items as i64
        ])?;
    }
    Ok(())
}

/// Replaces an unreadable block by gaps. Returns how many events it had; `None` if it is readable
/// or was removed already.
pub(super) fn write_off(tx: &Transaction<'_>, id: i64) -> rusqlite::Result<Option<u64>> {
    let Some(stored) = blocks::load(tx, id)? else { return Ok(None) };
    let Err(damage) = stored.read() else { return Ok(None) };
    let (run, first, last, events) = (&stored.run, stored.first, stored.last, stored.events);
    tracing::error!(block = id, run, first, last, events, %damage, "a stored block cannot be read");
    blocks::remove(tx, id)?;
    let mut lost = 0;
    for missing in missing(&stored) {
        lost += missing.last - missing.first + 1;
        lose(tx, stored.owner, run, missing)?;
    }
    Ok(Some(lost))
}

/// Makes unreadable positions of one run a gap.
pub(super) fn lose(tx: &Transaction<'_>, owner: Owner, run: &str, missing: Missing) -> rusqlite::Result<()> {
    let Missing { first, last, .. } = missing;
    let items = last - first + 1;
    let items_by_run = [(run.to_owned(), items)];
    let gap = v1::Gap {
        first,
        last,
        reason: CORRUPT.to_owned(),
        items_by_run: items_by_run.iter().cloned().collect(),
    };
    let body = gap.encode_to_vec();
    let gap = Gap { reason: gap.reason, items_by_run: items_by_run.into(), body };
    insert(tx, owner, missing, &gap)?;
    tx.prepare_cached("UPDATE run_tallies SET lost_items = lost_items + ?3 WHERE sensor = ?1 AND run = ?2")?
        .execute(params![owner.sensor, run, items as i64])?;
    tx.prepare_cached("UPDATE feeds SET lost = lost + ?2 WHERE id = ?1")?
        .execute(params![owner.feed, items as i64])?;
    Ok(())
}

/// Positions of the events of a block. If even these are unreadable: as many positions as events,
/// from the first one on.
fn missing(stored: &Stored) -> Vec<Missing> {
    match Spans::decode(&stored.spans) {
        Some(spans) => spans
            .spans()
            .iter()
            .map(|span| Missing { first: span.position, last: span.position + span.count - 1, cut: false })
            .collect(),
        None => {
            let first = stored.first.unsigned_abs();
            vec![Missing { first, last: first + stored.events.max(1).unsigned_abs() - 1, cut: false }]
        }
    }
}
