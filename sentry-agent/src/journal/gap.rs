//! Gaps: what stands for items that could not be kept. Pure.

use std::collections::HashMap;

use sentry_proto::v1::{self, item};

use super::entry::Written;

/// Runs that a Gap counts by name; the rest is under [`OTHERS`].
const RUNS_NAMED: usize = 64;
/// Bytes of a run's id that are believed.
const RUN_ID_LIMIT: usize = 128;
pub(super) const OTHERS: &str = "others";

/// Items that never got a row, or are about to lose it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) items: u64,
    by_run: HashMap<String, u64>,
    reasons: Vec<String>,
}

impl Lost {
    pub(super) fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Counts what is one item.
    pub(super) fn count(&mut self, written: &impl Written, reason: &'static str) {
        if written.event().is_none()
            && let Some(item::Item::Gap(gap)) = &written.item().item
        {
            // It stands for others already.
            self.absorb(gap);
        } else {
            self.count_by_run(written.run(), 1);
        }
        self.reason(reason);
    }

    pub(super) fn count_by_run(&mut self, run: Option<&str>, items: u64) {
        self.items += items;
        if let Some(run) = run {
            self.name(run, items);
        }
    }

    /// Counts what a Gap stands for.
    pub(super) fn absorb(&mut self, gap: &v1::Gap) {
        self.items += width(gap);
        for (run, items) in &gap.items_by_run {
            self.name(run, *items);
        }
        for reason in gap.reason.split(", ").filter(|reason| !reason.is_empty()) {
            self.reason(reason);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.items += other.items;
        for (run, items) in other.by_run {
            self.name(&run, items);
        }
        for reason in other.reasons {
            self.reason(&reason);
        }
    }

    pub(super) fn reason(&mut self, reason: &str) {
        if !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.to_owned());
        }
    }

    /// The Gap that covers `first..=last`.
    pub(super) fn gap(&self, first: u64, last: u64) -> v1::Gap {
        v1::Gap { first, last, reason: self.reasons.join(", "), items_by_run: self.by_run.clone() }
    }

    fn name(&mut self, run: &str, items: u64) {
        // Not the id of a run: its items count, but under no name.
        if run.is_empty() || run.len() > RUN_ID_LIMIT {
            return;
        }
        let run = if self.by_run.len() < RUNS_NAMED || self.by_run.contains_key(run) { run } else { OTHERS };
        *self.by_run.entry(run.to_owned()).or_default() += items;
    }
}

/// Positions that a Gap covers.
pub(super) fn width(gap: &v1::Gap) -> u64 {
    gap.last.saturating_sub(gap.first).saturating_add(1)
}

/// The part of a Gap from `first` on.
pub(super) fn trimmed(mut gap: v1::Gap, first: u64, last: u64) -> v1::Gap {
    if (gap.first, gap.last) != (first, last) {
        let shorter = last.saturating_sub(first) + 1;
        // Whose items stood in which part is known only where all were of one run.
        if gap.items_by_run.len() == 1 {
            gap.items_by_run.values_mut().for_each(|items| *items = (*items).min(shorter));
        } else if width(&gap) != shorter {
            gap.items_by_run.clear();
        }
        (gap.first, gap.last) = (first, last);
    }
    gap
}

pub(super) fn item(gap: v1::Gap) -> v1::Item {
    v1::Item { item: Some(item::Item::Gap(gap)) }
}

/// A Gap for positions of which nothing more is known.
pub(super) fn unknown(first: u64, last: u64, reason: &str) -> v1::Item {
    item(v1::Gap { first, last, reason: reason.to_owned(), items_by_run: HashMap::new() })
}
