//! Converts events of stores with a row for each event (schema 3 and before) into blocks with the
//! same numbers, when the store is opened.
//!
//! A step is one transaction: it converts and removes 4,096 rows. If the process is killed between
//! two steps, the next start continues. With the last row the table is removed.

use std::{collections::BTreeMap, path::Path};

use prost::Message as _;
use rusqlite::{Connection, Row, Transaction};
use sentry_proto::{block::Packer, v1};
use sentry_service::notify;

use super::{
    blocks::{self, Owner},
    gaps::{self, Missing},
    intake::{self, Single},
    schema,
    spans::WINDOW,
};
use crate::store::error::StoreError;

const STEP: i64 = 4_096;

/// A row of the old table.
struct Old {
    number: u64,
    position: u64,
    owner: Owner,
    run: String,
    event: Result<v1::Event, prost::DecodeError>,
}

/// The writer's connection once every event is in a block, and the packer for further events.
pub(super) fn open(path: &Path) -> Result<(Connection, Packer), StoreError> {
    let broken = |what, source| StoreError::Broken { what, source };
    let mut packer = Packer::new().map_err(|error| broken("preparing to pack events", error.into()))?;
    let mut connection = schema::open(path)?;
    convert(&mut connection, &mut packer)
        .map_err(|error| broken("packing the events of an older store", error.into()))?;
    Ok((connection, packer))
}

/// Makes all remaining steps.
fn convert(connection: &mut Connection, packer: &mut Packer) -> rusqlite::Result<()> {
    let mut events = 0;
    while let Some(more) = step(connection, packer, STEP)? {
        events += more;
        // A large store takes minutes: the service manager must not give up meanwhile.
        notify::extend();
    }
    if events > 0 {
        tracing::info!(events, "the events of an older store are packed into blocks");
    }
    Ok(())
}

/// One step. `None` if nothing was left to do.
fn step(connection: &mut Connection, packer: &mut Packer, rows: i64) -> rusqlite::Result<Option<u64>> {
    let tx = connection.transaction()?;
    if !is_old(&tx)? {
        return Ok(None);
    }
    let olds = oldest(&tx, rows)?;
    match olds.last() {
        Some(last) => {
            pack(&tx, packer, &olds)?;
            tx.execute("DELETE FROM events WHERE id <= ?1", [last.number as i64])?;
        }
        None => tx.execute_batch("DROP TABLE events")?,
    }
    tx.commit()?;
    Ok(Some(olds.len() as u64))
}

fn is_old(tx: &Transaction<'_>) -> rusqlite::Result<bool> {
    tx.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'events')", [], |row| row.get(0))
}

/// The oldest rows, up to the end of their window of numbers.
fn oldest(tx: &Transaction<'_>, rows: i64) -> rusqlite::Result<Vec<Old>> {
    let mut olds: Vec<Old> = tx
        .prepare("SELECT id, seq, feed, sensor, session, run, body FROM events ORDER BY id LIMIT ?1")?
        .query_map([rows], old)?
        .collect::<Result<_, _>>()?;
    let window = olds.first().map(|old| old.number / WINDOW);
    olds.retain(|old| Some(old.number / WINDOW) == window);
    Ok(olds)
}

fn old(row: &Row<'_>) -> rusqlite::Result<Old> {
    let number: i64 = row.get(0)?;
    let position: i64 = row.get(1)?;
    Ok(Old {
        number: number as u64,
        position: position as u64,
        owner: Owner { feed: row.get(2)?, sensor: row.get(3)?, session: row.get(4)? },
        run: row.get(5)?,
        event: v1::Event::decode(row.get_ref(6)?.as_blob()?),
    })
}

fn pack(tx: &Transaction<'_>, packer: &mut Packer, olds: &[Old]) -> rusqlite::Result<()> {
    let mut by_run: BTreeMap<(Owner, &str), Vec<Single<'_>>> = BTreeMap::new();
    for old in olds {
        let Old { number, position, owner, run, event } = old;
        match event {
            Ok(event) => {
                let single = Single { number: *number, position: *position, event };
                by_run.entry((*owner, run)).or_default().push(single);
            }
            Err(error) => {
                tracing::error!(run, position, %error, "a stored event cannot be read");
                gaps::lose(tx, *owner, run, Missing { first: *position, last: *position, cut: false })?;
            }
        }
    }
    for ((owner, _), singles) in by_run {
        for (block, spans) in intake::pack(packer, &singles)? {
            blocks::insert(tx, owner, &block, &spans, false)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::{
        page::{Paging, Query},
        sqlite::events,
    };

    /// A store as a collector of schema 3 left it: 60 events of two runs, findings.
    const GOLDEN: &str = include_str!("../../../tests/golden/store-v3.sql");

    fn golden(path: &Path, change: &str) -> Vec<v1::Event> {
        let connection = Connection::open(path).unwrap();
        connection.execute_batch(GOLDEN).unwrap();
        connection.execute_batch(change).unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();
        let mut rows = connection.prepare("SELECT body FROM events ORDER BY id").unwrap();
        let bodies = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        bodies.map(|body| v1::Event::decode(body.unwrap().as_slice()).unwrap_or_default()).collect()
    }

    fn listed(path: &Path, after: Option<i64>, newest_first: bool) -> Vec<v1::Event> {
        let reader = schema::open_reader(path).unwrap();
        let mut all = Vec::new();
        let paging = Paging { after, newest_first, limit: 1000 };
        let page = events::page(&reader, &Query { conditions: Vec::new(), paging }, |source, event| {
            assert_eq!((source.sensor.as_str(), source.host.as_str()), ("s1", "build-7"));
            all.push(event);
            0
        });
        assert_eq!(page.unwrap().next, None);
        all
    }

    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_event_of_an_old_store_is_listed_where_it_was_and_old_cursors_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let old = golden(&path, "");
        assert_eq!(old.len(), 60);
        let (connection, _) = open(&path).unwrap();
        assert_eq!(listed(&path, None, false), old);
        // A cursor from the old store: row 45.
        assert_eq!(listed(&path, Some(45), false), old[45..]);
        assert_eq!(listed(&path, Some(45), true), old[..44].iter().rev().cloned().collect::<Vec<_>>());
        assert_eq!(count(&connection, "SELECT count(*) FROM blocks"), 2);
        assert_eq!(count(&connection, "SELECT next FROM numbers"), 61);
        let findings =
            "SELECT count(*) FROM findings WHERE rule = 'spawn-storm' AND state = 1 AND changed = id";
        assert_eq!(count(&connection, findings), 3);
        assert_eq!(count(&connection, "SELECT count(DISTINCT finding) FROM findings"), 3);
        assert_eq!(count(&connection, "SELECT next FROM finding_changes"), 4);
        assert_eq!(count(&connection, "SELECT count(*) FROM sqlite_schema WHERE name = 'events'"), 0);
    }

    #[test]
    fn a_conversion_that_was_killed_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let old = golden(&path, "DELETE FROM events WHERE id IN (3, 31)");
        {
            let mut connection = schema::open(&path).unwrap();
            let mut packer = Packer::new().unwrap();
            assert_eq!(step(&mut connection, &mut packer, 7).unwrap(), Some(7));
            assert_eq!(step(&mut connection, &mut packer, 40).unwrap(), Some(40));
        }
        let (connection, _) = open(&path).unwrap();
        assert_eq!(listed(&path, None, false), old);
        assert_eq!(count(&connection, "SELECT sum(events) FROM blocks"), 58);
    }

    #[test]
    fn an_old_event_that_does_not_decode_becomes_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut old = golden(&path, "UPDATE events SET body = x'ff' WHERE id = 5");
        old.remove(4);
        let (connection, _) = open(&path).unwrap();
        assert_eq!(listed(&path, None, false), old);
        assert_eq!(count(&connection, "SELECT seq FROM gaps WHERE reason = 'corrupt'"), 5);
        assert_eq!(count(&connection, "SELECT lost_items FROM run_tallies WHERE run = 'r1'"), 1);
    }
}
