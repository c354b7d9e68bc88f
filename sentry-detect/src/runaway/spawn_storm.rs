//! Births outrun what a working agent does: fork bombs (`spawn-storm`) and loops of equal execs (`exec-loop`).
//!
//! A build starts many processes too, but they end as fast as they start and each has its own command line. So the
//! storm asks for processes that *stay*, and the loop for command lines that *repeat*.

use super::{RunawaySignal, Severity, Term, settings::Limits};
use crate::aggregate::{commands::Repetition, window::Window};

pub const SPAWN_STORM: &str = "spawn-storm";
pub const EXEC_LOOP: &str = "exec-loop";

/// Confidence of a storm just at its limits; it grows by [`STORM_GAIN`] for each further multiple of them.
const STORM_BASE: f64 = 0.8;
const STORM_GAIN: f64 = 0.1;
/// Fewest execs seen as events that a repeated share is taken of.
const FEWEST_SEEN: f64 = 20.0;

/// Processes that were born and stay, over `window`: at most the storm horizon long, or as late as the reading came.
pub(crate) fn judge_storm(window: &Window, limits: &Limits) -> Option<RunawaySignal> {
    let (births, deaths) = (window.added.processes_born, window.added.processes_ended);
    let net = births.saturating_sub(deaths) as f64;
    // Most readings end here, before anything is written out.
    if net < limits.storm_net_processes as f64 {
        return None;
    }
    let births_per_s = window.per_second(births);
    // A window that is longer than its horizon is held to a limit that is as much higher.
    let stretch = (window.seconds() / (limits.storm_horizon_ms as f64 / 1e3)).max(1.0);
    let net_limit = limits.storm_net_processes as f64 * stretch;
    let excess = (net / net_limit).min(births_per_s / limits.storm_births_per_s);
    let confidence = (STORM_BASE + STORM_GAIN * (excess - 1.0)).clamp(0.0, 1.0);
    let arithmetic = vec![
        Term::given("window", window.seconds(), "s"),
        Term::given("processes born", births as f64, ""),
        Term::given("processes ended", deaths as f64, ""),
        Term::limited("processes born and still alive", net, "", net_limit),
        Term::limited("birth rate", births_per_s, "1/s", limits.storm_births_per_s),
        Term::given("exec rate", window.per_second(window.added.execs), "1/s"),
        Term::given("multiple of the limits", excess, "ratio"),
        Term::given("confidence at the limits", STORM_BASE, ""),
        Term::given("confidence per further multiple", STORM_GAIN, ""),
        Term::given("confidence", confidence, ""),
    ];
    let summary = format!(
        "{births} processes were born and {deaths} ended within {:.2} s: {net} more are alive (limit {net_limit:.0}), \
         at {births_per_s:.0} births/s (limit {:.0}).",
        window.seconds(),
        limits.storm_births_per_s,
    );
    RunawaySignal {
        rule: SPAWN_STORM.to_owned(),
        confidence,
        severity: Severity::Critical,
        summary,
        arithmetic,
    }
    .when_held()
}

/// What an exec loop is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExecFacts {
    /// Covers the hold time.
    pub(crate) window: Window,
    /// Covers the newer half of it.
    pub(crate) newer: Window,
    /// Execs seen as events over about the same time.
    pub(crate) repetition: Repetition,
}

pub(crate) fn judge_exec_loop(facts: &ExecFacts, limits: &Limits) -> Option<RunawaySignal> {
    let ExecFacts { window, newer, repetition } = facts;
    let execs = window.added.execs;
    let older_s = (window.seconds() - newer.seconds()).max(1e-9);
    let rate = window.per_second(execs);
    // Most readings end here, before anything is written out.
    if rate < limits.exec_loop_execs_per_s {
        return None;
    }
    let newer_rate = newer.per_second(newer.added.execs);
    let older_rate = execs.saturating_sub(newer.added.execs) as f64 / older_s;
    let seen = repetition.seen as f64;
    let share = repetition.repeated as f64 / seen.max(1.0);
    // Execs whose command line was lost say nothing about repetition.
    let coverage = (seen / execs.max(1) as f64).min(1.0);
    let confidence = share * coverage;
    let rate_limit = limits.exec_loop_execs_per_s;
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.exec_loop_hold_ms as f64 / 1e3),
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
        Term::limited("repeated share", share, "ratio", limits.exec_loop_repeated_share),
        Term::given("share of execs seen", coverage, "ratio"),
        Term::given("confidence", confidence, ""),
    ];
    let summary = format!(
        "{execs} programs were started in {:.1} s ({rate:.0}/s, limit {rate_limit:.0}/s), {:.0} % of them with one of \
         the 4 most frequent command lines (limit {:.0} %).",
        window.seconds(),
        share * 100.0,
        limits.exec_loop_repeated_share * 100.0,
    );
    RunawaySignal { rule: EXEC_LOOP.to_owned(), confidence, severity: Severity::High, summary, arithmetic }
        .when_held()
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

    fn storm(ms: u64, born: u64, ended: u64) -> Option<RunawaySignal> {
        judge_storm(&window(ms, born, ended, 0), &Limits::default())
    }

    fn exec_loop(per_s: u64, repeated: u64, seen: u64) -> Option<RunawaySignal> {
        let (window, newer) = (window(2000, 0, 0, per_s * 2), window(1000, 0, 0, per_s));
        let facts = ExecFacts { window, newer, repetition: Repetition { seen, repeated } };
        judge_exec_loop(&facts, &Limits::default())
    }

    fn value(signal: &RunawaySignal, name: &str) -> f64 {
        signal.arithmetic.iter().find(|term| term.name == name).unwrap().value
    }

    #[test]
    fn the_storm_s_limits_are_met_exactly() {
        assert_eq!(storm(640, 64, 0).unwrap().confidence, 0.8);
        assert_eq!(storm(1000, 63, 0), None);
        assert_eq!(storm(2000, 99, 0), None, "slow growth");
        assert_eq!(storm(1000, 500, 450), None, "deaths match births");
        assert_eq!(storm(200, 300, 0).unwrap().confidence, 1.0);
    }

    #[test]
    fn a_late_reading_is_held_to_a_higher_limit() {
        assert_eq!(storm(8000, 900, 500), None);
        assert!(storm(8000, 900, 300).is_some());
    }

    #[test]
    fn the_summary_has_the_figures() {
        assert_eq!(
            storm(250, 90, 5).unwrap().summary,
            "90 processes were born and 5 ended within 0.25 s: 85 more are alive (limit 64), at 360 births/s (limit \
             50).",
        );
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
        let facts = |newer| ExecFacts {
            window: window(2000, 0, 0, 200),
            newer: window(1000, 0, 0, newer),
            repetition: Repetition { seen: 200, repeated: 200 },
        };
        assert!(judge_exec_loop(&facts(100), &Limits::default()).is_some());
        assert_eq!(judge_exec_loop(&facts(200), &Limits::default()), None);
        assert_eq!(judge_exec_loop(&facts(10), &Limits::default()), None);
    }

    proptest! {
        #[test]
        fn more_births_and_fewer_deaths_never_end_a_storm(
            ms in 1..20_000u64, born in 0..5_000u64, ended in 0..5_000u64, more in 0..5_000u64, less in 0..5_000u64,
        ) {
            if let Some(signal) = storm(ms, born, ended) {
                let worse = storm(ms, born + more, ended.saturating_sub(less)).unwrap();
                prop_assert!(worse.confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_storm_s_arithmetic_gives_the_verdict(ms in 1..20_000u64, born in 0..5_000u64, ended in 0..500u64) {
            let Some(signal) = storm(ms, born, ended) else { return Ok(()) };
            let value = |name: &str| value(&signal, name);
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            let net = value("processes born") - value("processes ended");
            prop_assert_eq!(value("processes born and still alive"), net);
            prop_assert_eq!(value("birth rate"), value("processes born") / value("window"));
            let limit = |name: &str| signal.arithmetic.iter().find(|term| term.name == name).unwrap().limit.unwrap();
            let multiple = (net / limit("processes born and still alive")).min(value("birth rate") / limit("birth rate"));
            prop_assert_eq!(value("multiple of the limits"), multiple);
            prop_assert!((signal.confidence - (0.8 + 0.1 * (multiple - 1.0)).min(1.0)).abs() < 1e-9);
        }

        #[test]
        fn a_higher_share_never_ends_a_loop(per_s in 1..500u64, seen in 1..1_000u64, a in 0..1_000u64, b in 0..1_000u64) {
            let (low, high) = (a.min(b).min(seen), a.max(b).min(seen));
            if let Some(signal) = exec_loop(per_s, low, seen) {
                prop_assert!(exec_loop(per_s, high, seen).unwrap().confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_loop_s_arithmetic_gives_the_verdict(per_s in 1..500u64, seen in 1..1_000u64, part in 0.0..1.0f64) {
            let Some(signal) = exec_loop(per_s, (seen as f64 * part) as u64, seen) else { return Ok(()) };
            let value = |name: &str| value(&signal, name);
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            prop_assert_eq!(value("exec rate"), value("execs") / value("window"));
            let share = value("of the 4 most frequent command lines") / value("execs seen with their command line");
            prop_assert_eq!(value("repeated share"), share);
            prop_assert_eq!(signal.confidence, share * value("share of execs seen"));
        }
    }
}
