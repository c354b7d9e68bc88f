//! Rows of keys: made once, revoked once, never removed.

use rusqlite::{Connection, Transaction, params};

use super::clock::now_ms;
use crate::store::key::{KeyChange, KeyReply, KeyRow, MAX_KEYS, NewKey};

pub(super) fn change(tx: &Transaction<'_>, change: &KeyChange) -> rusqlite::Result<KeyReply> {
    match change {
        KeyChange::Make(key) => {
            let now = now_ms();
            let working: i64 = tx.query_row(
                "SELECT count(*) FROM keys WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?1)",
                [now],
                |row| row.get(0),
            )?;
            if working >= MAX_KEYS {
                return Ok(KeyReply::TooMany);
            }
            insert(tx, key).map(|()| KeyReply::Made)
        }
        KeyChange::Revoke(prefix) => revoke(tx, "prefix = ?2", prefix),
        KeyChange::RevokeAll { but } => revoke(tx, "prefix <> ?2", but.as_deref().unwrap_or_default()),
    }
}

pub(super) fn insert(tx: &Transaction<'_>, key: &NewKey) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO keys (prefix, hash, scope, agent, note, made_by, created_ms, expires_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![key.prefix, key.hash, key.scope, key.agent, key.note, key.made_by, now_ms(), key.expires_ms],
    )?;
    Ok(())
}

fn revoke(tx: &Transaction<'_>, which: &str, prefix: &str) -> rusqlite::Result<KeyReply> {
    let revoked = tx
        .prepare(&format!(
            "UPDATE keys SET revoked_ms = ?1 WHERE revoked_ms IS NULL AND {which} RETURNING prefix"
        ))?
        .query_map(params![now_ms(), prefix], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(KeyReply::Revoked(revoked))
}

pub(super) fn used(tx: &Transaction<'_>, prefix: &str, used_ms: i64) -> rusqlite::Result<()> {
    tx.execute("UPDATE keys SET used_ms = ?2 WHERE prefix = ?1", params![prefix, used_ms])?;
    Ok(())
}

/// Whether there has ever been one.
pub(super) fn had_some(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM keys)", [], |row| row.get(0))
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<KeyRow>> {
    connection
        .prepare(
            "SELECT prefix, hash, scope, agent, expires_ms, used_ms, revoked_ms IS NOT NULL FROM keys ORDER BY id",
        )?
        .query_map([], |row| {
            Ok(KeyRow {
                prefix: row.get(0)?,
                hash: row.get(1)?,
                scope: row.get(2)?,
                agent: row.get(3)?,
                expires_ms: row.get(4)?,
                used_ms: row.get(5)?,
                revoked: row.get(6)?,
            })
        })?
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    fn key(prefix: &str, expires_ms: Option<i64>) -> NewKey {
        NewKey {
            prefix: prefix.to_owned(),
            hash: [7; 32],
            scope: "readonly",
            agent: None,
            note: String::new(),
            made_by: String::new(),
            expires_ms,
        }
    }

    #[test]
    fn keys_are_made_and_revoked_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        assert!(!had_some(&tx).unwrap());
        for prefix in ["a", "b", "c"] {
            assert_eq!(change(&tx, &KeyChange::Make(key(prefix, None))).unwrap(), KeyReply::Made);
        }
        let revoked = |which| change(&tx, &which).unwrap();
        let some = |all: &[&str]| KeyReply::Revoked(all.iter().map(|one| (*one).to_owned()).collect());
        assert_eq!(revoked(KeyChange::Revoke("a".to_owned())), some(&["a"]));
        assert_eq!(revoked(KeyChange::Revoke("a".to_owned())), some(&[]));
        assert_eq!(revoked(KeyChange::RevokeAll { but: Some("b".to_owned()) }), some(&["c"]));
        assert_eq!(revoked(KeyChange::RevokeAll { but: None }), some(&["b"]));
        used(&tx, "b", 3_600_000).unwrap();
        let rows: Vec<_> =
            all(&tx).unwrap().into_iter().map(|row| (row.prefix, row.used_ms, row.revoked)).collect();
        let row = |prefix: &str, used_ms| (prefix.to_owned(), used_ms, true);
        assert_eq!(rows, [row("a", None), row("b", Some(3_600_000)), row("c", None)]);
        assert!(had_some(&tx).unwrap());
    }

    #[test]
    fn keys_that_work_no_more_take_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&dir.path().join("a.db")).unwrap();
        let tx = connection.transaction().unwrap();
        for n in 0..MAX_KEYS {
            insert(&tx, &key(&n.to_string(), if n == 0 { Some(1) } else { None })).unwrap();
        }
        let make = |prefix| change(&tx, &KeyChange::Make(key(prefix, None))).unwrap();
        assert_eq!((make("x"), make("y")), (KeyReply::Made, KeyReply::TooMany));
    }
}
