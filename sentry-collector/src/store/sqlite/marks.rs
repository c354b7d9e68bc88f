//! Reads how far the store has come. Row numbers are never given out twice, so that the marks only
//! grow, also where old rows were removed.

use rusqlite::Connection;

use crate::store::marks::{Followed, Marks};

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Marks> {
    let mut marks = Marks::default();
    for kind in Followed::ALL {
        let sql = match kind {
            Followed::Run => "SELECT next - 1 FROM run_changes",
            Followed::Finding => "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'findings'",
            Followed::Decision => {
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'decisions'"
            }
            Followed::Outcome => "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outcomes'",
        };
        marks[kind] = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    }
    Ok(marks)
}
