//! Keeps the database below `retention_bytes` by removing the oldest rows, counted per run so that
//! a run whose events were removed never looks complete.
//!
//! Events go first, block by block, then outcomes, decisions and findings; states of runs, gaps and
//! commands stay. SQLite reuses removed pages: the file stops growing, but does not shrink.

use rusqlite::{Connection, Transaction, params};

use super::{blocks, findings};

/// Events or rows per step: few enough to keep the writer's turn short.
const ROWS: i64 = 2048;

/// Tables in the order of removal, after the blocks.
const TABLES: [&str; 3] = ["outcomes", "decisions", "findings"];

/// Bytes of the database in use.
pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages.max(0) * pragma("page_size")?).max(0) as u64)
}

/// Removes one slice of the oldest data, of blocks not more than make `excess` bytes. 0 if nothing
/// is left that may be removed.
pub(super) fn prune(connection: &mut Connection, excess: u64) -> rusqlite::Result<u64> {
    let tx = connection.transaction()?;
    let mut removed = prune_blocks(&tx, excess)?;
    for table in TABLES {
        if removed == 0 {
            removed = prune_rows(&tx, table)?;
            if table == "findings" && removed > 0 {
                findings::forget(&tx)?;
            }
        }
    }
    tx.commit()?;
    Ok(removed)
}

fn prune_blocks(tx: &Transaction<'_>, excess: u64) -> rusqlite::Result<u64> {
    let (mut removed, mut freed) = (0, 0);
    while removed < ROWS && freed < excess {
        let mut oldest = tx.prepare_cached(
            "SELECT id, sensor, run, events, (SELECT length(body) FROM bodies WHERE id = blocks.id)
             FROM blocks ORDER BY id LIMIT 1",
        )?;
        let mut rows = oldest.query([])?;
        let Some(row) = rows.next()? else { break };
        let (id, sensor, run, events): (i64, i64, String, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        freed += row.get::<_, Option<i64>>(4)?.unwrap_or_default().unsigned_abs();
        drop(rows);
        blocks::remove(tx, id)?;
        count(tx, sensor, &run, events)?;
        removed += events.max(1);
    }
    Ok(removed.unsigned_abs())
}

fn prune_rows(tx: &Transaction<'_>, table: &str) -> rusqlite::Result<u64> {
    let runs: Vec<(i64, String, i64)> = tx
        .prepare_cached(&format!(
            "SELECT sensor, run, count(*) FROM (SELECT sensor, run FROM {table} ORDER BY id LIMIT ?1)
             GROUP BY sensor, run"
        ))?
        .query_map([ROWS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (sensor, run, rows) in &runs {
        count(tx, *sensor, run, *rows)?;
    }
    let removed = tx
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT ?1)"
        ))?
        .execute([ROWS])?;
    Ok(removed as u64)
}

fn count(tx: &Transaction<'_>, sensor: i64, run: &str, pruned: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO run_tallies (sensor, run, pruned) VALUES (?1, ?2, ?3)
         ON CONFLICT (sensor, run) DO UPDATE SET pruned = pruned + ?3",
    )?
    .execute(params![sensor, run, pruned])?;
    Ok(())
}
