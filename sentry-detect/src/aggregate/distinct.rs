//! How many different things there were, roughly, in fixed memory: linear counting over [`BITS`]
//! bits, chosen by fingerprint. It does not depend on the order, and is within a tenth up to about
//! [`BITS`] things; more read as [`BITS`] · ln [`BITS`] at most.

/// Bits.
const BITS: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Distinct([u64; BITS / 64]);

impl Distinct {
    pub(crate) fn add(&mut self, fingerprint: u64) {
        let bit = (fingerprint % BITS as u64) as usize;
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }

    /// Rounded to a whole number.
    pub(crate) fn count(&self) -> f64 {
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let bits = BITS as f64;
        (bits * (bits / (bits - f64::from(set)).max(1.0)).ln()).round()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    fn count(things: u64) -> f64 {
        let mut distinct = Distinct::default();
        for _ in 0..3 {
            (0..things).for_each(|thing| distinct.add(Fingerprint::seeded(7).number(thing).finish()));
        }
        distinct.count()
    }

    #[test]
    fn different_things_are_counted_roughly_and_equal_ones_once() {
        assert_eq!([count(0), count(1), count(2)], [0.0, 1.0, 2.0]);
        for things in [30, 64, 100, 200, 250] {
            let (counted, things) = (count(things), things as f64);
            assert!((counted - things).abs() <= things / 8.0, "{counted} of {things}");
        }
        assert_eq!(count(100_000), 1420.0);
    }

    #[test]
    fn two_are_joined() {
        let (mut one, mut other) = (Distinct::default(), Distinct::default());
        one.add(1);
        other.add(2);
        other.add(1);
        one.join(&other);
        assert_eq!(one.count(), 2.0);
    }
}
