//! `descriptor-leak`: the run opens descriptors and does not close them.
//!
//! The open descriptors of its processes are counted about every second, of at most 64 of them: a
//! leak grows in nearly every step of the horizon, and by a number that no ordinary work adds for
//! so long. Memory is fixed: thirteen values. It never leads to an act: a server that gets more and
//! more clients looks the same. Limits: a leak slower than that is none; kernels before 6.2 do not
//! say how many there are.

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

const DESCRIPTOR_LEAK: RuleId = RuleId::new("descriptor-leak");
/// Endpoint Denial of Service: OS Exhaustion Flood.
const TAGS: &[&str] = &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"];
/// Share of the steps in which it grows.
const GROWING: f64 = 0.9;
const CONFIDENCE: f64 = 0.7;

limits! {
    /// When descriptors are a leak.
    Limits, "descriptor_leak_" {
        /// `descriptor-leak`: descriptors grow in nine of ten steps of this time
        horizon_ms: u64 = 30_000 in 12_000.0..=3_600_000.0;
        /// by so many
        descriptors: u64 = 500 in 8.0..=1e6;
    }
}

#[derive(Debug)]
pub(crate) struct DescriptorLeak {
    samples: Samples,
}

impl Rule for DescriptorLeak {
    type Limits = Limits;
    const ABOUT: About = About {
        id: DESCRIPTOR_LEAK,
        when: "open descriptors become more and more",
        severity: "medium; never leads to an act",
        urgency: Urgency::Uses,
    };
    /// One leak is one finding.
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
        self.samples.push(past.holds.looked_unix_ns, past.holds.descriptors?);
        let course = self.samples.course()?;
        let signal = judge(&course, limits)?;
        let shown = Shown::Newest(Show::All);
        Some(Verdict { signal, since_unix_ns: course.start_unix_ns, shown, tags: TAGS })
    }

    fn clear(&mut self) {
        self.samples.clear();
    }
}

fn judge(course: &Course, limits: &Limits) -> Option<RunawaySignal> {
    // Most readings end here, before anything is written out.
    if course.grown() < limits.descriptors {
        return None;
    }
    let Course { seconds, first, last, growing, .. } = *course;
    let arithmetic = vec![
        Term::given("window", seconds, "s"),
        Term::given("descriptors before", first as f64, ""),
        Term::given("descriptors now", last as f64, ""),
        Term::limited("descriptors more than before", course.grown() as f64, "", limits.descriptors as f64),
        Term::limited("share of the steps in which they grew", growing, "ratio", GROWING),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let summary = format!(
        "The open descriptors of the run grew steadily from {first} to {last} in {seconds:.0} s: {} more (limit \
        {}).",
        course.grown(),
        limits.descriptors,
    );
    let (rule, confidence, severity) = (DESCRIPTOR_LEAK, CONFIDENCE, Severity::Medium);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn descriptors_that_grow_all_the_time_are_a_leak() {
        let of = |first, last, growing| {
            let course = Course { start_unix_ns: 1, seconds: 30.0, first, last, growing };
            judge(&course, &Limits::default())
        };
        assert_eq!(
            of(10, 510, 1.0).unwrap().summary,
            "The open descriptors of the run grew steadily from 10 to 510 in 30 s: 500 more (limit 500).",
        );
        assert_eq!((of(10, 509, 1.0), of(10, 9_000, 0.5)), (None, None));
    }
}
