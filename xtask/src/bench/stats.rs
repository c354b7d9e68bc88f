//! From measurements to ratios.

/// One round: nanoseconds per repetition in the order without, with, with, without.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) without: [f64; 2],
    pub(super) with: [f64; 2],
}

/// What the rounds say together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// Median of with ÷ without.
    pub(super) ratio: f64,
    /// The quarters below and above which the rounds' ratios lie.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Median of without ÷ without: 1 if the machine was steady.
    pub(super) control: f64,
    /// Median distance of the control from 1.
    pub(super) noise: f64,
}

impl Comparison {
    pub(super) fn of(rounds: &[Round]) -> Option<Self> {
        let ratios: Vec<f64> = rounds.iter().map(|r| mean(r.with) / mean(r.without)).collect();
        let controls: Vec<f64> = rounds.iter().map(|r| r.without[1] / r.without[0]).collect();
        let strays: Vec<f64> = controls.iter().map(|control| (control - 1.0).abs()).collect();
        Some(Self {
            ratio: quantile(&ratios, 2)?,
            low: quantile(&ratios, 1)?,
            high: quantile(&ratios, 3)?,
            control: quantile(&controls, 2)?,
            noise: quantile(&strays, 2)?,
        })
    }
}

/// 0 for none.
pub(super) fn median(values: &[f64]) -> f64 {
    quantile(values, 2).unwrap_or(0.0)
}

fn mean(pair: [f64; 2]) -> f64 {
    f64::midpoint(pair[0], pair[1])
}

/// The value below which so many quarters of the values lie.
fn quantile(values: &[f64], quarters: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let (at, rest) = (last * quarters / 4, last * quarters % 4);
    let next = sorted[(at + 1).min(last)];
    // A quarter of an index is exact in a float.
    let part = [0.0, 0.25, 0.5, 0.75][rest];
    Some(sorted[at] + (next - sorted[at]) * part)
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed test may panic; the values are exact in binary"
)]
mod tests {
    use super::*;

    #[test]
    fn compares_within_rounds() {
        // The machine gets slower from round to round; with the sensor everything takes a quarter
        // longer.
        let rounds: Vec<Round> =
            [1.0, 2.0, 4.0].iter().map(|f| Round { without: [*f, *f], with: [1.25 * f, 1.25 * f] }).collect();
        let comparison = Comparison::of(&rounds).unwrap();
        assert_eq!((comparison.ratio, comparison.control, comparison.noise), (1.25, 1.0, 0.0));
        assert_eq!(Comparison::of(&[]), None);
    }

    #[test]
    fn a_steady_drift_cancels_out() {
        let rounds = [Round { without: [1.0, 4.0], with: [2.0, 3.0] }];
        let comparison = Comparison::of(&rounds).unwrap();
        assert_eq!((comparison.ratio, comparison.control, comparison.noise), (1.0, 4.0, 3.0));
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([1, 2, 3].map(|q| quantile(&values, q).unwrap()), [1.75, 2.5, 3.25]);
    }
}
