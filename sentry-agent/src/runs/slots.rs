//! Slots of the kernel's run table.

use std::collections::VecDeque;

use sentry_common::table::{RUN_SLOTS, RunTag};

/// Gives out slots, oldest freed first, each with a generation that was never used before: records
/// and tags of a run that has ended can never be taken for those of the next one in its slot.
#[derive(Debug)]
pub struct Slots {
    free: VecDeque<u32>,
    last_generation: u32,
}

impl Slots {
    #[must_use]
    pub fn new() -> Self {
        Self { free: (0..RUN_SLOTS).collect(), last_generation: 0 }
    }

    /// A free slot, or `None` when all are taken.
    pub fn take(&mut self) -> Option<RunTag> {
        let slot = self.free.pop_front()?;
        // After 2³² runs of one sensor life generations come again; 0 means free and is left out.
        self.last_generation = self.last_generation.checked_add(1).unwrap_or(1);
        Some(RunTag { slot, generation: self.last_generation })
    }

    pub fn give_back(&mut self, tag: RunTag) {
        self.free.push_back(tag.slot);
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// No run exists.
    #[must_use]
    pub fn all_free(&self) -> bool {
        self.free.len() == RUN_SLOTS as usize
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_gets_a_generation_of_its_own() {
        let mut slots = Slots::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * RUN_SLOTS {
            let tag = slots.take().map(|tag| (tag.generation, tag));
            assert!(tag.is_some_and(|(generation, _)| generation != 0 && seen.insert(generation)));
            slots.give_back(tag.map_or(RunTag::default(), |(_, tag)| tag));
        }
        assert!(slots.all_free());
    }

    #[test]
    fn slots_run_out() {
        let mut slots = Slots::new();
        for _ in 0..RUN_SLOTS {
            assert!(slots.take().is_some());
        }
        assert_eq!(slots.take(), None);
        assert!(!slots.all_free());
    }
}
