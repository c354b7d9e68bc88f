//! Variety of acts: how often each kind of act met each object, over the newest slices.
//!
//! [`BUCKETS`] counts per slice and sort of act, chosen by fingerprint: bounded, without
//! allocation, and independent of the order of acts. Objects that share a bucket look like one, so
//! the variety of more than about [`BUCKETS`]/2 objects of a sort reads low.
//!
//! The kernel counts all acts, events report a part of them. The seen ones stand for the others
//! ([`Variety::new`]).

use super::{
    commands::LOOP_LENGTH,
    counters::Counters,
    slices::{COUNT, Slices},
};

/// Counts per slice and sort.
pub(crate) const BUCKETS: usize = 128;

/// Two sorts of acts, each with a distribution of its own: a flood of looking must not drown what
/// is made meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Births, executions, files opened for writing, removed and renamed.
    Change,
    /// Files opened for reading only, connections, datagrams.
    Other,
}

impl Sort {
    pub(crate) const ALL: [Self; 2] = [Self::Change, Self::Other];

    /// How many of them the kernel counted.
    pub(crate) fn counted(self, counters: &Counters) -> u64 {
        let Counters { processes_born, execs, opens_for_write, unlinks, renames, .. } = *counters;
        let counts = match self {
            Self::Change => [processes_born, execs, opens_for_write, unlinks, renames],
            Self::Other => [counters.opens_for_reading(), counters.connects, counters.sends, 0, 0],
        };
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

/// What a horizon's acts of one sort come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Variety {
    /// Acts that the kernel counted.
    pub(crate) counted: u64,
    /// Acts seen as events.
    pub(crate) seen: u64,
    /// Acts counted and not seen.
    pub(crate) unseen: u64,
    /// Share of the seen whose object was met once.
    pub(crate) once: f64,
    /// Shannon entropy of (kind of act, object) over all acts, bit; 0 without acts.
    pub(crate) entropy_bit: f64,
    /// Equally frequent distinct acts that the entropy stands for; 0 without acts.
    pub(crate) distinct: f64,
    /// Share of the seen whose object is one of the [`LOOP_LENGTH`] met most often.
    pub(crate) repeated: f64,
}

impl Variety {
    /// The unseen are taken to be as the seen: an object that was met again has the same share of
    /// them, and where one was met once, each of its share of the unseen is taken to be another
    /// one. Nothing seen at all speaks for the run.
    fn new(buckets: &[u64; BUCKETS], seen: u64, counted: u64) -> Self {
        let unseen = counted.saturating_sub(seen);
        let all = seen.saturating_add(unseen) as f64;
        // Less than `seen` where a count has stopped at its type's end.
        let kept = buckets.iter().sum::<u64>() as f64;
        if all < 1.0 {
            return Self { counted, ..Self::default() };
        }
        let mut top = [0; LOOP_LENGTH];
        let (mut met_once, mut entropy_bit) = (0_u64, 0.0);
        for &count in buckets {
            let mut next = count;
            for place in &mut top {
                if next > *place {
                    std::mem::swap(place, &mut next);
                }
            }
            match count {
                0 => {}
                1 => met_once += 1,
                _ => {
                    let share = count as f64 / kept;
                    entropy_bit -= share * share.log2();
                }
            }
        }
        let once = if seen == 0 { 1.0 } else { met_once as f64 / kept };
        entropy_bit += once * all.log2();
        // No negative zero, and no rounding below it.
        let entropy_bit = entropy_bit.max(0.0) + 0.0;
        let repeated = top.iter().sum::<u64>() as f64 / kept.max(1.0);
        Self { counted, seen, unseen, once, entropy_bit, distinct: entropy_bit.exp2(), repeated }
    }
}

#[derive(Debug)]
pub(crate) struct Acts {
    slices: Slices,
    /// `COUNT` rows; a count stops at its type's end, as one object may well fill a slice.
    counts: Vec<[[u16; BUCKETS]; Sort::ALL.len()]>,
    totals: [[u64; Sort::ALL.len()]; COUNT],
}

impl Acts {
    pub(crate) fn new(horizon_ns: u64, now_unix_ns: u64) -> Self {
        Self {
            slices: Slices::new(horizon_ns, now_unix_ns),
            counts: vec![[[0; BUCKETS]; Sort::ALL.len()]; COUNT],
            totals: [[0; Sort::ALL.len()]; COUNT],
        }
    }

    pub(crate) fn add(&mut self, sort: Sort, fingerprint: u64) {
        let position = self.slices.position();
        let bucket = (fingerprint % BUCKETS as u64) as usize;
        let count = &mut self.counts[position][sort as usize][bucket];
        *count = count.saturating_add(1);
        let total = &mut self.totals[position][sort as usize];
        *total = total.saturating_add(1);
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        for position in self.slices.advance(now_unix_ns) {
            self.counts[position] = [[0; BUCKETS]; Sort::ALL.len()];
            self.totals[position] = [0; Sort::ALL.len()];
        }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill([[0; BUCKETS]; Sort::ALL.len()]);
        self.totals = [[0; Sort::ALL.len()]; COUNT];
    }

    /// Of one sort, where the kernel counted what `added` says.
    pub(crate) fn variety(&self, sort: Sort, added: &Counters) -> Variety {
        let mut buckets = [0u64; BUCKETS];
        for row in &self.counts {
            for (sum, count) in buckets.iter_mut().zip(row[sort as usize]) {
                *sum += u64::from(count);
            }
        }
        let seen = self.totals.iter().map(|totals| totals[sort as usize]).sum();
        Variety::new(&buckets, seen, sort.counted(added))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of acts on these objects, where the kernel counted `unseen` more.
    fn variety(objects: impl IntoIterator<Item = u64>, unseen: u64) -> Variety {
        let mut acts = Acts::new(800, 0);
        let mut opens = unseen;
        for object in objects {
            acts.add(Sort::Other, object);
            opens += 1;
        }
        acts.variety(Sort::Other, &Counters { opens, ..Counters::default() })
    }

    #[test]
    fn entropy_of_known_distributions() {
        let of = |objects: &[u64]| {
            let Variety { seen, entropy_bit, distinct, .. } = variety(objects.iter().copied(), 0);
            (seen, entropy_bit, distinct)
        };
        assert_eq!(of(&[]), (0, 0.0, 0.0));
        assert_eq!(of(&[5; 1000]), (1000, 0.0, 1.0));
        assert_eq!(of(&(0..64).collect::<Vec<_>>()), (64, 6.0, 64.0));
        assert_eq!(of(&[1, 1, 2, 3]), (4, 1.5, 1.5_f64.exp2()));
    }

    #[test]
    fn unseen_acts_are_as_the_seen_ones() {
        let one = variety([7; 500], 5_000_000);
        assert_eq!((one.unseen, one.once, one.distinct, one.repeated), (5_000_000, 0.0, 1.0, 1.0));
        assert_eq!(variety((0..500).map(|n| n % 2), 5_000_000).distinct, 2.0);
        // Twenty seen, and no two alike.
        let all = variety(0..20, 1004);
        assert_eq!((all.once, all.entropy_bit, all.repeated), (1.0, 10.0, 0.2));
        // A program's start before its loop is not magnified.
        assert!(variety((0..30).chain([99; 20_000]), 5_000_000).distinct < 1.1);
    }

    #[test]
    fn with_nothing_seen_all_acts_count_as_different() {
        let variety = variety([], 1024);
        assert_eq!((variety.seen, variety.once, variety.entropy_bit), (0, 1.0, 10.0));
    }

    #[test]
    fn each_sort_has_a_distribution_and_a_count_of_its_own() {
        let mut acts = Acts::new(800, 0);
        (0..8).for_each(|object| acts.add(Sort::Change, object));
        (0..9000).for_each(|_| acts.add(Sort::Other, 1));
        let added = Counters {
            processes_born: 1,
            execs: 2,
            opens: 9000,
            opens_for_write: 3,
            unlinks: 4,
            renames: 5,
            connects: 6,
            sends: 7,
            ..Counters::default()
        };
        let of = |sort| {
            let Variety { counted, seen, distinct, .. } = acts.variety(sort, &added);
            (counted, seen, distinct.round())
        };
        assert_eq!(of(Sort::Change), (1 + 2 + 3 + 4 + 5, 8, 15.0));
        assert_eq!(of(Sort::Other), (9000 - 3 + 6 + 7, 9000, 1.0));
    }

    #[test]
    fn a_full_count_stops() {
        let variety = variety((0..200_000).map(|_| 3).chain([4, 4]), 0);
        assert_eq!(variety.seen, 200_002);
        assert!(variety.entropy_bit < 0.001);
    }

    #[test]
    fn acts_leave_with_their_slice() {
        let mut acts = Acts::new(800, 0);
        let seen = |acts: &Acts| acts.variety(Sort::Change, &Counters::default()).seen;
        acts.add(Sort::Change, 1);
        acts.advance(150);
        acts.add(Sort::Change, 2);
        acts.advance(899);
        assert_eq!(seen(&acts), 2);
        acts.advance(900);
        assert_eq!(seen(&acts), 1);
        acts.advance(u64::MAX);
        assert_eq!(acts.variety(Sort::Change, &Counters::default()), Variety::default());
    }

    proptest! {
        #[test]
        fn what_only_repeats_is_no_more_varied_for_being_unseen(
            objects in prop::collection::vec(0..BUCKETS as u64, 1..40), unseen in 0..10_000_000u64,
        ) {
            let twice = || objects.iter().chain(&objects).copied();
            let (whole, part) = (variety(twice(), 0), variety(twice(), unseen));
            prop_assert!((part.entropy_bit - whole.entropy_bit).abs() < 1e-9, "{part:?}, {whole:?}");
        }

        #[test]
        fn the_variety_of_the_unseen_is_that_of_the_seen(
            objects in prop::collection::vec(0..BUCKETS as u64, 1..200), unseen in 0..1_000_000u64,
        ) {
            let (seen, all) = (variety(objects.iter().copied(), 0), variety(objects.iter().copied(), unseen));
            // Only the share that was met once makes it larger.
            let gain = all.once * ((all.seen + unseen) as f64 / all.seen as f64).log2();
            prop_assert!((all.entropy_bit - seen.entropy_bit - gain).abs() < 1e-6);
            prop_assert!(all.distinct >= 1.0 && all.distinct <= all.counted as f64 * (1.0 + 1e-9));
        }

        #[test]
        fn more_unseen_acts_never_make_it_less_varied(
            objects in prop::collection::vec(0..400u64, 0..200), unseen in 0..1_000_000u64,
            more in 0..1_000_000u64,
        ) {
            let of = |unseen| variety(objects.iter().copied(), unseen).distinct;
            prop_assert!(of(unseen + more) >= of(unseen) - 1e-9);
        }
    }
}
