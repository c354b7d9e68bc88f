//! The same few command lines are executed again and again.
//!
//! A build executes many programs too, but each with a command line of its own. So the loop asks
//! for command lines that *repeat*.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        commands::{Commands, Repetition},
        window::Window,
    },
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const EXEC_LOOP: RuleId = RuleId::new("exec-loop");
/// Endpoint Denial of Service.
const TAGS: &[&str] = &["attack:T1499", "owasp-asi:ASI08"];

/// Fewest execs seen as events that a repeated share is taken of.
const FEWEST_SEEN: f64 = 20.0;

limits! {
    /// When executions are a loop.
    Limits, "exec_loop_" {
        /// `exec-loop`: execs are counted over this time
        hold_ms: u64 = 2_000 in 500.0..=30_000.0;
        /// so many per second, over all of it and in each half
        execs_per_s: f64 = 40.0 in 1.0..=1e6;
        /// and this share of them one of the four most frequent command lines
        repeated_share: f64 = 0.8 in 0.1..=1.0;
    }
}

pub(crate) struct ExecLoop {
    commands: Commands,
}

impl Rule for ExecLoop {
    type Limits = Limits;
    const ABOUT: About = About {
        id: EXEC_LOOP,
        when: "the same few command lines are executed again and again",
        severity: "high",
        urgency: Urgency::Grows,
    };

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        Self { commands: Commands::new(ns(limits.hold_ms), now_unix_ns) }
    }

    fn looks_back_ms(limits: &Limits) -> u64 {
        limits.hold_ms
    }

    fn leads_to_acts(_limits: &Limits) -> bool {
        true
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.hold_ms != limits.hold_ms {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        if let Some(command) = seen.command {
            self.commands.add(command);
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.commands.advance(now_unix_ns);
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let window = past.readings.covering(ns(limits.hold_ms))?;
        let newer = past.readings.covering(ns(limits.hold_ms) / 2)?;
        let signal = judge(&Facts { window, newer, repetition: self.commands.repetition() }, limits)?;
        let shown = Shown::Newest(Show::Processes);
        Some(Verdict { signal, since_unix_ns: window.start_unix_ns, shown, tags: TAGS })
    }

    fn clear(&mut self) {
        self.commands.clear();
    }
}

/// What a loop is judged by.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Covers the hold time.
    window: Window,
    /// Covers the newer half of it.
    newer: Window,
    /// Execs seen as events over about the same time.
    repetition: Repetition,
}

fn judge(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let Facts { window, newer, repetition } = facts;
    let execs = window.added.execs;
    let older_s = (window.seconds() - newer.seconds()).max(1e-9);
    let rate = window.per_second(execs);
    // Most readings end here, before anything is written out.
    if rate < limits.execs_per_s {
        return None;
    }
    let newer_rate = newer.per_second(newer.added.execs);
    let older_rate = execs.saturating_sub(newer.added.execs) as f64 / older_s;
    let seen = repetition.seen as f64;
    let share = repetition.repeated as f64 / seen.max(1.0);
    // Execs whose command line was lost say nothing about repetition.
    let coverage = (seen / execs.max(1) as f64).min(1.0);
    let confidence = share * coverage;
    let rate_limit = limits.execs_per_s;
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.hold_ms as f64 / 1e3),
        Term::given("execs", execs as f64, ""),
        Term::limited("exec rate", rate, "1/s", rate_limit),
        Term::given("newer half", newer.seconds(), "s"),
        Term::given("execs in the newer half", newer.added.execs as f64, ""),
        Term::limited("exec rate of the newer half", newer_rate, "1/s", rate_limit),
        Term::limited("exec rate of the older half", older_rate, "1/s", rate_limit),
        Term::given("processes born", window.added.processes_born as f64, ""),
        Term::given("processes ended", window.added.processes_ended as f64, ""),
        Term::limited("execs seen with their command line", seen, "", FEWEST_SEEN),
        Term::given("of the 4 most frequent command lines", repetition.repeated as f64, ""),
        Term::limited("repeated share", share, "ratio", limits.repeated_share),
        Term::given("share of execs seen", coverage, "ratio"),
        Term::given("confidence", confidence, ""),
    ];
    let summary = format!(
        "{execs} programs were started in {:.1} s ({rate:.0}/s, limit {rate_limit:.0}/s), {:.0} % of them \
        with one of the 4 most frequent command lines (limit {:.0} %).",
        window.seconds(),
        share * 100.0,
        limits.repeated_share * 100.0,
    );
    RunawaySignal { rule: EXEC_LOOP, confidence, severity: Severity::High, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::counters::Counters;

    fn window(ms: u64, processes_born: u64, processes_ended: u64, execs: u64) -> Window {
        let added = Counters { processes_born, processes_ended, execs, ..Counters::default() };
        Window { start_unix_ns: 7, end_unix_ns: 7 + ms * 1_000_000, added }
    }

    fn exec_loop(per_s: u64, repeated: u64, seen: u64) -> Option<RunawaySignal> {
        let (window, newer) = (window(2000, 0, 0, per_s * 2), window(1000, 0, 0, per_s));
        let facts = Facts { window, newer, repetition: Repetition { seen, repeated } };
        judge(&facts, &Limits::default())
    }

    fn value(signal: &RunawaySignal, name: &str) -> f64 {
        signal.arithmetic.iter().find(|term| term.name == name).unwrap().value
    }

    #[test]
    fn an_exec_loop_needs_rate_and_repetition() {
        assert_eq!(exec_loop(50, 100, 100).unwrap().confidence, 1.0);
        assert_eq!(exec_loop(39, 78, 78), None);
        assert_eq!(exec_loop(100, 100, 200), None);
        assert_eq!(exec_loop(100, 19, 19), None, "too few seen");
        assert_eq!(exec_loop(100, 100, 100).unwrap().confidence, 0.5, "half were lost");
    }

    #[test]
    fn a_burst_in_one_half_is_no_loop() {
        let facts = |newer| Facts {
            window: window(2000, 0, 0, 200),
            newer: window(1000, 0, 0, newer),
            repetition: Repetition { seen: 200, repeated: 200 },
        };
        assert!(judge(&facts(100), &Limits::default()).is_some());
        assert_eq!(judge(&facts(200), &Limits::default()), None);
        assert_eq!(judge(&facts(10), &Limits::default()), None);
    }

    proptest! {
        #[test]
        fn a_higher_share_never_ends_a_loop(
            per_s in 1..500u64,
            seen in 1..1_000u64,
            a in 0..1_000u64,
            b in 0..1_000u64,
        ) {
            let (low, high) = (a.min(b).min(seen), a.max(b).min(seen));
            if let Some(signal) = exec_loop(per_s, low, seen) {
                prop_assert!(exec_loop(per_s, high, seen).unwrap().confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_loop_s_arithmetic_gives_the_verdict(
            per_s in 1..500u64,
            seen in 1..1_000u64,
            part in 0.0..1.0f64,
        ) {
            let Some(signal) = exec_loop(per_s, (seen as f64 * part) as u64, seen) else { return Ok(()) };
            let value = |name: &str| value(&signal, name);
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            prop_assert_eq!(value("exec rate"), value("execs") / value("window"));
            let share = value("of the 4 most frequent command lines") / value("execs seen with their command \
                line");
            prop_assert_eq!(value("repeated share"), share);
            prop_assert_eq!(signal.confidence, share * value("share of execs seen"));
        }
    }
}
