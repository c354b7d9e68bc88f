//! Rows of findings: what a sensor sent, and what people made of it. A sensor changes nothing of
//! the second: a finding that it sends again has the state of the one before.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, Transaction, params};
use sentry_proto::v1;

use super::{blocks::Owner, clock::now_ms, marks, suppressions};
use crate::{
    feed::item::Finding,
    store::triage::{Act, FindingState, MAX_ACTS, Triage, TriageReply},
};

/// What people made of a finding.
struct Made {
    state: i64,
    assignee: Option<String>,
    suppression: Option<i64>,
    triaged_ms: Option<i64>,
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    owner: Owner,
    seq: i64,
    finding: &Finding,
) -> rusqlite::Result<()> {
    let known = tx
        .prepare_cached(
            "SELECT state, assignee, suppression, triaged_ms FROM findings
             WHERE finding = ?1 AND run = ?2 AND sensor = ?3 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![finding.id, finding.run, owner.sensor], |row| {
            Ok(Made {
                state: row.get(0)?,
                assignee: row.get(1)?,
                suppression: row.get(2)?,
                triaged_ms: row.get(3)?,
            })
        })
        .optional()?;
    let Made { state, assignee, suppression, triaged_ms } = match known {
        Some(known) => known,
        None => {
            let suppression = suppressions::suppress(tx, &finding.rule, &finding.agent)?;
            let state = if suppression.is_some() { FindingState::Suppressed } else { FindingState::Open };
            Made { state: state as i64, assignee: None, suppression, triaged_ms: None }
        }
    };
    tx.prepare_cached(
        "INSERT INTO findings (feed, seq, sensor, session, run, agent, severity, time_ms, body, finding, rule,
             state, assignee, suppression, triaged_ms, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        owner.feed,
        seq,
        owner.sensor,
        owner.session,
        finding.run,
        finding.agent,
        finding.severity,
        finding.time_ms,
        finding.body,
        finding.id,
        finding.rule,
        state,
        assignee,
        suppression,
        triaged_ms,
        marks::next_finding(tx)?
    ])?;
    Ok(())
}

/// Does this with a finding, and notes who did it.
pub(super) fn triage(tx: &Transaction<'_>, triage: &Triage) -> rusqlite::Result<TriageReply> {
    let Triage { of, act, comment, who } = triage;
    let rows: Vec<(i64, i64, i64, Option<String>)> = tx
        .prepare_cached(
            "SELECT f.id, f.sensor, f.state, f.assignee FROM findings f JOIN sensors s ON s.id = f.sensor
             WHERE f.finding = ?1 AND f.run = ?2 AND s.sensor = ?3 ORDER BY f.id",
        )?
        .query_map(params![of.finding, of.run, of.sensor], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    let Some((_, sensor, state, assignee)) = rows.last() else { return Ok(TriageReply::Unknown) };
    if *act == Act::Acknowledge && *state == FindingState::Resolved as i64 {
        return Ok(TriageReply::Resolved);
    }
    let new_state = act.state().map_or(*state, |state| state as i64);
    let new_assignee = if let Act::Assign(to) = act { to } else { assignee };
    if (new_state, new_assignee) == (*state, assignee) && comment.is_empty() {
        return Ok(TriageReply::Already);
    }
    let acts: i64 = tx
        .prepare_cached("SELECT count(*) FROM triage WHERE finding = ?1 AND run = ?2 AND sensor = ?3")?
        .query_row(params![of.finding, of.run, sensor], |row| row.get(0))?;
    if acts >= MAX_ACTS {
        return Ok(TriageReply::TooMany);
    }
    let now = now_ms();
    tx.prepare_cached(
        "INSERT INTO triage (sensor, run, finding, time_ms, who, action, assignee, comment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        sensor,
        of.run,
        of.finding,
        now,
        who,
        act.name(),
        if let Act::Assign(to) = act { to.as_ref() } else { None },
        comment
    ])?;
    for (id, ..) in &rows {
        tx.prepare_cached(
            "UPDATE findings SET state = ?2, assignee = ?3, triaged_ms = ?4, changed = ?5 WHERE id = ?1",
        )?
        .execute(params![id, new_state, new_assignee, now, marks::next_finding(tx)?])?;
    }
    Ok(TriageReply::Done)
}

/// Removes what was noted of findings that are there no more.
pub(super) fn forget(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        "DELETE FROM triage WHERE NOT EXISTS (SELECT 1 FROM findings f WHERE f.finding = triage.finding
             AND f.run = triage.run AND f.sensor = triage.sensor)",
        [],
    )?;
    Ok(())
}

/// Fills the columns of rows that an older version wrote.
pub(super) fn fill(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut read = tx.prepare("SELECT id, body FROM findings")?;
    let mut write = tx.prepare("UPDATE findings SET finding = ?2, rule = ?3 WHERE id = ?1")?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let (id, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        // It was checked before it was stored; one that is damaged stays without a name.
        let finding = v1::Finding::decode(body.as_slice()).unwrap_or_default();
        write.execute(params![id, finding.id, finding.rule])?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::{
        sqlite::{
            retention,
            scratch::{OWNER, Scratch},
        },
        triage::FindingId,
    };

    fn finding(id: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            run: "r1".to_owned(),
            agent: "a".to_owned(),
            rule: "scan".to_owned(),
            severity: 4,
            time_ms: 1,
            body: Vec::new(),
        }
    }

    fn comment(id: &str) -> Triage {
        let of = FindingId { sensor: "s1".to_owned(), run: "r1".to_owned(), finding: id.to_owned() };
        Triage { of, act: Act::Comment, comment: "x".to_owned(), who: String::new() }
    }

    #[test]
    fn acts_on_a_finding_are_bounded() {
        let mut scratch = Scratch::new();
        let tx = scratch.connection.transaction().unwrap();
        insert(&tx, OWNER, 1, &finding("f1")).unwrap();
        for _ in 0..MAX_ACTS {
            assert_eq!(triage(&tx, &comment("f1")).unwrap(), TriageReply::Done);
        }
        assert_eq!(triage(&tx, &comment("f1")).unwrap(), TriageReply::TooMany);
    }

    #[test]
    fn what_was_done_with_a_finding_goes_with_it() {
        let mut scratch = Scratch::new();
        let tx = scratch.connection.transaction().unwrap();
        for (seq, id) in [(1, "f1"), (2, "f2")] {
            insert(&tx, OWNER, seq, &finding(id)).unwrap();
            triage(&tx, &comment(id)).unwrap();
        }
        tx.execute("DELETE FROM findings WHERE finding = 'f1'", []).unwrap();
        forget(&tx).unwrap();
        tx.commit().unwrap();
        assert_eq!(scratch.count("SELECT count(*) FROM triage WHERE finding = 'f2'"), 1);
        assert_eq!(scratch.count("SELECT count(*) FROM triage"), 1);
        assert_eq!(retention::prune(&mut scratch.connection, 1).unwrap(), 1);
        assert_eq!(scratch.count("SELECT count(*) FROM triage"), 0);
    }
}
