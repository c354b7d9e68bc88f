//! How far an agent can be trusted, 0 to 100, from counted facts alone: 0.45 of its posture, 0.45
//! of its behaviour, and ten points for being active.
//!
//! What an agent says of itself is no fact here. Of an agent that nobody has looked at yet, little
//! is assumed, and one that is silent gains nothing.

use crate::standing::{FINDING_SORTS, Posture};

/// What posture and behaviour are worth each.
const PART: f64 = 0.45;
const RECENCY: f64 = 10.0;
/// A posture that nobody has looked at.
const POSTURE_UNKNOWN: f64 = 50.0;
/// A behaviour of which there is no window.
const BEHAVIOUR_UNKNOWN: f64 = 30.0;
/// What a finding costs the behaviour, of low, medium and high severity, and most that all of one
/// severity cost.
const FINDINGS: [(&str, f64, f64); FINDING_SORTS] = [
    ("findings of low severity", 1.0, 10.0),
    ("findings of medium severity", 5.0, 30.0),
    ("findings of high severity", 25.0, 100.0),
];

/// What is known of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Runs that were looked at.
    pub runs: u64,
    /// In how many of them each holds.
    pub posture: [u64; Posture::ALL.len()],
    /// Windows in which it did something.
    pub windows: u64,
    /// Of their deviations, in thousandths.
    pub deviation_milli: u64,
    /// By severity: low, medium, high.
    pub findings: [u64; FINDING_SORTS],
    /// It did something within the last hour.
    pub is_recent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Band {
    Critical,
    Alert,
    Watch,
    Trusted,
}

/// A line of the arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub what: &'static str,
    /// What was counted, and of how many where it is a share.
    pub counted: u64,
    pub of: Option<u64>,
    /// What it adds to the score, or takes away.
    pub points: f64,
}

/// A score with its arithmetic: the points add up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    pub score: f64,
    pub band: Band,
    /// 0 to 100 each; recency 0 or 10.
    pub posture: f64,
    pub behaviour: f64,
    pub recency: f64,
    pub points: Vec<Point>,
}

impl Band {
    #[must_use]
    pub fn of(score: f64) -> Self {
        match score {
            score if score >= 80.0 => Self::Trusted,
            score if score >= 60.0 => Self::Watch,
            score if score >= 40.0 => Self::Alert,
            _ => Self::Critical,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trusted => "TRUSTED",
            Self::Watch => "WATCH",
            Self::Alert => "ALERT",
            Self::Critical => "CRITICAL",
        }
    }
}

/// The score of what is known.
#[must_use]
pub fn trust(facts: &Facts) -> Trust {
    let mut points = Vec::new();
    let posture = posture(facts, &mut points);
    let behaviour = behaviour(facts, &mut points);
    let recency = if facts.is_recent { RECENCY } else { 0.0 };
    points.push(Point {
        what: "active within the last hour",
        counted: facts.is_recent.into(),
        of: None,
        points: recency,
    });
    // Against the last digits of the sum.
    let score = ((posture + behaviour) * PART + recency).clamp(0.0, 100.0);
    let score = (score * 100.0).round() / 100.0;
    Trust { score, band: Band::of(score), posture, behaviour, recency, points }
}

fn posture(facts: &Facts, points: &mut Vec<Point>) -> f64 {
    if facts.runs == 0 {
        return unknown("posture: no run was looked at yet", POSTURE_UNKNOWN, points);
    }
    let all = Point {
        what: "posture: without fault, in the runs that were looked at",
        counted: facts.runs,
        of: None,
        points: 100.0,
    };
    let costs = Posture::ALL.into_iter().filter_map(|fact| {
        let counted = facts.posture[fact as usize];
        let costs = -f64::from(fact.costs());
        (counted > 0).then(|| Point { what: fact.words(), counted, of: Some(facts.runs), points: costs })
    });
    sum(std::iter::once(all).chain(costs), "posture: not below nothing", points)
}

fn behaviour(facts: &Facts, points: &mut Vec<Point>) -> f64 {
    let all = if facts.windows == 0 {
        Point {
            what: "behaviour: no window was looked at yet",
            counted: 0,
            of: None,
            points: BEHAVIOUR_UNKNOWN,
        }
    } else {
        Point {
            what: "behaviour: without departure, in the windows with activity",
            counted: facts.windows,
            of: None,
            points: 100.0,
        }
    };
    let mean = facts.deviation_milli as f64 / 10.0 / facts.windows.max(1) as f64;
    let departed = (facts.windows > 0 && facts.deviation_milli > 0).then(|| Point {
        what: "departed from the baseline on average, in thousandths",
        counted: facts.deviation_milli / facts.windows,
        of: Some(1_000),
        points: -mean,
    });
    let findings = FINDINGS.into_iter().zip(facts.findings).filter(|(_, counted)| *counted > 0);
    let findings = findings.map(|((what, costs, most), counted)| Point {
        what,
        counted,
        of: None,
        points: -(counted as f64 * costs).min(most),
    });
    sum(std::iter::once(all).chain(departed).chain(findings), "behaviour: not below nothing", points)
}

fn unknown(what: &'static str, worth: f64, points: &mut Vec<Point>) -> f64 {
    points.push(Point { what, counted: 0, of: None, points: worth * PART });
    worth
}

/// Adds up a part and writes it down; `floor` is the line that keeps it from falling below 0.
fn sum(lines: impl Iterator<Item = Point>, floor: &'static str, points: &mut Vec<Point>) -> f64 {
    let mut part = 0.0;
    for line in lines {
        part += line.points;
        points.push(Point { points: line.points * PART, ..line });
    }
    if part < 0.0 {
        points.push(Point { what: floor, counted: 0, of: None, points: -part * PART });
    }
    part.max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_known_agent_without_fault_is_trusted_and_an_unknown_one_is_not() {
        let good = Facts { runs: 3, windows: 90, is_recent: true, ..Facts::default() };
        assert_eq!((trust(&good).score, trust(&good).band), (100.0, Band::Trusted));
        let unknown = trust(&Facts::default());
        assert_eq!((unknown.score, unknown.band), (36.0, Band::Critical));
        // All it did so far had no baseline.
        let new = Facts { runs: 1, windows: 10, deviation_milli: 7_000, is_recent: true, ..Facts::default() };
        assert_eq!((trust(&new).score, trust(&new).band), (68.5, Band::Watch));
    }

    #[test]
    fn a_silent_agent_gains_nothing() {
        let was = Facts { runs: 3, windows: 9, deviation_milli: 900, is_recent: true, ..Facts::default() };
        let silent = Facts { is_recent: false, ..was };
        assert_eq!(trust(&was).score - trust(&silent).score, RECENCY);
    }

    #[test]
    fn the_bands_begin_where_they_are_said_to() {
        let bands = [80.0, 79.99, 60.0, 59.99, 40.0, 39.99].map(|score| Band::of(score).name());
        assert_eq!(bands, ["TRUSTED", "WATCH", "WATCH", "ALERT", "ALERT", "CRITICAL"]);
    }

    fn facts() -> impl Strategy<Value = Facts> {
        (
            0_u64..20,
            prop::array::uniform7(0_u64..20),
            0_u64..5_000,
            0_u64..=1_000,
            prop::array::uniform3(0_u64..9),
            any::<bool>(),
        )
            .prop_map(|(runs, posture, windows, mean, findings, is_recent)| Facts {
                runs,
                posture: posture.map(|counted| counted.min(runs)),
                windows,
                deviation_milli: windows * mean,
                findings,
                is_recent,
            })
    }

    proptest! {
        #[test]
        fn the_points_add_up_to_the_score(facts in facts()) {
            let trust = trust(&facts);
            let sum: f64 = trust.points.iter().map(|point| point.points).sum();
            prop_assert!((trust.score - sum).abs() < 0.01, "{trust:?}");
            prop_assert!((0.0..=100.0).contains(&trust.score));
            prop_assert_eq!(trust.band, Band::of(trust.score));
        }

        #[test]
        fn more_of_what_is_bad_never_raises_it(facts in facts(), which in 0_usize..11, more in 1_u64..5) {
            prop_assume!(facts.runs > 0 && facts.windows > 0);
            let mut worse = facts;
            match which {
                fact @ 0..7 => worse.posture[fact] += more,
                7 => worse.deviation_milli += more,
                sort @ 8..11 => worse.findings[sort - 8] += more,
                _ => {}
            }
            prop_assert!(trust(&worse).score <= trust(&facts).score);
        }

        #[test]
        fn silence_never_raises_it(facts in facts()) {
            let silent = Facts { is_recent: false, ..facts };
            prop_assert!(trust(&silent).score <= trust(&facts).score);
        }
    }
}
