//! Merges small blocks of a run while the writer is idle, so that the events of a slow run take
//! little more room than those of a fast one.
//!
//! Only blocks within one window of numbers are merged (`spans.rs`): 64 of a run at a time, and the
//! remaining ones once all numbers of the window are given out. A step reads at most 256 blocks,
//! 4,096 events and 256 KiB. Each repacking of an event merges its block with at least 63 others,
//! and ends at 1,024 events.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sentry_proto::block::Packer;

use super::{
    blocks::{self, Event, Owner},
    gaps,
    intake::{self, Single},
    spans::WINDOW,
};

/// Number of blocks that is worth a step while the window is still filling.
const ENOUGH: i64 = 64;
const STEP_BLOCKS: i64 = 256;
const STEP_EVENTS: usize = 4_096;
/// Most bytes of bodies per step: old and new ones must fit on the disk side by side.
const STEP_BYTES: usize = 256 << 10;

/// Small blocks that may become one.
struct Group {
    window: i64,
    owner: Owner,
    run: String,
    agent: String,
    /// All numbers of the window are given out.
    is_over: bool,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// Small blocks that were merged, or no longer wait to be.
    pub(super) blocks: u64,
    /// Blocks that could not be opened, and their events.
    pub(super) corrupt: u64,
    pub(super) lost: u64,
}

/// One step. Its result has no blocks if there was nothing to merge.
pub(super) fn step(connection: &mut Connection, packer: &mut Packer) -> rusqlite::Result<Merged> {
    let tx = connection.transaction()?;
    let merged = match group(&tx)? {
        Some(group) => merge(&tx, packer, &group)?,
        None => Merged::default(),
    };
    tx.commit()?;
    Ok(merged)
}

fn group(tx: &Transaction<'_>) -> rusqlite::Result<Option<Group>> {
    let next: i64 = tx.query_row("SELECT next FROM numbers", [], |row| row.get(0))?;
    let current = next / WINDOW as i64;
    tx.prepare_cached(
        "SELECT small, feed, session, run, agent, sensor FROM blocks INDEXED BY blocks_small
         WHERE small IS NOT NULL GROUP BY small, feed, session, run, agent
         HAVING small < ?1 OR count(*) >= ?2 LIMIT 1",
    )?
    .query_row([current, ENOUGH], |row| {
        let window = row.get(0)?;
        Ok(Group {
            window,
            owner: Owner { feed: row.get(1)?, session: row.get(2)?, sensor: row.get(5)? },
            run: row.get(3)?,
            agent: row.get(4)?,
            is_over: window < current,
        })
    })
    .optional()
}

fn merge(tx: &Transaction<'_>, packer: &mut Packer, group: &Group) -> rusqlite::Result<Merged> {
    let ids: Vec<i64> = tx
        .prepare_cached(
            "SELECT id FROM blocks INDEXED BY blocks_small
             WHERE small = ?1 AND feed = ?2 AND session = ?3 AND run = ?4 AND agent = ?5 ORDER BY id LIMIT \
             ?6",
        )?
        .query_map(
            params![group.window, group.owner.feed, group.owner.session, group.run, group.agent, STEP_BLOCKS],
            |row| row.get(0),
        )?
        .collect::<Result<_, _>>()?;
    if let [only] = ids[..] {
        tx.prepare_cached("UPDATE blocks SET small = NULL WHERE id = ?1")?.execute([only])?;
        return Ok(Merged { blocks: 1, ..Merged::default() });
    }
    let mut merged = Merged::default();
    let (mut events, mut bytes): (Vec<Event>, usize) = (Vec::new(), 0);
    for id in ids {
        let Some(stored) = blocks::load(tx, id)? else { continue };
        let Ok(read) = stored.read() else {
            merged.corrupt += 1;
            merged.lost += gaps::write_off(tx, id)?.unwrap_or(0);
            continue;
        };
        bytes += stored.body.map_or(0, |body| body.len());
        if !events.is_empty() && (events.len() + read.len() > STEP_EVENTS || bytes > STEP_BYTES) {
            break;
        }
        blocks::remove(tx, id)?;
        merged.blocks += 1;
        events.extend(read);
    }
    let singles: Vec<Single<'_>> = events
        .iter()
        .map(|at| Single { number: at.number, position: at.position, event: &at.event })
        .collect();
    let packed = intake::pack(packer, &singles)?;
    // Blocks that did not become fewer stop waiting; otherwise they would be tried for ever.
    let stays = group.is_over || packed.len() as u64 >= merged.blocks;
    for (block, spans) in packed {
        blocks::insert(tx, group.owner, &block, &spans, stays)?;
    }
    Ok(merged)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::store::sqlite::scratch::{Scratch, event};

    impl Scratch {
        fn merge(&mut self) -> Vec<Merged> {
            let mut steps = Vec::new();
            loop {
                let merged = step(&mut self.connection, &mut self.packer).unwrap();
                if merged == Merged::default() {
                    return steps;
                }
                steps.push(merged);
            }
        }
    }

    #[test]
    fn enough_small_blocks_of_a_run_become_one_and_every_event_keeps_its_place() {
        let mut scratch = Scratch::new();
        for n in 1..=3 * 64_u64 {
            let run = if n.is_multiple_of(3) { "r1" } else { "r2" };
            scratch.put(&[(n, event(run, n))]);
        }
        let before = [true, false].map(|newest_first| scratch.walk(newest_first, 7));
        let steps = scratch.merge();
        let blocks: Vec<u64> = steps.iter().map(|merged| merged.blocks).collect();
        assert_eq!(blocks, [64, 128]);
        assert_eq!(scratch.count("SELECT count(*) FROM blocks"), 2);
        assert_eq!(scratch.count("SELECT count(*) FROM bodies"), 2);
        assert_eq!([true, false].map(|newest_first| scratch.walk(newest_first, 7)), before);
        assert_eq!(scratch.count("SELECT last FROM blocks WHERE run = 'r1'"), 192);
    }

    #[test]
    fn a_few_blocks_wait_until_their_window_is_over() {
        let mut scratch = Scratch::new();
        for n in 1..=10 {
            scratch.put(&[(n, event(if n == 10 { "r2" } else { "r1" }, n))]);
        }
        assert_eq!(scratch.merge(), []);
        scratch.connection.execute("UPDATE numbers SET next = ?1", [WINDOW as i64]).unwrap();
        let blocks: Vec<u64> = scratch.merge().iter().map(|merged| merged.blocks).collect();
        assert_eq!(blocks, [9, 1], "nine become one, the last one stays");
        assert_eq!(scratch.count("SELECT count(*) FROM blocks WHERE small IS NOT NULL"), 0);
        assert_eq!(
            scratch.walk(false, 100),
            (1..=10).map(|n| event(if n == 10 { "r2" } else { "r1" }, n).id).collect::<Vec<_>>()
        );
    }

    #[test]
    fn large_blocks_stay_as_they_came() {
        let mut scratch = Scratch::new();
        let events: Vec<_> = (1..=1024).map(|n| event("r1", n)).collect();
        scratch.put_block(1, &events);
        assert_eq!(scratch.count("SELECT count(*) FROM blocks WHERE small IS NULL"), 1);
    }

    #[test]
    fn events_whose_agent_has_another_name_each_time_are_not_merged_for_ever() {
        let mut scratch = Scratch::new();
        for n in 1..=64 {
            let mut event = event("r1", n);
            event.agent.as_mut().unwrap().name = format!("name {n}");
            scratch.put(&[(n, event)]);
        }
        assert_eq!(scratch.merge().len(), 1);
        assert_eq!(scratch.walk(false, 100).len(), 64);
    }

    #[test]
    fn a_damaged_block_becomes_a_gap_and_the_others_are_merged() {
        let mut scratch = Scratch::new();
        for n in 1..=64 {
            scratch.put(&[(n, event("r1", n))]);
        }
        scratch.damage(7);
        assert_eq!(scratch.merge(), [Merged { blocks: 63, corrupt: 1, lost: 1 }]);
        assert_eq!(scratch.count("SELECT seq FROM gaps WHERE reason = 'corrupt'"), 7);
        assert_eq!(scratch.walk(false, 100).len(), 63);
    }
}
