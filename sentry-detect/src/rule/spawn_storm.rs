//! Births outrun what a working agent does: a fork bomb.
//!
//! A build starts many processes too, but they end as fast as they start. So the storm asks for
//! processes that *stay*.

use super::{
    contract::{About, Rule, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::window::Window,
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const SPAWN_STORM: RuleId = RuleId::new("spawn-storm");
/// Endpoint Denial of Service: OS Exhaustion Flood.
const TAGS: &[&str] = &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"];

/// Confidence of a storm just at its limits; it grows by [`STORM_GAIN`] for each further multiple
/// of them.
const STORM_BASE: f64 = 0.8;
const STORM_GAIN: f64 = 0.1;

limits! {
    /// When births are a storm.
    Limits, "storm_" {
        /// `spawn-storm`: births and deaths are counted over this time
        horizon_ms: u64 = 1_000 in 100.0..=10_000.0;
        /// so many more processes alive than before
        net_processes: u64 = 64 in 8.0..=1e6;
        /// and so many births per second
        births_per_s: f64 = 50.0 in 1.0..=1e6;
    }
}

/// Keeps nothing: the readings say it all.
pub(crate) struct SpawnStorm;

impl Rule for SpawnStorm {
    type Limits = Limits;
    const ABOUT: About = About {
        id: SPAWN_STORM,
        when: "processes are born faster than they end, and stay",
        severity: "critical",
        urgency: Urgency::Grows,
    };
    /// One storm is one finding.
    const FOLDS: bool = true;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self
    }

    fn looks_back_ms(limits: &Limits) -> u64 {
        limits.horizon_ms
    }

    fn leads_to_acts(_limits: &Limits) -> bool {
        true
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let window = past.readings.within(ns(limits.horizon_ms))?;
        let signal = judge(&window, limits)?;
        let shown = Shown::Newest(Show::Processes);
        Some(Verdict { signal, since_unix_ns: window.start_unix_ns, shown, tags: TAGS })
    }
}

/// Processes that were born and stay, over `window`: at most the storm horizon long, or as late as
/// the reading came.
fn judge(window: &Window, limits: &Limits) -> Option<RunawaySignal> {
    let (births, deaths) = (window.added.processes_born, window.added.processes_ended);
    let net = births.saturating_sub(deaths) as f64;
    // Most readings end here, before anything is written out.
    if net < limits.net_processes as f64 {
        return None;
    }
    let births_per_s = window.per_second(births);
    // A window that is longer than its horizon is held to a limit that is as much higher.
    let stretch = (window.seconds() / (limits.horizon_ms as f64 / 1e3)).max(1.0);
    let net_limit = limits.net_processes as f64 * stretch;
    let excess = (net / net_limit).min(births_per_s / limits.births_per_s);
    let confidence = (STORM_BASE + STORM_GAIN * (excess - 1.0)).clamp(0.0, 1.0);
    let arithmetic = vec![
        Term::given("window", window.seconds(), "s"),
        Term::given("processes born", births as f64, ""),
        Term::given("processes ended", deaths as f64, ""),
        Term::limited("processes born and still alive", net, "", net_limit),
        Term::limited("birth rate", births_per_s, "1/s", limits.births_per_s),
        Term::given("exec rate", window.per_second(window.added.execs), "1/s"),
        Term::given("multiple of the limits", excess, "ratio"),
        Term::given("confidence at the limits", STORM_BASE, ""),
        Term::given("confidence per further multiple", STORM_GAIN, ""),
        Term::given("confidence", confidence, ""),
    ];
    let summary = format!(
        "{births} processes were born and {deaths} ended within {:.2} s: {net} more are alive (limit \
        {net_limit:.0}), at {births_per_s:.0} births/s (limit {:.0}).",
        window.seconds(),
        limits.births_per_s,
    );
    RunawaySignal { rule: SPAWN_STORM, confidence, severity: Severity::Critical, summary, arithmetic }
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
        judge(&window(ms, born, ended, 0), &Limits::default())
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
            "90 processes were born and 5 ended within 0.25 s: 85 more are alive (limit 64), at 360 births/s \
            (limit 50).",
        );
    }

    proptest! {
        #[test]
        fn more_births_and_fewer_deaths_never_end_a_storm(
            ms in 1..20_000u64, born in 0..5_000u64, ended in 0..5_000u64, more in 0..5_000u64,
            less in 0..5_000u64,
        ) {
            if let Some(signal) = storm(ms, born, ended) {
                let worse = storm(ms, born + more, ended.saturating_sub(less)).unwrap();
                prop_assert!(worse.confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_storm_s_arithmetic_gives_the_verdict(
            ms in 1..20_000u64,
            born in 0..5_000u64,
            ended in 0..500u64,
        ) {
            let Some(signal) = storm(ms, born, ended) else { return Ok(()) };
            let value = |name: &str| value(&signal, name);
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            let net = value("processes born") - value("processes ended");
            prop_assert_eq!(value("processes born and still alive"), net);
            prop_assert_eq!(value("birth rate"), value("processes born") / value("window"));
            let term = |name: &str| signal.arithmetic.iter().find(|term| term.name == name).unwrap();
            let limit = |name: &str| term(name).limit.unwrap();
            let of_net = net / limit("processes born and still alive");
            let multiple = of_net.min(value("birth rate") / limit("birth rate"));
            prop_assert_eq!(value("multiple of the limits"), multiple);
            prop_assert!((signal.confidence - (0.8 + 0.1 * (multiple - 1.0)).min(1.0)).abs() < 1e-9);
        }
    }
}
