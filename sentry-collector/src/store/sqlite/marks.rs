//! How far the store has come. Numbers are never given out twice, so that the marks only grow, also
//! where old rows were removed.

use rusqlite::{Connection, Transaction};

use crate::store::marks::{Followed, Marks};

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Marks> {
    let mut marks = Marks::default();
    for kind in Followed::ALL {
        let sql = match kind {
            Followed::Run => "SELECT next - 1 FROM run_changes",
            Followed::Finding => "SELECT next - 1 FROM finding_changes",
            Followed::Decision => {
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'decisions'"
            }
            Followed::Outcome => "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outcomes'",
        };
        marks[kind] = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    }
    Ok(marks)
}

/// The number of a change, for the row of a finding that is new or has another state.
pub(super) fn next_finding(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.prepare_cached("UPDATE finding_changes SET next = next + 1 RETURNING next - 1")?
        .query_row([], |row| row.get(0))
}
