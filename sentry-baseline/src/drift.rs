//! Whether a run has changed for good, by less than would be a departure: the Page-Hinkley test,
//! over the distance of each window from the median, in spreads.
//!
//! The distances beyond [`SLACK`] add up, and never below nothing. So a run that works harder for a
//! moment comes back, and one that stays above what is usual reaches [`FAR`] after as many windows
//! as it is far from it.

/// Spreads that are no drift.
pub(crate) const SLACK: f64 = 0.5;
/// Spreads, added up, that are one: a run has to work for 34 windows as the agent does in one of a
/// hundred.
pub(crate) const FAR: f64 = 50.0;

/// The distances of one run, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    sum: f64,
    windows: u64,
}

impl Drift {
    /// Takes windows of one distance each.
    pub fn windows(&mut self, spreads: f64, windows: u32) {
        for _ in 0..windows {
            self.sum = (self.sum + spreads - SLACK).max(0.0);
            self.windows = if self.sum > 0.0 { self.windows + 1 } else { 0 };
        }
    }

    /// What they come to.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Windows since it was last nothing.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.windows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(windows: &[(f64, u32)]) -> Drift {
        let mut drift = Drift::default();
        windows.iter().for_each(|(spreads, windows)| drift.windows(*spreads, *windows));
        drift
    }

    #[test]
    fn a_burst_comes_back_and_what_stays_adds_up() {
        assert_eq!(after(&[(2.0, 10), (0.0, 30)]), Drift::default());
        assert_eq!(after(&[(0.0, 100), (2.0, 33)]), Drift { sum: 49.5, windows: 33 });
        assert!(after(&[(2.0, 34)]).sum() >= FAR);
        assert_eq!(after(&[(0.5, 10_000)]).sum(), 0.0);
        assert_eq!(after(&[(-1.0, 10_000), (1.0, 1)]).sum(), 0.5);
    }
}
