//! Keeps the database below `retention_bytes` by removing the oldest rows, counted per run so that
//! a run whose events were removed never looks complete.
//!
//! Events go first, then outcomes, decisions and findings; states of runs, gaps and commands stay.
//! Removed pages are used again, so the file itself does not shrink, it stops growing.

use rusqlite::{Connection, params};

/// Rows of one removal: short enough to keep the writer's turn brief.
const ROWS: i64 = 2048;

/// In order of removal.
const TABLES: [&str; 4] = ["events", "outcomes", "decisions", "findings"];

/// Bytes of the database that hold something.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages.max(0) * pragma("page_size")?).max(0) as u64)
}

/// Removes one slice of the oldest rows; 0 where nothing may go any more.
pub(super) fn prune(connection: &mut Connection) -> rusqlite::Result<u64> {
    let tx = connection.transaction()?;
    for table in TABLES {
        let mut removed = 0;
        let runs: Vec<(i64, String, i64)> = tx
            .prepare_cached(&format!(
                "SELECT sensor, run, count(*) FROM (SELECT sensor, run FROM {table} ORDER BY id LIMIT ?1)
                 GROUP BY sensor, run"
            ))?
            .query_map([ROWS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (sensor, run, count) in runs {
            tx.prepare_cached(
                "INSERT INTO run_tallies (sensor, run, pruned) VALUES (?1, ?2, ?3)
                 ON CONFLICT (sensor, run) DO UPDATE SET pruned = pruned + ?3",
            )?
            .execute(params![sensor, run, count])?;
            removed += count;
        }
        if removed > 0 {
            tx.prepare_cached(&format!(
                "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT ?1)"
            ))?
            .execute([ROWS])?;
            tx.commit()?;
            return Ok(removed as u64);
        }
    }
    Ok(0)
}
