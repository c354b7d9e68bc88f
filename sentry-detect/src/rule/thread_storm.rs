//! `thread-storm`: the run makes more and more threads, and they stay.
//!
//! The threads of its processes are counted about every second, of at most 64 of them. A server
//! makes a thread for each request, and it ends; a build has some hundred at its widest. Memory is
//! fixed: thirteen values. It never leads to an act: what is meant to have many looks the same.
//! Limit: threads beside those of the 64 processes with the lowest numbers.

use super::{
    contract::{About, Rule, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::samples::{Course, Samples},
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const THREAD_STORM: RuleId = RuleId::new("thread-storm");
/// Endpoint Denial of Service: OS Exhaustion Flood.
const TAGS: &[&str] = &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"];
const CONFIDENCE: f64 = 0.8;

limits! {
    /// When threads are a storm.
    Limits, "thread_storm_" {
        /// `thread-storm`: threads are counted over this time
        horizon_ms: u64 = 10_000 in 2_000.0..=600_000.0;
        /// so many more than before
        threads: u64 = 1_000 in 16.0..=1e6;
    }
}

#[derive(Debug)]
pub(crate) struct ThreadStorm {
    samples: Samples,
}

impl Rule for ThreadStorm {
    type Limits = Limits;
    const ABOUT: About = About {
        id: THREAD_STORM,
        when: "threads are made faster than they end, and stay",
        severity: "high; never leads to an act",
        urgency: Urgency::Grows,
    };
    /// One storm is one finding.
    const FOLDS: bool = true;

    fn new(limits: &Limits, _now_unix_ns: u64) -> Self {
        Self { samples: Samples::new(ns(limits.horizon_ms)) }
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.horizon_ms != limits.horizon_ms {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        self.samples.push(past.holds.looked_unix_ns, past.holds.threads?);
        let course = self.samples.course()?;
        let signal = judge(&course, limits)?;
        let shown = Shown::Newest(Show::Processes);
        Some(Verdict { signal, since_unix_ns: course.start_unix_ns, shown, tags: TAGS })
    }

    fn clear(&mut self) {
        self.samples.clear();
    }
}

fn judge(course: &Course, limits: &Limits) -> Option<RunawaySignal> {
    // Most readings end here, before anything is written out.
    if course.grown() < limits.threads {
        return None;
    }
    let Course { seconds, first, last, .. } = *course;
    let arithmetic = vec![
        Term::given("window", seconds, "s"),
        Term::given("threads before", first as f64, ""),
        Term::given("threads now", last as f64, ""),
        Term::limited("threads more than before", course.grown() as f64, "", limits.threads as f64),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let summary = format!(
        "The threads of the run grew from {first} to {last} in {seconds:.0} s: {} more (limit {}).",
        course.grown(),
        limits.threads,
    );
    let (rule, confidence, severity) = (THREAD_STORM, CONFIDENCE, Severity::High);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn threads_that_stay_are_a_storm() {
        let of = |first, last| {
            let course = Course { start_unix_ns: 1, seconds: 10.0, first, last, growing: 1.0 };
            judge(&course, &Limits::default())
        };
        let summary = "The threads of the run grew from 10 to 1010 in 10 s: 1000 more (limit 1000).";
        assert_eq!(of(10, 1_010).unwrap().summary, summary);
        assert_eq!((of(10, 1_009), of(5_000, 10)), (None, None));
    }
}
