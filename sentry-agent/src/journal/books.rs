//! Positions and sizes, as the tables have them.

use rusqlite::{Connection, OptionalExtension as _, params};
use sentry_proto::v1::ItemKind;

use super::{row::sql, schema, share::Shares};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Books {
    /// Position of the next item.
    pub(super) next: u64,
    /// Position before the first one of the epoch.
    pub(super) base: u64,
    /// What the collector has acknowledged in the epoch; never beyond `acked`.
    pub(super) confirmed: u64,
    /// What nobody waits for: acknowledged, or released where there is no collector.
    pub(super) acked: u64,
    /// Where the last row ends of which all is acknowledged: `acked`, or less where that falls into
    /// a block. The rows up to here are the history, those behind it the spool.
    pub(super) border: u64,
    pub(super) acked_bytes: u64,
    pub(super) unacked_bytes: u64,
    /// Of the events in the spool.
    pub(super) shares: Shares,
    /// Of those in the history.
    pub(super) kept: Shares,
}

/// The epoch, and the books of a file.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<(String, Books)> {
    let epoch = schema::meta(connection, "epoch")?.unwrap_or_default();
    let acked = schema::meta_number(connection, "acked")?;
    // Files of older versions have neither: one epoch is all they know, and nothing says who
    // acknowledged.
    let base = schema::meta_number(connection, "base")?.min(acked);
    let confirmed = schema::meta_number(connection, "confirmed")?.clamp(base, acked);
    let last: i64 = connection.query_row("SELECT IFNULL(MAX(last), 0) FROM items", [], |row| row.get(0))?;
    // Never behind what is there, whatever the table of numbers says.
    let next = schema::meta_number(connection, "next")?.max(last.unsigned_abs() + 1).max(acked + 1);
    let into: Option<i64> = connection
        .query_row(
            "SELECT seq FROM (SELECT seq, last FROM items WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1) \
            WHERE last > ?1",
            [sql(acked)],
            |row| row.get(0),
        )
        .optional()?;
    let border = into.map_or(acked, |first| first.unsigned_abs().saturating_sub(1));
    let sum = |condition: &str| {
        let select = format!("SELECT IFNULL(SUM(bytes), 0) FROM items WHERE seq {condition} ?1");
        connection.query_row(&select, [sql(border)], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    let (acked_bytes, unacked_bytes) = (sum("<=")?, sum(">")?);
    let shares = shares(connection, (border, next))?;
    let kept = self::shares(connection, (0, border))?;
    Ok((epoch, Books { next, base, confirmed, acked, border, acked_bytes, unacked_bytes, shares, kept }))
}

/// What the runs have of the events at the positions in `(after, until]`.
pub(super) fn shares(connection: &Connection, (after, until): (u64, u64)) -> rusqlite::Result<Shares> {
    let mut shares = Shares::default();
    let mut select = connection.prepare(
        "SELECT run, MIN(seq), SUM(bytes) FROM items
         WHERE seq > ?1 AND seq <= ?2 AND kind = ?3 AND run IS NOT NULL GROUP BY run",
    )?;
    let mut rows = select.query(params![sql(after), sql(until), ItemKind::Event as i32])?;
    while let Some(row) = rows.next()? {
        let (first, bytes) = (row.get::<_, i64>(1)?.unsigned_abs(), row.get::<_, i64>(2)?.unsigned_abs());
        shares.add(row.get_ref(0)?.as_str()?, first, bytes);
    }
    Ok(shares)
}
