//! `memory-growth`: the memory of the run grows towards its limit.
//!
//! Two subjects, each a finding of its own, both before the kernel has to kill somebody:
//!
//! - *Balloon*: within the shorter horizon it grew by a large part of the limit, and has a large
//!   part of it now.
//! - *Trend*: over the longer horizon it grew in nearly every step, and at that rate it has reached
//!   the limit within the time to come.
//!
//! The memory is `memory.current` of the run's cgroup, or else the resident memory of its
//! processes, looked at every second; the limit is the configured one, that of the cgroup, or the
//! host's memory. A test suite that needs fifteen times as much as usual for two seconds stays far
//! from it. Memory is fixed: thirteen values for each.
//!
//! It leads to acts only where configured: what has to be large looks the same. Limits: where there
//! is no memory controller, pages that processes share count for each, and at most 64 processes are
//! asked.

use super::{
    contract::{About, Rule, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        holds::Holds,
        samples::{Course, Samples},
    },
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const MEMORY_GROWTH: RuleId = RuleId::new("memory-growth");
/// Endpoint Denial of Service: OS Exhaustion Flood.
const TAGS: &[&str] = &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"];

/// Share of the steps in which a trend grows.
const GROWING: f64 = 0.9;
const BALLOON_CONFIDENCE: f64 = 0.9;
const TREND_CONFIDENCE: f64 = 0.8;
const MIB: f64 = 1_048_576.0;

limits! {
    /// When memory grows too fast.
    Limits, "memory_" {
        /// `memory-growth`: what a run may have, MiB; 0: the limit of its cgroup, or what the host
        /// has
        limit_mib: u64 = 0 in 0.0..=1e9;
        /// growth within this time
        balloon_ms: u64 = 10_000 in 2_000.0..=600_000.0;
        /// by this share of the limit
        balloon_share: f64 = 0.25 in 0.01..=1.0;
        /// to at least this share of it
        used_share: f64 = 0.5 in 0.01..=1.0;
        /// or growth in nine of ten steps of this time
        trend_ms: u64 = 60_000 in 12_000.0..=3_600_000.0;
        /// at a rate that reaches the limit within this time from now on
        ahead_ms: u64 = 300_000 in 1_000.0..=3_600_000.0;
        /// `true`: it freezes and kills an enforced run; `false`: it is a finding only
        leads_to_acts: bool = false;
    }
}

#[derive(Debug)]
pub(crate) struct MemoryGrowth {
    balloon: Samples,
    trend: Samples,
}

impl Rule for MemoryGrowth {
    type Limits = Limits;
    const ABOUT: About = About {
        id: MEMORY_GROWTH,
        when: "the memory of the run grows fast, or steadily, towards its limit",
        severity: "high; leads to an act only where configured",
        urgency: Urgency::Grows,
    };
    /// Balloon, trend.
    const SUBJECTS: usize = 2;
    /// Memory that goes on growing is one finding.
    const FOLDS: bool = true;

    fn new(limits: &Limits, _now_unix_ns: u64) -> Self {
        let (balloon, trend) = (Samples::new(ns(limits.balloon_ms)), Samples::new(ns(limits.trend_ms)));
        Self { balloon, trend }
    }

    fn leads_to_acts(limits: &Limits) -> bool {
        limits.leads_to_acts
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if (before.balloon_ms, before.trend_ms) != (limits.balloon_ms, limits.trend_ms) {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn judge(&mut self, subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let memory_bytes = past.holds.memory_bytes?;
        let limit_bytes = limit_of(&past.holds, limits)?;
        let samples = if subject == 0 { &mut self.balloon } else { &mut self.trend };
        samples.push(past.holds.looked_unix_ns, memory_bytes);
        let course = samples.course()?;
        let judge = if subject == 0 { balloon } else { trend };
        let signal = judge(&course, limit_bytes, limits)?;
        let shown = Shown::Newest(Show::Processes);
        Some(Verdict { signal, since_unix_ns: course.start_unix_ns, shown, tags: TAGS })
    }

    fn clear(&mut self) {
        self.balloon.clear();
        self.trend.clear();
    }
}

/// What the run may have, bytes.
fn limit_of(holds: &Holds, limits: &Limits) -> Option<f64> {
    let kernels = holds.memory_limit_bytes.map(|bytes| bytes as f64);
    let configured = (limits.limit_mib > 0).then_some(limits.limit_mib as f64 * MIB);
    let limit = [kernels, configured].into_iter().flatten().reduce(f64::min)?;
    (limit > 0.0).then_some(limit)
}

fn balloon(course: &Course, limit_bytes: f64, limits: &Limits) -> Option<RunawaySignal> {
    let grown = course.grown() as f64;
    // Most readings end here, before anything is written out.
    if grown < limits.balloon_share * limit_bytes {
        return None;
    }
    let used = course.last as f64;
    let arithmetic = vec![
        Term::given("window", course.seconds, "s"),
        Term::given("memory before", course.first as f64 / MIB, "MiB"),
        Term::given("memory now", used / MIB, "MiB"),
        Term::given("limit of the run", limit_bytes / MIB, "MiB"),
        Term::limited(
            "share of the limit that it grew by",
            grown / limit_bytes,
            "ratio",
            limits.balloon_share,
        ),
        Term::limited("share of the limit that it has", used / limit_bytes, "ratio", limits.used_share),
        Term::given("confidence", BALLOON_CONFIDENCE, ""),
    ];
    let summary = format!(
        "The memory of the run grew from {:.0} to {:.0} MiB in {:.0} s, and has {:.0} % of the {:.0} MiB that \
        it may have (limit {:.0} %).",
        course.first as f64 / MIB,
        used / MIB,
        course.seconds,
        used / limit_bytes * 100.0,
        limit_bytes / MIB,
        limits.used_share * 100.0,
    );
    let (rule, confidence, severity) = (MEMORY_GROWTH, BALLOON_CONFIDENCE, Severity::High);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

fn trend(course: &Course, limit_bytes: f64, limits: &Limits) -> Option<RunawaySignal> {
    // Most readings end here, before anything is written out.
    if course.growing < GROWING {
        return None;
    }
    let (used, ahead_s) = (course.last as f64, limits.ahead_ms as f64 / 1e3);
    let per_s = course.grown() as f64 / course.seconds.max(1e-9);
    let then = (used + per_s * ahead_s) / limit_bytes;
    let arithmetic = vec![
        Term::given("window", course.seconds, "s"),
        Term::given("memory before", course.first as f64 / MIB, "MiB"),
        Term::given("memory now", used / MIB, "MiB"),
        Term::limited("share of the steps in which it grew", course.growing, "ratio", GROWING),
        Term::given("growth", per_s / MIB, "MiB/s"),
        Term::given("limit of the run", limit_bytes / MIB, "MiB"),
        Term::given("time to come", ahead_s, "s"),
        Term::limited("share of the limit that it has by then", then, "ratio", 1.0),
        Term::given("confidence", TREND_CONFIDENCE, ""),
    ];
    let left_s = (limit_bytes - used).max(0.0) / per_s.max(1.0);
    let summary = format!(
        "The memory of the run has grown steadily for {:.0} s, from {:.0} to {:.0} MiB: at {:.1} MiB/s it \
        reaches the {:.0} MiB that it may have in {left_s:.0} s (limit {ahead_s:.0} s).",
        course.seconds,
        course.first as f64 / MIB,
        used / MIB,
        per_s / MIB,
        limit_bytes / MIB,
    );
    let (rule, confidence, severity) = (MEMORY_GROWTH, TREND_CONFIDENCE, Severity::High);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: f64 = 1024.0 * MIB;

    fn course(seconds: f64, first_mib: u64, last_mib: u64, growing: f64) -> Course {
        Course { start_unix_ns: 5, seconds, first: first_mib << 20, last: last_mib << 20, growing }
    }

    #[test]
    fn a_balloon_is_a_large_part_of_the_limit_in_a_short_time() {
        let of = |first, last| balloon(&course(10.0, first, last, 0.5), 4.0 * GIB, &Limits::default());
        assert_eq!(
            of(1024, 2048).unwrap().summary,
            "The memory of the run grew from 1024 to 2048 MiB in 10 s, and has 50 % of the 4096 MiB that it may \
            have (limit 50 %).",
        );
        assert_eq!((of(1025, 2048), of(1000, 2047), of(100, 1500)), (None, None, None));
    }

    #[test]
    fn a_trend_is_found_before_it_meets_the_limit() {
        let of = |last, growing| trend(&course(60.0, 1024, last, growing), 4.0 * GIB, &Limits::default());
        // 10 MiB/s: the limit is 247 s ahead.
        assert_eq!(
            of(1624, 1.0).unwrap().summary,
            "The memory of the run has grown steadily for 60 s, from 1024 to 1624 MiB: at 10.0 MiB/s it reaches \
            the 4096 MiB that it may have in 247 s (limit 300 s).",
        );
        assert_eq!((of(1624, 0.8), of(1500, 1.0)), (None, None));
    }

    #[test]
    fn the_lowest_limit_counts() {
        let holds = |memory_limit_bytes| Holds { memory_limit_bytes, ..Holds::default() };
        let configured = Limits { limit_mib: 100, ..Limits::default() };
        assert_eq!(limit_of(&holds(Some(5)), &Limits::default()), Some(5.0));
        assert_eq!(limit_of(&holds(Some(500 << 20)), &configured), Some(100.0 * MIB));
        assert_eq!(limit_of(&holds(Some(50 << 20)), &configured), Some(50.0 * MIB));
        assert_eq!(
            (limit_of(&holds(None), &configured), limit_of(&holds(None), &Limits::default())),
            (Some(100.0 * MIB), None)
        );
    }

    proptest! {
        #[test]
        fn more_memory_never_ends_it(
            first in 0..4_000_u64, grown in 0..4_000_u64, more in 0..4_000_u64,
        ) {
            for judge in [balloon, trend] {
                let of = |last| judge(&course(20.0, first, last, 1.0), 4.0 * GIB, &Limits::default());
                if of(first + grown).is_some() {
                    let worse = of(first + grown + more);
                    prop_assert!(worse.is_some_and(|signal| signal.arithmetic.iter().all(Term::holds)));
                }
            }
        }
    }
}
