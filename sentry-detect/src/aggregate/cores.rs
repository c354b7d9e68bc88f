//! Distribution of the cores used per window, in hundredths of a core at two significant digits.

use hdrhistogram::Histogram;

use super::window::{CAPACITY, Readings};

/// Most that is distinguished, in hundredths of a core: 1024 cores.
const HIGHEST: u64 = 102_400;
const DIGITS: u8 = 2;
// A count fits the histogram's cells.
const _: () = assert!(CAPACITY <= u8::MAX as usize);

/// Cores used in the windows of a horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CoreUse {
    /// Three of four windows used at least about this much.
    pub(crate) p25: f64,
    pub(crate) p95: f64,
    pub(crate) peak: f64,
}

#[derive(Debug)]
pub(crate) struct Cores(Histogram<u8>);

impl Cores {
    pub(crate) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "the bounds are constants, and each test builds one")]
        let histogram = Histogram::new_with_bounds(1, HIGHEST, DIGITS).expect("bounds are valid");
        Self(histogram)
    }

    /// Of the windows from `start_unix_ns` on.
    pub(crate) fn measure(&mut self, readings: &Readings, start_unix_ns: u64) -> CoreUse {
        self.0.reset();
        for step in readings.steps(start_unix_ns) {
            // Rounded to nearest: a float below zero or without value does not occur, and the cast
            // saturates.
            self.0.saturating_record((step.cores() * 100.0).round() as u64);
        }
        let at = |quantile| self.0.lowest_equivalent(self.0.value_at_quantile(quantile)) as f64 / 100.0;
        CoreUse { p25: at(0.25), p95: at(0.95), peak: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::counters::Counters;

    fn measure(cores: &[f64]) -> CoreUse {
        let mut readings = Readings::new(40_000_000_000);
        let mut cpu_usec = 0;
        readings.push(1, Counters::default());
        for (n, cores) in (1..).zip(cores) {
            cpu_usec += (cores * 1e6) as u64;
            readings.push(1 + n * 1_000_000_000, Counters { cpu_usec, ..Counters::default() });
        }
        Cores::new().measure(&readings, 0)
    }

    #[test]
    fn quantiles_of_known_windows() {
        assert_eq!(measure(&[]), CoreUse::default());
        assert_eq!(measure(&[1.0; 30]), CoreUse { p25: 1.0, p95: 1.0, peak: 1.0 });
        // Four idle windows of twenty do not lower the quartile, six do.
        let mut windows = [1.0; 20];
        windows[7..11].fill(0.0);
        assert_eq!(measure(&windows).p25, 1.0);
        windows[11..13].fill(0.0);
        assert_eq!(measure(&windows).p25, 0.0);
    }

    #[test]
    fn more_cores_than_can_be_told_apart_read_as_the_most() {
        let peak = measure(&[9e9]).peak;
        assert!((1014.0..=1034.0).contains(&peak), "{peak}");
    }
}
