//! Names that an agent has used, with when: the [`MOST`] used last.

use std::collections::BTreeMap;

/// Names kept of each kind.
pub(crate) const MOST: usize = 320;
/// Runs without anything new that are assumed.
const QUIET: u64 = 4;

/// When and how often a name was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub first_unix_ns: u64,
    pub last_unix_ns: u64,
    pub times: u64,
}

impl Use {
    /// The use that two observers saw parts of.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            first_unix_ns: self.first_unix_ns.min(other.first_unix_ns),
            last_unix_ns: self.last_unix_ns.max(other.last_unix_ns),
            times: self.times.saturating_add(other.times),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Things {
    pub(crate) used: BTreeMap<Box<str>, Use>,
    /// Names that had to go for others, or found no room in their run.
    pub(crate) evicted: u64,
    /// Runs of which it was asked whether they used something new, and those that did.
    pub(crate) runs: u64,
    pub(crate) runs_with_new: u64,
}

impl Things {
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.used.contains_key(name)
    }

    pub(crate) fn used(&mut self, name: Box<str>, how: Use) {
        self.used.entry(name).and_modify(|before| *before = before.and(how)).or_insert(how);
    }

    /// Without a bound: [`Self::trim`] has one.
    pub(crate) fn add(&mut self, other: &Self) {
        for (name, how) in &other.used {
            self.used(name.clone(), *how);
        }
        self.evicted = self.evicted.saturating_add(other.evicted);
        self.runs = self.runs.saturating_add(other.runs);
        self.runs_with_new = self.runs_with_new.saturating_add(other.runs_with_new);
    }

    /// Lets the names go that were used longest ago.
    pub(crate) fn trim(&mut self) {
        let beyond = self.used.len().saturating_sub(MOST);
        if beyond == 0 {
            return;
        }
        let mut last: Vec<u64> = self.used.values().map(|how| how.last_unix_ns).collect();
        let (_, oldest_kept, _) = last.select_nth_unstable(beyond);
        let oldest_kept = *oldest_kept;
        // Of those used last at that time too, as many as it takes.
        let mut at_that_time =
            beyond - self.used.values().filter(|how| how.last_unix_ns < oldest_kept).count();
        self.used.retain(|_, how| {
            let goes = how.last_unix_ns == oldest_kept && at_that_time > 0;
            at_that_time -= usize::from(goes);
            how.last_unix_ns >= oldest_kept && !goes
        });
        self.evicted = self.evicted.saturating_add(beyond as u64);
    }

    /// How often a run uses something new, 0 to 1, as if there had been [`QUIET`] more runs that
    /// did not: one run with something new does not make the next one usual.
    pub(crate) fn novelty(&self) -> f64 {
        self.runs_with_new as f64 / self.runs.saturating_add(QUIET) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_used_longest_ago_go_and_are_counted() {
        let mut things = Things::default();
        for n in 0..MOST as u64 + 5 {
            let at = n.max(3);
            things.used(n.to_string().into(), Use { first_unix_ns: at, last_unix_ns: at, times: 1 });
        }
        things.trim();
        assert_eq!((things.used.len(), things.evicted), (MOST, 5));
        assert!(!things.knows("4") && things.knows("5") && things.knows(&(MOST + 4).to_string()));
        let before = things.clone();
        things.trim();
        assert_eq!(things, before);
    }
}
