//! Blocks that a page has opened, in the order of their next events.

use std::collections::BinaryHeap;

use sentry_proto::block::Question;

use super::{
    blocks::{self, Damage},
    rows::{BlockRow, Wanted},
    spans::Place,
};
use crate::{feed::block::Opened, store::page::Source};

/// An opened block.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) source: Source,
    pub(super) opened: Opened,
    /// The events that are left, the next one last; never empty.
    pub(super) places: Vec<Place>,
    /// If only one class is wanted: for each place in the body whether its event is of that class.
    of_class: Option<Vec<bool>>,
    order: Order,
}

/// The order of the numbers: the higher rank comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) newest_first: bool,
}

// === impl Cursor ===

impl Cursor {
    /// `None` if all events of the block come before the page, or none of them is one that is
    /// looked for.
    pub(super) fn new(
        block: BlockRow,
        order: Order,
        after: Option<i64>,
        wanted: &Wanted,
        question: Option<&Question>,
    ) -> Result<Option<Self>, Damage> {
        let opened = blocks::open(&block.run, &block.spans, block.body.as_deref(), question)?;
        let Some((opened, spans)) = opened else { return Ok(None) };
        let after = after.map(|after| order.rank(after.unsigned_abs()));
        let is_behind = |place: &Place| after.is_none_or(|after| order.rank(place.number) < after);
        let mut places: Vec<Place> = spans.places().filter(is_behind).collect();
        if !order.newest_first {
            places.reverse();
        }
        if places.is_empty() {
            return Ok(None);
        }
        let of_class = wanted.class_uid.map(|class| opened.of_class(class)).transpose()?;
        Ok(Some(Self { source: block.source, opened, places, of_class, order }))
    }

    /// Whether the event there is one that is wanted.
    pub(super) fn has(&self, place: Place, wanted: &Wanted) -> bool {
        let at = place.in_body;
        let time_ms = self.opened.time_ms(at);
        wanted.from_ms.is_none_or(|from| time_ms >= from)
            && wanted.below_ms.is_none_or(|below| time_ms < below)
            && wanted.ids.as_ref().is_none_or(|ids| self.opened.id(at).is_ok_and(|id| ids.contains(&id)))
            && self.of_class.as_ref().is_none_or(|of_class| of_class.get(at).copied().unwrap_or(false))
    }

    /// The rank of its next event.
    fn rank(&self) -> u64 {
        self.places.last().map_or(0, |place| self.order.rank(place.number))
    }
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Cursor {}

// === impl Order ===

impl Order {
    /// Whether the block must be opened now: one of its events may come before the next event of
    /// the open ones.
    pub(super) fn is_due(self, block: &BlockRow, open: &BinaryHeap<Cursor>) -> bool {
        let (first, last) = block.numbers;
        let edge = self.rank(if self.newest_first { last } else { first });
        open.peek().is_none_or(|top| edge >= top.rank())
    }

    fn rank(self, number: u64) -> u64 {
        if self.newest_first { number } else { u64::MAX - number }
    }
}
