//! Rows of commands: made once per key, open until the first result from their sensor.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use sentry_proto::v1;

use super::{clock::now_ms, job::Answered};
use crate::store::command::{CommandReply, CommandRequest, CommandRow};

/// Unanswered commands one sensor may have; all of them fit into one listing.
pub(super) const MAX_OPEN: i64 = 64;

const COLUMNS: &str =
    "c.key, s.sensor, c.run, c.action, c.reason, c.created_ms, c.delivered_ms, c.done_ms, c.outcome";

pub(super) fn create(tx: &Transaction<'_>, request: &CommandRequest) -> rusqlite::Result<CommandReply> {
    if let Some(row) = find(tx, &request.key)? {
        let same =
            row.run == request.run && row.action == request.action as i32 && row.reason == request.reason;
        return Ok(if same { CommandReply::Existing(row) } else { CommandReply::Conflict(row) });
    }
    let sensors: Vec<i64> = tx
        .prepare_cached("SELECT sensor FROM runs WHERE run = ?1 LIMIT 2")?
        .query_map([&request.run], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let sensor = match sensors[..] {
        [] => return Ok(CommandReply::UnknownRun),
        [sensor] => sensor,
        _ => return Ok(CommandReply::AmbiguousRun),
    };
    let open: i64 = tx.query_row(
        "SELECT count(*) FROM commands WHERE sensor = ?1 AND done_ms IS NULL",
        [sensor],
        |row| row.get(0),
    )?;
    if open >= MAX_OPEN {
        return Ok(CommandReply::TooMany);
    }
    tx.execute(
        "INSERT INTO commands (key, sensor, run, action, reason, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![request.key, sensor, request.run, request.action as i32, request.reason, now_ms()],
    )?;
    let row = find(tx, &request.key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(CommandReply::Created(row))
}

pub(super) fn delivered(tx: &Transaction<'_>, key: &str) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE commands SET delivered_ms = ?2 WHERE key = ?1 AND delivered_ms IS NULL",
        params![key, now_ms()],
    )?;
    Ok(())
}

/// The first result counts. A result for an unknown command, for another sensor's, or for one that
/// was not delivered changes nothing.
pub(super) fn result(
    tx: &Transaction<'_>,
    sensor: &str,
    key: &str,
    outcome: &[u8],
) -> rusqlite::Result<Answered> {
    let done: Option<bool> = tx
        .query_row(
            "SELECT done_ms IS NOT NULL FROM commands WHERE key = ?1 AND delivered_ms IS NOT NULL
             AND sensor = (SELECT id FROM sensors WHERE sensor = ?2)",
            [key, sensor],
            |row| row.get(0),
        )
        .optional()?;
    match done {
        None => Ok(Answered::Unasked),
        Some(true) => Ok(Answered::Again),
        Some(false) => {
            tx.execute(
                "UPDATE commands SET done_ms = ?2, outcome = ?3 WHERE key = ?1",
                params![key, now_ms(), outcome],
            )?;
            Ok(Answered::First)
        }
    }
}

pub(super) fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<CommandRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM commands c JOIN sensors s ON s.id = c.sensor WHERE c.key = ?1"
        ))?
        .query_row([key], command_row)
        .optional()
}

/// Commands of a sensor without a result, oldest first.
pub(super) fn open(connection: &Connection, sensor: &str) -> rusqlite::Result<Vec<v1::Command>> {
    connection
        .prepare_cached(
            "SELECT key, run, action, reason FROM commands
             WHERE done_ms IS NULL AND sensor = (SELECT id FROM sensors WHERE sensor = ?1) ORDER BY id LIMIT \
             ?2",
        )?
        .query_map(params![sensor, MAX_OPEN], |row| {
            Ok(v1::Command { key: row.get(0)?, run: row.get(1)?, action: row.get(2)?, reason: row.get(3)? })
        })?
        .collect()
}

fn command_row(row: &Row<'_>) -> rusqlite::Result<CommandRow> {
    Ok(CommandRow {
        key: row.get(0)?,
        sensor: row.get(1)?,
        run: row.get(2)?,
        action: row.get(3)?,
        reason: row.get(4)?,
        created_ms: row.get(5)?,
        delivered_ms: row.get(6)?,
        done_ms: row.get(7)?,
        outcome: row.get(8)?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn a_result_counts_once_and_for_a_command_that_was_delivered_to_its_sensor() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        tx.execute_batch(
            "INSERT INTO sensors (id, sensor, session, first_seen_ms, last_seen_ms)
             VALUES (1, 's1', 0, 0, 0), (2, 's2', 0, 0, 0);
             INSERT INTO runs (sensor, run, agent, state, started_ms, first_feed, feed, session,
             seq, updated_ms, body)
             VALUES (1, 'r1', 'a', 1, 0, 1, 1, 1, 1, 0, x'')",
        )
        .unwrap();
        let request = CommandRequest {
            key: "k1".to_owned(),
            run: "r1".to_owned(),
            action: v1::Action::Kill,
            reason: "a".to_owned(),
        };
        assert!(matches!(create(&tx, &request).unwrap(), CommandReply::Created(_)));
        let answer = |sensor, key| result(&tx, sensor, key, b"outcome").unwrap();
        assert_eq!(answer("s1", "k1"), Answered::Unasked, "not delivered");
        delivered(&tx, "k1").unwrap();
        assert_eq!((answer("s2", "k1"), answer("s1", "k0")), (Answered::Unasked, Answered::Unasked));
        assert_eq!(find(&tx, "k1").unwrap().unwrap().done_ms, None);
        assert_eq!((answer("s1", "k1"), answer("s1", "k1")), (Answered::First, Answered::Again));
    }
}
