//! Repeated command lines: how often each was run, over the newest slices.
//!
//! A table of [`COMMANDS`] fingerprints, the least recently run leaves first. What is run often
//! enough to matter is never the least recent; a count that was lost with its row makes the
//! repeated share smaller, never larger.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::slices::{COUNT, Slices};

/// Command lines kept.
const COMMANDS: NonZeroUsize = NonZeroUsize::new(48).unwrap();
/// A loop over at most this many command lines, or objects, counts as one that repeats.
pub(crate) const LOOP_LENGTH: usize = 4;

/// What a horizon's execs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repetition {
    /// Execs seen as events.
    pub(crate) seen: u64,
    /// Of those, execs of the [`LOOP_LENGTH`] most frequent command lines, each run at least twice.
    pub(crate) repeated: u64,
}

pub(crate) struct Commands {
    slices: Slices,
    counts: LruCache<u64, [u16; COUNT]>,
    totals: [u64; COUNT],
}

impl Commands {
    pub(crate) fn new(horizon_ns: u64, now_unix_ns: u64) -> Self {
        Self {
            slices: Slices::new(horizon_ns, now_unix_ns),
            counts: LruCache::new(COMMANDS),
            totals: [0; COUNT],
        }
    }

    pub(crate) fn add(&mut self, command: u64) {
        let position = self.slices.position();
        let row = self.counts.get_or_insert_mut(command, || [0; COUNT]);
        row[position] = row[position].saturating_add(1);
        self.totals[position] = self.totals[position].saturating_add(1);
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        for position in self.slices.advance(now_unix_ns) {
            for (_, row) in &mut self.counts {
                row[position] = 0;
            }
            self.totals[position] = 0;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.clear();
        self.totals = [0; COUNT];
    }

    pub(crate) fn repetition(&self) -> Repetition {
        let mut top = [0u64; LOOP_LENGTH];
        for (_, row) in &self.counts {
            let mut count = row.iter().map(|count| u64::from(*count)).sum();
            for place in &mut top {
                if count > *place {
                    std::mem::swap(place, &mut count);
                }
            }
        }
        Repetition { seen: self.totals.iter().sum(), repeated: top.iter().filter(|count| **count >= 2).sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(run: impl IntoIterator<Item = u64>) -> Repetition {
        let mut commands = Commands::new(800, 0);
        run.into_iter().for_each(|command| commands.add(command));
        commands.repetition()
    }

    #[test]
    fn shares_of_known_loops() {
        assert_eq!(commands([]), Repetition { seen: 0, repeated: 0 });
        assert_eq!(commands([9; 80]), Repetition { seen: 80, repeated: 80 });
        assert_eq!(commands(0..300), Repetition { seen: 300, repeated: 0 });
        assert_eq!(commands((0..80).map(|n| n % 4)), Repetition { seen: 80, repeated: 80 });
        assert_eq!(commands((0..80).map(|n| n % 8)), Repetition { seen: 80, repeated: 40 });
    }

    #[test]
    fn a_loop_between_many_others_is_kept() {
        let repetition = commands((0..1000).flat_map(|n| [7, 1000 + n]));
        assert_eq!(repetition, Repetition { seen: 2000, repeated: 1000 });
    }

    #[test]
    fn execs_leave_with_their_slice() {
        let mut commands = Commands::new(800, 0);
        commands.add(1);
        commands.add(1);
        commands.advance(899);
        assert_eq!(commands.repetition(), Repetition { seen: 2, repeated: 2 });
        commands.advance(900);
        assert_eq!(commands.repetition(), Repetition::default());
    }
}
