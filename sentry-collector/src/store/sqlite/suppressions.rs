//! Rows of suppressions: made once, ended by time or once by hand, never removed.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{clock::now_ms, marks};
use crate::store::triage::{
    FindingState, MAX_SUPPRESSIONS, NewSuppression, SuppressionChange, SuppressionReply,
};

/// Most open findings that a new suppression takes away: the newest ones.
const FINDINGS: i64 = 10_000;

pub(super) fn change(tx: &Transaction<'_>, change: &SuppressionChange) -> rusqlite::Result<SuppressionReply> {
    match change {
        SuppressionChange::Make(new) => make(tx, new),
        SuppressionChange::End { id, who } => {
            let now = now_ms();
            let ended = tx.execute(
                "UPDATE suppressions SET ended_ms = ?2, ended_by = ?3
                 WHERE id = ?1 AND ended_ms IS NULL AND until_ms > ?2",
                params![id, now, who],
            )?;
            Ok(if ended == 1 { SuppressionReply::Ended } else { SuppressionReply::Unknown })
        }
    }
}

fn make(tx: &Transaction<'_>, new: &NewSuppression) -> rusqlite::Result<SuppressionReply> {
    let NewSuppression { rule, agent, until_ms, why, made_by } = new;
    let now = now_ms();
    if let Some(id) = in_force(tx, rule, agent, now)? {
        return Ok(SuppressionReply::InForce(id));
    }
    let all: i64 = tx.query_row(
        "SELECT count(*) FROM suppressions WHERE ended_ms IS NULL AND until_ms > ?1",
        [now],
        |row| row.get(0),
    )?;
    if all >= MAX_SUPPRESSIONS {
        return Ok(SuppressionReply::TooMany);
    }
    tx.execute(
        "INSERT INTO suppressions (rule, agent, until_ms, why, made_by, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![rule, agent, until_ms, why, made_by, now],
    )?;
    let id = tx.last_insert_rowid();
    let open: Vec<i64> = tx
        .prepare(
            "SELECT id FROM findings WHERE agent = ?1 AND rule = ?2 AND state = ?3 ORDER BY id DESC LIMIT ?4",
        )?
        .query_map(params![agent, rule, FindingState::Open as i64, FINDINGS], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for finding in &open {
        tx.prepare_cached("UPDATE findings SET state = ?2, suppression = ?3, changed = ?4 WHERE id = ?1")?
            .execute(params![finding, FindingState::Suppressed as i64, id, marks::next_finding(tx)?])?;
    }
    add(tx, id, open.len() as i64)?;
    Ok(SuppressionReply::Made(id))
}

/// The suppression that a new finding falls under. It counts the finding.
pub(super) fn suppress(tx: &Transaction<'_>, rule: &str, agent: &str) -> rusqlite::Result<Option<i64>> {
    let id = in_force(tx, rule, agent, now_ms())?;
    if let Some(id) = id {
        add(tx, id, 1)?;
    }
    Ok(id)
}

fn in_force(tx: &Transaction<'_>, rule: &str, agent: &str, now_ms: i64) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached(
        "SELECT id FROM suppressions WHERE agent = ?1 AND rule = ?2 AND ended_ms IS NULL AND until_ms > ?3
         LIMIT 1",
    )?
    .query_row(params![agent, rule, now_ms], |row| row.get(0))
    .optional()
}

fn add(tx: &Transaction<'_>, id: i64, findings: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE suppressions SET findings = findings + ?2 WHERE id = ?1")?
        .execute(params![id, findings])?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::scratch::Scratch;

    fn of_agent(agent: &str, until_ms: i64) -> SuppressionChange {
        SuppressionChange::Make(NewSuppression {
            rule: "scan".to_owned(),
            agent: agent.to_owned(),
            until_ms,
            why: String::new(),
            made_by: String::new(),
        })
    }

    #[test]
    fn a_suppression_ends_by_itself() {
        let mut scratch = Scratch::new();
        let tx = scratch.connection.transaction().unwrap();
        let now = now_ms();
        assert_eq!(change(&tx, &of_agent("a", now)).unwrap(), SuppressionReply::Made(1));
        assert_eq!(suppress(&tx, "scan", "a").unwrap(), None);
        let end = SuppressionChange::End { id: 1, who: String::new() };
        assert_eq!(change(&tx, &end).unwrap(), SuppressionReply::Unknown);
        assert_eq!(change(&tx, &of_agent("a", i64::MAX)).unwrap(), SuppressionReply::Made(2));
        assert_eq!(suppress(&tx, "scan", "a").unwrap(), Some(2));
        assert_eq!(suppress(&tx, "scan", "b").unwrap(), None);
        assert_eq!(suppress(&tx, "storm", "a").unwrap(), None);
    }

    #[test]
    fn those_in_force_are_bounded() {
        let mut scratch = Scratch::new();
        let tx = scratch.connection.transaction().unwrap();
        for n in 0..MAX_SUPPRESSIONS {
            change(&tx, &of_agent(&n.to_string(), i64::MAX)).unwrap();
        }
        assert_eq!(change(&tx, &of_agent("x", i64::MAX)).unwrap(), SuppressionReply::TooMany);
    }
}
