//! The counts of many windows: how often each was seen, to one part in sixteen, with mean and
//! variance exact.
//!
//! All of it is integers, so that two can be added in any order with the same result.

use hdrhistogram::Histogram;

/// Most that is distinguished: what is more counts as this.
pub(crate) const MOST: u64 = 1 << 36;
/// Sixteen steps to a doubling.
const DIGITS: u8 = 1;
/// What the median of absolute deviations of a normal distribution has to be multiplied by to be
/// its standard deviation: 1/Φ⁻¹(3/4).
const NORMAL: f64 = 1.4826;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    seen: Histogram<u32>,
    /// Of the values, and of their squares.
    pub(crate) sum: u128,
    pub(crate) squares: u128,
}

impl Distribution {
    pub(crate) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants, and each test builds one")]
        let seen = Histogram::new_with_bounds(1, MOST, DIGITS).expect("bounds are valid");
        Self { seen, sum: 0, squares: 0 }
    }

    pub(crate) fn record(&mut self, value: u64) {
        let value = value.min(MOST);
        self.seen.saturating_record(value);
        self.sum = self.sum.saturating_add(value.into());
        self.squares = self.squares.saturating_add(u128::from(value) * u128::from(value));
    }

    /// Puts back what [`Self::steps`] gave.
    pub(crate) fn restore(&mut self, value: u64, windows: u32) {
        self.seen.saturating_record_n(value.min(MOST), windows);
    }

    /// How often each value was seen, the lowest first.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (u64, u32)> {
        (self.seen.iter_recorded())
            .map(|step| (self.seen.lowest_equivalent(step.value_iterated_to()), step.count_at_value()))
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds: there is nothing that would not fit.
        let _same_bounds = self.seen.add(&other.seen);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
    }

    pub(crate) fn windows(&self) -> u64 {
        self.seen.len()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / self.windows().max(1) as f64
    }

    /// Of the whole population.
    pub(crate) fn variance(&self) -> f64 {
        let mean = self.mean();
        (self.squares as f64 / self.windows().max(1) as f64 - mean * mean).max(0.0)
    }

    /// The value that this share of the windows does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        self.seen.lowest_equivalent(self.seen.value_at_quantile(share))
    }

    /// The median of the distances from the median, made comparable with a standard deviation.
    pub(crate) fn robust_spread(&self) -> f64 {
        let median = self.quantile(0.5);
        let mut distances: Vec<(u64, u64)> =
            self.steps().map(|(value, windows)| (value.abs_diff(median), windows.into())).collect();
        distances.sort_unstable();
        let half = self.windows().div_ceil(2);
        let mut passed = 0;
        let middle = distances.into_iter().find(|(_, windows)| {
            passed += windows;
            passed >= half
        });
        middle.map_or(0.0, |(distance, _)| distance as f64 * NORMAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut all = Distribution::new();
        values.iter().for_each(|value| all.record(*value));
        all
    }

    #[test]
    fn moments_are_exact_and_order_statistics_are_to_a_sixteenth() {
        let all = of(&[0, 0, 10, 10, 10, 10, 1000, 12]);
        assert_eq!((all.windows(), all.mean(), all.quantile(0.5)), (8, 131.5, 10));
        assert_eq!(all.variance(), (4.0 * 100.0 + 144.0 + 1e6) / 8.0 - 131.5 * 131.5);
        // Distances 0 0 0 0 2 10 10 990.
        assert_eq!(all.robust_spread(), 0.0);
        assert_eq!(of(&[8, 9, 10, 11, 12]).robust_spread(), NORMAL);
    }

    #[test]
    fn nothing_seen_is_no_value() {
        let none = Distribution::new();
        assert_eq!(
            (none.mean(), none.variance(), none.quantile(0.99), none.robust_spread()),
            (0.0, 0.0, 0, 0.0)
        );
    }

    #[test]
    fn more_than_the_most_counts_as_the_most() {
        let all = of(&[u64::MAX]);
        assert_eq!(all.sum, u128::from(MOST));
        assert!(all.quantile(1.0) >= MOST - MOST / 16);
    }

    #[test]
    fn what_was_taken_apart_is_put_together_again() {
        let all = of(&[0, 1, 15, 16, 17, 1_000_000, MOST]);
        let mut again = Distribution::new();
        all.steps().for_each(|(value, windows)| again.restore(value, windows));
        (again.sum, again.squares) = (all.sum, all.squares);
        assert_eq!(again, all);
    }
}
