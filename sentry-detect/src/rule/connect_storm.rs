//! `connect-storm`: connections are tried at a high rate, and most do not come to be: somebody
//! knocks at a closed door again and again without waiting in between.
//!
//! The rate is the kernel's count of connects, over the hold time and in each half of it; the share
//! is of the TCP connections that were seen, without those that succeeded. A server under load gets
//! as many connections, and answers. Memory is fixed: three counts for each of nine slices.
//!
//! It never leads to an act: a service that restarts looks the same to its clients. Limits: where
//! outcomes are not reported it never holds; connects of UDP sockets, which have no outcome, count
//! for the rate alone.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        attempts::{Attempts, Tried},
        window::Window,
    },
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const CONNECT_STORM: RuleId = RuleId::new("connect-storm");
/// Network Denial of Service.
const TAGS: &[&str] = &["attack:T1498", "owasp-asi:ASI08"];

/// Fewest TCP connections seen that a share is taken of.
const FEWEST_SEEN: f64 = 50.0;

limits! {
    /// When connections are a storm.
    Limits, "connect_storm_" {
        /// `connect-storm`: connections are counted over this time
        hold_ms: u64 = 3_000 in 500.0..=30_000.0;
        /// so many per second, over all of it and in each half
        connects_per_s: f64 = 50.0 in 1.0..=1e6;
        /// and this share of those seen refused or without an answer
        unanswered_share: f64 = 0.8 in 0.1..=1.0;
    }
}

pub(crate) struct ConnectStorm {
    attempts: Attempts,
}

impl Rule for ConnectStorm {
    type Limits = Limits;
    const ABOUT: About = About {
        id: CONNECT_STORM,
        when: "connections are tried at a high rate, and most are refused or not answered",
        severity: "medium; never leads to an act",
        urgency: Urgency::Loads,
    };
    /// One storm is one finding.
    const FOLDS: bool = true;

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        Self { attempts: Attempts::new(ns(limits.hold_ms), now_unix_ns) }
    }

    fn looks_back_ms(limits: &Limits) -> u64 {
        limits.hold_ms
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.hold_ms != limits.hold_ms {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        self.attempts.event(&seen.event.kind);
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.attempts.advance(now_unix_ns).for_each(drop);
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let window = past.readings.covering(ns(limits.hold_ms))?;
        // Most readings end here, before anything is added up.
        if window.per_second(window.added.connects) < limits.connects_per_s {
            return None;
        }
        let newer = past.readings.covering(ns(limits.hold_ms) / 2)?;
        let signal = judge(&window, &newer, &self.attempts.sum()?, limits)?;
        let shown = Shown::Newest(Show::All);
        Some(Verdict { signal, since_unix_ns: window.start_unix_ns, shown, tags: TAGS })
    }

    fn clear(&mut self) {
        self.attempts.clear();
    }
}

/// `window` covers the hold time, `newer` the newer half of it.
fn judge(window: &Window, newer: &Window, tried: &Tried, limits: &Limits) -> Option<RunawaySignal> {
    let (connects, newer_connects) = (window.added.connects, newer.added.connects);
    let older_s = (window.seconds() - newer.seconds()).max(1e-9);
    let older_rate = connects.saturating_sub(newer_connects) as f64 / older_s;
    let (rate, limit) = (window.per_second(connects), limits.connects_per_s);
    let share = tried.unanswered();
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.hold_ms as f64 / 1e3),
        Term::given("connections", connects as f64, ""),
        Term::limited("rate", rate, "1/s", limit),
        Term::limited("rate of the newer half", newer.per_second(newer_connects), "1/s", limit),
        Term::limited("rate of the older half", older_rate, "1/s", limit),
        Term::limited("TCP connections seen", tried.tried as f64, "", FEWEST_SEEN),
        Term::given("of them succeeded", tried.succeeded as f64, ""),
        Term::given("of them refused", tried.refused as f64, ""),
        Term::limited("share refused or without an answer", share, "ratio", limits.unanswered_share),
        Term::given("confidence", share, ""),
    ];
    let summary = format!(
        "{connects} connections were tried in {:.1} s ({rate:.0}/s, limit {limit:.0}/s), and {:.0} % of those \
        seen were refused or not answered (limit {:.0} %).",
        window.seconds(),
        share * 100.0,
        limits.unanswered_share * 100.0,
    );
    let (rule, confidence, severity) = (CONNECT_STORM, share, Severity::Medium);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::counters::Counters;

    fn window(ms: u64, connects: u64) -> Window {
        let added = Counters { connects, ..Counters::default() };
        Window { start_unix_ns: 7, end_unix_ns: 7 + ms * 1_000_000, added }
    }

    fn storm(connects: u64, newer: u64, succeeded: u64) -> Option<RunawaySignal> {
        let tried = Tried { tried: connects, succeeded, refused: connects.saturating_sub(succeeded) };
        judge(&window(3000, connects), &window(1500, newer), &tried, &Limits::default())
    }

    #[test]
    fn it_needs_a_rate_in_both_halves_and_closed_doors() {
        assert_eq!(storm(150, 75, 0).unwrap().confidence, 1.0);
        assert_eq!(storm(150, 75, 30).unwrap().confidence, 0.8);
        assert_eq!((storm(149, 75, 0), storm(150, 75, 31), storm(150, 150, 0)), (None, None, None));
        assert_eq!(
            storm(300, 150, 0).unwrap().summary,
            "300 connections were tried in 3.0 s (100/s, limit 50/s), and 100 % of those seen were refused or \
            not answered (limit 80 %).",
        );
    }

    proptest! {
        #[test]
        fn fewer_answers_never_end_a_storm(
            half in 1..2_000u64, succeeded in 0..2_000u64, less in 0..2_000u64,
        ) {
            if let Some(signal) = storm(half * 2, half, succeeded.min(half)) {
                let worse = storm(half * 2, half, succeeded.min(half).saturating_sub(less)).unwrap();
                prop_assert!(worse.confidence >= signal.confidence);
                prop_assert!(worse.arithmetic.iter().all(Term::holds));
            }
        }
    }
}
