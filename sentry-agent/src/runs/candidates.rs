//! Cgroups that may be an agent's, and what was decided about them.

use std::{collections::HashMap, num::NonZeroUsize, time::Instant};

use lru::LruCache;
use sentry_common::table::{RUN_SLOTS, RunTag};

/// Refused tags whose late records can still be known.
const REFUSED: NonZeroUsize = NonZeroUsize::new(4 * RUN_SLOTS as usize).unwrap();

/// The origin of a record whose tag belongs to no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A candidate: it is not decided whether it becomes a run.
    Undecided,
    /// A refused candidate: it will not become a run.
    Refused,
}

/// The slots in reserve, and what was decided about those that were taken.
pub(super) struct Candidates {
    /// By place in the kernel's table.
    pub(super) reserve: Vec<Option<RunTag>>,
    /// Taken by the kernel, and since when that is known.
    pub(super) undecided: HashMap<RunTag, Instant>,
    pub(super) refused: LruCache<RunTag, ()>,
}

impl Candidates {
    pub(super) fn new() -> Self {
        Self { reserve: Vec::new(), undecided: HashMap::new(), refused: LruCache::new(REFUSED) }
    }

    pub(super) fn is_reserved(&self, tag: RunTag) -> bool {
        self.reserve.contains(&Some(tag))
    }

    /// It is decided. That may be sooner than it is known to be taken.
    pub(super) fn settle(&mut self, tag: RunTag) {
        self.undecided.remove(&tag);
        for place in &mut self.reserve {
            if *place == Some(tag) {
                *place = None;
            }
        }
    }
}
