//! Items arrive at least once and are stored exactly once: the rule for positions.
//!
//! Stored of an epoch is always `1..=stored`. A range within it is a duplicate. A range that
//! continues it is stored; a gap that begins within it is cut to its new part, because stored items
//! are not lost. Any later range would leave a hole.

/// What to do with the positions `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it is stored already.
    Duplicate,
    /// `from..=last` is new.
    Store { from: u64 },
    /// A position before `first` never arrived.
    Hole { expected: u64 },
}

/// `stored` is the highest stored position; `first <= last`.
pub(crate) fn judge(stored: u64, first: u64, last: u64) -> Verdict {
    if last <= stored {
        Verdict::Duplicate
    } else if first <= stored + 1 {
        Verdict::Store { from: first.max(stored + 1) }
    } else {
        Verdict::Hole { expected: stored + 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_the_edges() {
        assert_eq!(judge(0, 1, 1), Verdict::Store { from: 1 });
        assert_eq!(judge(0, 2, 2), Verdict::Hole { expected: 1 });
        assert_eq!(judge(7, 7, 7), Verdict::Duplicate);
        assert_eq!(judge(7, 8, 8), Verdict::Store { from: 8 });
        assert_eq!(judge(7, 5, 12), Verdict::Store { from: 8 });
        assert_eq!(judge(7, 9, 12), Verdict::Hole { expected: 8 });
    }

    proptest! {
        /// Whatever is sent in whatever order, a position is stored at most once and never before
        /// its predecessor.
        #[test]
        fn stores_a_contiguous_prefix_once(ranges in prop::collection::vec((1_u64..60, 0_u64..8), 0..200)) {
            let mut stored = 0;
            let mut seen = Vec::new();
            for (first, more) in ranges {
                if let Verdict::Store { from } = judge(stored, first, first + more) {
                    seen.extend(from..=first + more);
                    stored = first + more;
                }
            }
            prop_assert_eq!(seen, (1..=stored).collect::<Vec<_>>());
        }
    }
}
