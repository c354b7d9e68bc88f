//! What is asked of a block before it is opened.

use super::{Checked, Fact, fact::kind_bit, filter};
use crate::v1::event::Kind;

/// What an event that is looked for says, as far as a block's head shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    from_unix_ns: u64,
    until_unix_ns: u64,
    /// Bits of [`kind_bit`].
    kinds: u64,
    /// Of each group, one.
    facts: Vec<Vec<u64>>,
}

impl Default for Question {
    fn default() -> Self {
        Self { from_unix_ns: 0, until_unix_ns: u64::MAX, kinds: u64::MAX, facts: Vec::new() }
    }
}

impl Question {
    /// It happened then; both ends are within.
    #[must_use]
    pub fn within(self, from_unix_ns: u64, until_unix_ns: u64) -> Self {
        Self { from_unix_ns, until_unix_ns, ..self }
    }

    /// It is of one of these kinds, whatever they hold.
    #[must_use]
    pub fn of_kinds(self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| kind_bit(&kind)).fold(0, |bits, bit| bits | bit), ..self }
    }

    /// It says one of these.
    #[must_use]
    pub fn any_of<'a>(mut self, facts: impl IntoIterator<Item = Fact<'a>>) -> Self {
        self.facts.push(facts.into_iter().map(|fact| fact.hash()).collect());
        self
    }

    /// False: no event of the block is one that is looked for.
    #[must_use]
    pub fn may_be_in(&self, block: &Checked) -> bool {
        let head = block.head();
        head.latest_unix_ns >= self.from_unix_ns
            && head.earliest_unix_ns <= self.until_unix_ns
            && (head.kinds & self.kinds != 0 || self.kinds == u64::MAX)
            && self.facts.iter().all(|any| any.iter().any(|fact| filter::may_hold(&head.filter, *fact)))
    }
}
