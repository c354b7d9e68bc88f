//! Rows of the audit. Each new row makes room: 90 days are kept, and 200,000 rows at most.

use rusqlite::{Transaction, params};

use super::clock::now_ms;
use crate::store::key::AuditEntry;

const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
const KEPT_ROWS: i64 = 200_000;
/// Old rows that a new one removes: more than one, so that they become fewer.
const STEP: i64 = 16;

pub(super) fn add(tx: &Transaction<'_>, entry: &AuditEntry) -> rusqlite::Result<()> {
    add_at(tx, entry, now_ms())
}

fn add_at(tx: &Transaction<'_>, entry: &AuditEntry, now_ms: i64) -> rusqlite::Result<()> {
    let AuditEntry { who, source, action, target, why, result } = entry;
    tx.prepare_cached(
        "INSERT INTO audit (time_ms, who, source, action, target, why, result) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![now_ms, who, source, action, target, why, result])?;
    tx.prepare_cached(
        "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, time_ms FROM audit ORDER BY id LIMIT ?1)
         WHERE time_ms < ?2 OR id <= ?3)",
    )?
    .execute(params![STEP, now_ms - KEPT_MS, tx.last_insert_rowid() - KEPT_ROWS])?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn old_rows_go_when_new_ones_come() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        let entry = AuditEntry {
            who: "a".to_owned(),
            source: String::new(),
            action: "log_in",
            target: String::new(),
            why: String::new(),
            result: String::new(),
        };
        let count = || tx.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0)).unwrap();
        for time_ms in 1..=40 {
            add_at(&tx, &entry, time_ms).unwrap();
        }
        assert_eq!(count(), 40);
        let later: Vec<i64> = (0..3)
            .map(|_| {
                add_at(&tx, &entry, KEPT_MS + 31).unwrap();
                count()
            })
            .collect();
        assert_eq!(later, [25, 12, 13], "those of the first 30 milliseconds go");
        tx.execute("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'audit'", [KEPT_ROWS + 40]).unwrap();
        add_at(&tx, &entry, KEPT_MS + 31).unwrap();
        assert_eq!(count(), 3, "those that are too many go");
    }
}
