//! Variety of acts: how often each kind of act met each object, over the newest slices.
//!
//! [`BUCKETS`] counts per slice, chosen by fingerprint: bounded, without allocation, and independent of the order of
//! acts. Objects that share a bucket look like one, so the variety of more than about [`BUCKETS`]/2 objects reads low.

use super::slices::{COUNT, Slices};

/// Counts per slice.
pub(crate) const BUCKETS: usize = 256;

/// What a horizon's acts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Variety {
    /// Acts seen as events.
    pub(crate) acts: u64,
    /// Shannon entropy of (kind of act, object), bit; 0 without acts.
    pub(crate) entropy_bit: f64,
}

#[derive(Debug)]
pub(crate) struct Acts {
    slices: Slices,
    /// `COUNT` rows; a count stops at its type's end, as one object may well fill a slice.
    counts: Vec<[u16; BUCKETS]>,
    totals: [u64; COUNT],
}

impl Acts {
    pub(crate) fn new(horizon_ns: u64, now_unix_ns: u64) -> Self {
        Self {
            slices: Slices::new(horizon_ns, now_unix_ns),
            counts: vec![[0; BUCKETS]; COUNT],
            totals: [0; COUNT],
        }
    }

    pub(crate) fn add(&mut self, fingerprint: u64) {
        let position = self.slices.position();
        let count = &mut self.counts[position][(fingerprint % BUCKETS as u64) as usize];
        *count = count.saturating_add(1);
        self.totals[position] = self.totals[position].saturating_add(1);
    }

    pub(crate) fn advance(&mut self, now_unix_ns: u64) {
        for position in self.slices.advance(now_unix_ns) {
            self.counts[position] = [0; BUCKETS];
            self.totals[position] = 0;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill([0; BUCKETS]);
        self.totals = [0; COUNT];
    }

    pub(crate) fn variety(&self) -> Variety {
        let mut buckets = [0u64; BUCKETS];
        for row in &self.counts {
            for (sum, count) in buckets.iter_mut().zip(row) {
                *sum += u64::from(*count);
            }
        }
        let counted: u64 = buckets.iter().sum();
        let entropy_bit = (buckets.iter().filter(|count| **count > 0))
            .map(|count| {
                let share = *count as f64 / counted as f64;
                -share * share.log2()
            })
            .sum::<f64>();
        Variety { acts: self.totals.iter().sum(), entropy_bit: entropy_bit.max(0.0) + 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(fingerprints: impl IntoIterator<Item = u64>) -> Variety {
        let mut acts = Acts::new(800, 0);
        fingerprints.into_iter().for_each(|fingerprint| acts.add(fingerprint));
        acts.variety()
    }

    #[test]
    fn entropy_of_known_distributions() {
        assert_eq!(acts([]), Variety { acts: 0, entropy_bit: 0.0 });
        assert_eq!(acts([5; 1000]), Variety { acts: 1000, entropy_bit: 0.0 });
        assert_eq!(acts(0..64), Variety { acts: 64, entropy_bit: 6.0 });
        assert_eq!(acts([1, 1, 2, 3]), Variety { acts: 4, entropy_bit: 1.5 });
    }

    #[test]
    fn a_full_count_stops() {
        let variety = acts((0..200_000).map(|_| 3).chain([4]));
        assert_eq!(variety.acts, 200_001);
        assert!(variety.entropy_bit < 0.001);
    }

    #[test]
    fn acts_leave_with_their_slice() {
        let mut acts = Acts::new(800, 0);
        acts.add(1);
        acts.advance(150);
        acts.add(2);
        acts.advance(899);
        assert_eq!(acts.variety().acts, 2);
        acts.advance(900);
        assert_eq!(acts.variety(), Variety { acts: 1, entropy_bit: 0.0 });
        acts.advance(u64::MAX);
        assert_eq!(acts.variety(), Variety::default());
    }
}
