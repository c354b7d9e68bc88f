//! The goals, and whether they were reached.

use std::fmt;

use serde_json::{Value, json};

use super::stats::Comparison;

/// A control further from 1 than this says that the machine was not steady, and its figure that
/// nothing is known.
const STEADY: f64 = 0.03;

#[derive(Clone, Copy)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(limit) => figure <= limit,
            Self::AtLeast(limit) => figure >= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

/// A goal.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) target: Target,
}

const fn goal(name: &'static str, what: &'static str, target: Target) -> Goal {
    Goal { name, what, target }
}

pub(super) const P1: Goal =
    goal("P1", "untagged system calls, sensor ÷ nothing, an agent elsewhere", Target::AtMost(1.01));
pub(super) const P2: Goal =
    goal("P2", "untagged open, exec, connect, sensor ÷ empty programs", Target::AtMost(1.02));
pub(super) const P4: Goal =
    goal("P4", "tagged open and close, sensor ÷ empty programs", Target::AtMost(1.35));
pub(super) const P5: Goal =
    goal("P5", "time in the kernel per event ÷ bare reserve and submit", Target::AtMost(8.0));
pub(super) const P6: Goal = goal("P6", "fork, exec, exit, tagged ÷ nothing", Target::AtMost(1.03));
pub(super) const P7: Goal =
    goal("P7", "events per second to the journal without loss ÷ bare drain", Target::AtLeast(0.2));
pub(super) const P8: Goal = goal("P8", "events per wake-up at 100 000 per second", Target::AtLeast(64.0));
pub(super) const P9: Goal =
    goal("P9", "sensor's processor time per event, journal included ÷ bare drain", Target::AtMost(10.0));
pub(super) const P11: Goal =
    goal("P11", "freeze of ten processes, verified and noted ÷ by hand", Target::AtMost(6.0));
pub(super) const P12: Goal =
    goal("P12", "kill of 1,000 processes, verified and noted ÷ by hand", Target::AtMost(1.15));
pub(super) const P14: Goal =
    goal("P14", "events per second to the collector's store ÷ a bare tonic sink", Target::AtLeast(0.5));
pub(super) const P15: Goal =
    goal("P15", "resident memory of a sensor without runs, MiB", Target::AtMost(30.0));
pub(super) const P15_RUN: Goal =
    goal("P15", "resident memory of each of 50 idle runs, KiB", Target::AtMost(32.0));
pub(super) const P16: Goal =
    goal("P16", "processor time without runs, percent of a core", Target::AtMost(0.1));
pub(super) const P16_RUNS: Goal =
    goal("P16", "processor time with 50 idle runs, percent of a core", Target::AtMost(0.5));
pub(super) const P16_START: Goal = goal("P16", "from start to healthy, ms", Target::AtMost(400.0));
/// By what each is asked for, and one of that name.
pub(super) const GOALS: [Goal; 13] = [P1, P2, P4, P5, P6, P7, P8, P9, P11, P12, P14, P15, P16];

/// What was measured for a goal.
pub(super) struct Row {
    pub(super) goal: Goal,
    pub(super) comparison: Comparison,
    pub(super) rounds: usize,
    /// What stands behind the ratio: absolute figures of this machine, for whoever looks for a
    /// reason.
    pub(super) detail: Value,
}

impl Row {
    fn verdict(&self) -> &'static str {
        if self.goal.target.is_met(self.comparison.ratio) { "met" } else { "missed" }
    }

    fn is_steady(&self) -> bool {
        (self.comparison.control - 1.0).abs() <= STEADY
    }

    pub(super) fn json(&self) -> Value {
        let c = &self.comparison;
        json!({
            "goal": self.goal.name, "what": self.goal.what, "target": self.goal.target.to_string(),
            "figure": c.ratio, "figure_low": c.low, "figure_high": c.high, "verdict": self.verdict(),
            "control": c.control, "noise": c.noise, "steady": self.is_steady(), "rounds": self.rounds,
            "detail": self.detail,
        })
    }

    pub(super) fn line(&self) -> String {
        let c = &self.comparison;
        let half = format!("{:.3} – {:.3}", c.low, c.high);
        format!(
            "{:<5}{:<66}{:>7}{:>10.3}{half:>20}  {:<8}{:>8.3}{:>7.1}%{}",
            self.goal.name,
            self.goal.what,
            self.goal.target.to_string(),
            c.ratio,
            self.verdict(),
            c.control,
            c.noise * 100.0,
            if self.is_steady() { "" } else { "  not steady" },
        )
    }
}

pub(super) fn print(rows: &[Row]) {
    println!(
        "\n{:<5}{:<66}{:>7}{:>10}{:>20}  {:<8}{:>8}{:>8}",
        "goal", "what", "target", "figure", "middle half", "verdict", "control", "noise"
    );
    for row in rows {
        println!("{}", row.line());
        println!("      {}", row.detail);
    }
    println!(
        "\ncontrol: the same without the sensor, after ÷ before (P8: last ÷ first); noise: how far that \
        strays, median.\n\
         Not steady: the control is more than {:.0}% from 1, so the figure says little",
        STEADY * 100.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_compares_with_the_target() {
        assert!(Target::AtMost(1.02).is_met(1.0) && !Target::AtMost(1.02).is_met(1.03));
        assert!(Target::AtLeast(64.0).is_met(200.0) && !Target::AtLeast(64.0).is_met(3.0));
    }

    #[test]
    fn a_control_that_strays_is_said() {
        let row = |control| Row {
            goal: P1,
            comparison: Comparison { ratio: 1.0, low: 1.0, high: 1.0, control, noise: 0.0 },
            rounds: 1,
            detail: Value::Null,
        };
        assert!(!row(1.02).line().contains("not steady") && row(0.9).line().contains("not steady"));
    }
}
