//! Events of one commit: gives them their numbers, and gathers single ones into blocks.

use std::collections::BTreeMap;

use rusqlite::{Error, Transaction};
use sentry_proto::{block::Packer, v1};

use super::{
    blocks::{self, Owner},
    spans::{Span, Spans, WINDOW},
};
use crate::feed::block::Block;

/// Takes the events of a transaction, in the order of their numbers.
pub(super) struct Intake<'a, 'tx> {
    tx: &'a Transaction<'tx>,
    packer: &'a mut Packer,
    /// Number of the next event.
    next: u64,
    /// Events of the current window that are in no block yet.
    loose: BTreeMap<Key<'a>, Vec<Single<'a>>>,
    small: u64,
}

/// Events with the same key may share a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    owner: Owner,
    run: &'a str,
    /// Id and name of the agent.
    agent: (&'a str, &'a str),
}

/// A single event, with its number and position.
#[derive(Clone, Copy)]
pub(super) struct Single<'a> {
    pub(super) number: u64,
    pub(super) position: u64,
    pub(super) event: &'a v1::Event,
}

// === impl Intake ===

impl<'a, 'tx> Intake<'a, 'tx> {
    pub(super) fn begin(tx: &'a Transaction<'tx>, packer: &'a mut Packer) -> rusqlite::Result<Self> {
        let next: i64 = tx.prepare_cached("SELECT next FROM numbers")?.query_row([], |row| row.get(0))?;
        Ok(Self { tx, packer, next: next as u64, loose: BTreeMap::new(), small: 0 })
    }

    /// Takes a single event.
    pub(super) fn event(
        &mut self,
        owner: Owner,
        position: u64,
        event: &'a v1::Event,
    ) -> rusqlite::Result<()> {
        let number = self.next;
        self.gather(owner, Single { number, position, event });
        self.advance(1)
    }

    /// Takes a block that begins at position `first`, without its events before `from`.
    pub(super) fn block(
        &mut self,
        owner: Owner,
        block: &Block,
        first: u64,
        from: u64,
    ) -> rusqlite::Result<()> {
        let skipped = from - first;
        let count = block.events - skipped;
        let spans = Spans::of(skipped, Span { number: self.next, position: from, count });
        self.small += u64::from(blocks::insert(self.tx, owner, block, &spans, false)?);
        self.advance(count)
    }

    /// Writes the gathered events. Returns how many blocks wait to be merged.
    pub(super) fn finish(mut self) -> rusqlite::Result<u64> {
        self.pack()?;
        self.tx.prepare_cached("UPDATE numbers SET next = ?1")?.execute([self.next as i64])?;
        Ok(self.small)
    }

    fn gather(&mut self, owner: Owner, single: Single<'a>) {
        let agent = single.event.agent.as_ref();
        let agent = agent.map_or(("", ""), |agent| (agent.id.as_str(), agent.name.as_str()));
        self.loose.entry(Key { owner, run: &single.event.run, agent }).or_default().push(single);
    }

    fn advance(&mut self, count: u64) -> rusqlite::Result<()> {
        let window = self.next / WINDOW;
        self.next += count;
        if self.next / WINDOW == window { Ok(()) } else { self.pack() }
    }

    /// Packs the gathered events at the end of a window, so that no block with omitted numbers
    /// reaches into the next.
    fn pack(&mut self) -> rusqlite::Result<()> {
        for (key, singles) in std::mem::take(&mut self.loose) {
            for (block, spans) in pack(self.packer, &singles)? {
                self.small += u64::from(blocks::insert(self.tx, key.owner, &block, &spans, false)?);
            }
        }
        Ok(())
    }
}

/// Packs events of one run and agent into as many blocks as needed.
pub(super) fn pack(packer: &mut Packer, mut singles: &[Single<'_>]) -> rusqlite::Result<Vec<(Block, Spans)>> {
    let mut blocks = Vec::new();
    while let Some(first) = singles.first() {
        let packed = packer
            .pack(singles.iter().map(|single| single.event))
            .map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
        // An event that fits into no block is stored alone.
        let (these, rest) = singles.split_at(packed.events.clamp(1, singles.len()));
        let mut spans = Spans::of(0, Span { number: first.number, position: first.position, count: 1 });
        for single in &these[1..] {
            spans.push(single.number, single.position);
        }
        let events: Vec<&v1::Event> = these.iter().map(|single| single.event).collect();
        let block = match packed.block {
            Some(block) => Block::packed(&events, block),
            None => Block::single(first.event),
        };
        blocks.extend(block.map(|block| (block, spans)));
        singles = rest;
    }
    Ok(blocks)
}
