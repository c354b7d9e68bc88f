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
    /// Ends of these that were good ones.
    pub(crate) succeeded: u64,
}

/// Of one command line, by slice.
#[derive(Debug, Default)]
struct Row {
    execs: [u16; COUNT],
    succeeded: [u16; COUNT],
}

pub(crate) struct Commands {
    slices: Slices,
    counts: LruCache<u64, Row>,
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
        let Row { execs, .. } = self.counts.get_or_insert_mut(command, Row::default);
        execs[position] = execs[position].saturating_add(1);
        self.totals[position] = self.totals[position].saturating_add(1);
    }

    /// A process with this command line has ended well.
    pub(crate) fn succeeded(&mut self, command: u64) {
        let position = self.slices.position();
        if let Some(Row { succeeded, .. }) = self.counts.peek_mut(&command) {
            succeeded[position] = succeeded[position].saturating_add(1);
        }
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        for position in self.slices.advance(now_unix_ns) {
            for (_, row) in &mut self.counts {
                (row.execs[position], row.succeeded[position]) = (0, 0);
            }
            self.totals[position] = 0;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.clear();
        self.totals = [0; COUNT];
    }

    pub(crate) fn repetition(&self) -> Repetition {
        let sum = |counts: &[u16; COUNT]| counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        let mut top = [(0u64, 0u64); LOOP_LENGTH];
        for (_, Row { execs, succeeded }) in &self.counts {
            // Ordered by both, so that it does not matter which of two equal ones comes first.
            let mut row = (sum(execs), sum(succeeded));
            for place in &mut top {
                if row > *place {
                    std::mem::swap(place, &mut row);
                }
            }
        }
        let repeated = top.iter().filter(|(execs, _)| *execs >= 2);
        let (repeated, succeeded) = repeated.fold((0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        Repetition { seen: self.totals.iter().sum(), repeated, succeeded }
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

    fn seen(seen: u64, repeated: u64) -> Repetition {
        Repetition { seen, repeated, succeeded: 0 }
    }

    #[test]
    fn shares_of_known_loops() {
        assert_eq!(commands([]), seen(0, 0));
        assert_eq!(commands([9; 80]), seen(80, 80));
        assert_eq!(commands(0..300), seen(300, 0));
        assert_eq!(commands((0..80).map(|n| n % 4)), seen(80, 80));
        assert_eq!(commands((0..80).map(|n| n % 8)), seen(80, 40));
    }

    #[test]
    fn a_loop_between_many_others_is_kept() {
        let repetition = commands((0..1000).flat_map(|n| [7, 1000 + n]));
        assert_eq!(repetition, seen(2000, 1000));
    }

    #[test]
    fn ends_of_what_repeats_are_counted() {
        let mut commands = Commands::new(800, 0);
        for command in [1, 1, 2] {
            commands.add(command);
            commands.succeeded(command);
        }
        commands.succeeded(3);
        assert_eq!(commands.repetition(), Repetition { seen: 3, repeated: 2, succeeded: 2 });
    }

    #[test]
    fn execs_leave_with_their_slice() {
        let mut commands = Commands::new(800, 0);
        commands.add(1);
        commands.add(1);
        commands.advance(899);
        assert_eq!(commands.repetition(), seen(2, 2));
        commands.advance(900);
        assert_eq!(commands.repetition(), Repetition::default());
    }
}
