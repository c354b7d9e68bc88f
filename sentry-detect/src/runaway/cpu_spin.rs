//! Much CPU, little variety of acts: `cpu-spin`.
//!
//! A compiler burns CPU and opens hundreds of files meanwhile; a program caught in a loop burns CPU and does nothing
//! else, or the same few things. The verdict is a confidence made of two scores:
//!
//! - *CPU*: cores wanted (time had and time waited for) over the hold time (the lesser of the average and of what three
//!   of four readings reached), 1.0 at five quarters of the limit.
//! - *Entropy*: Shannon entropy of (kind of act, object) as the number of equally frequent distinct acts it stands for
//!   (2^H), 1.0 at full variety. Acts that the kernel counted but no event told of count as distinct ones: what is
//!   not known speaks for the run.
//!
//! Limit: one program that computes longer than the hold time without a system call that we follow (a model in
//! training, one large unit in code generation) looks the same. Where agents do that, the hold time has to be longer.

use super::{RunawaySignal, Severity, Term, settings::Limits};
use crate::aggregate::{acts::Variety, cores::CoreUse, window::Window};

pub const CPU_SPIN: &str = "cpu-spin";

/// Multiple of the least cores that scores 1.0.
const FULL_SCORE: f64 = 1.25;

/// What a spin is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpinFacts {
    /// Covers the hold time.
    pub(crate) window: Window,
    pub(crate) cores: CoreUse,
    /// Over about the same time.
    pub(crate) variety: Variety,
}

/// Cheap first question, before the distributions are made.
pub(crate) fn is_busy(window: &Window, limits: &Limits) -> bool {
    window.cores() >= limits.cpu_min_cores
}

pub(crate) fn judge(facts: &SpinFacts, limits: &Limits) -> Option<RunawaySignal> {
    let SpinFacts { window, cores, variety } = facts;
    let average = window.cores();
    let cpu_score = (average.min(cores.p25) / (FULL_SCORE * limits.cpu_min_cores)).min(1.0);
    let counted = window.added.acts();
    let unseen = counted.saturating_sub(variety.acts) as f64;
    let distinct = variety.entropy_bit.exp2();
    let full = limits.cpu_full_variety as f64;
    let entropy_score = ((distinct - 1.0 + unseen) / (full - 1.0)).min(1.0);
    let confidence = cpu_score * (1.0 - entropy_score);
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.cpu_hold_ms as f64 / 1e3),
        Term::given("CPU time", window.added.cpu_usec as f64 / 1e6, "s"),
        Term::given("time waited for a CPU", window.added.cpu_wait_usec as f64 / 1e6, "s"),
        Term::limited("cores wanted on average", average, "core", limits.cpu_min_cores),
        Term::limited("cores wanted in 3 of 4 readings", cores.p25, "core", limits.cpu_min_cores),
        Term::given("cores wanted, 95th percentile", cores.p95, "core"),
        Term::given("cores wanted, peak", cores.peak, "core"),
        Term::given("cores for full score", FULL_SCORE * limits.cpu_min_cores, "core"),
        Term::given("CPU score", cpu_score, ""),
        Term::given("acts counted", counted as f64, ""),
        Term::given("acts seen", variety.acts as f64, ""),
        Term::given("acts not seen", unseen, ""),
        Term::given("entropy of acts", variety.entropy_bit, "bit"),
        Term::given("distinct acts it stands for", distinct, ""),
        Term::given("distinct acts for full score", full, ""),
        Term::given("entropy score", entropy_score, ""),
        Term::limited("confidence", confidence, "", limits.cpu_min_confidence),
    ];
    let summary = format!(
        "{average:.2} cores were wanted for {:.1} s (limit {:.2} for {:.1} s) while the acts had an entropy of {:.1} bit \
         ({counted} acts, entropy score {entropy_score:.2}): confidence {confidence:.2} (limit {:.2}).",
        window.seconds(),
        limits.cpu_min_cores,
        limits.cpu_hold_ms as f64 / 1e3,
        variety.entropy_bit,
        limits.cpu_min_confidence,
    );
    RunawaySignal { rule: CPU_SPIN.to_owned(), confidence, severity: Severity::High, summary, arithmetic }
        .when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::counters::Counters;

    fn spin(cores: f64, steady: f64, opens: u64, acts: u64, entropy_bit: f64) -> Option<RunawaySignal> {
        let added = Counters { cpu_usec: (cores * 3e6).round() as u64, opens, ..Counters::default() };
        let facts = SpinFacts {
            window: Window { start_unix_ns: 1, end_unix_ns: 3_000_000_001, added },
            cores: CoreUse { p25: steady, p95: cores, peak: cores },
            variety: Variety { acts, entropy_bit },
        };
        judge(&facts, &Limits::default())
    }

    #[test]
    fn an_empty_loop_is_found() {
        let signal = spin(1.0, 1.0, 0, 0, 0.0).unwrap();
        assert_eq!(signal.confidence, 1.0);
        assert_eq!(
            signal.summary,
            "1.00 cores were wanted for 3.0 s (limit 0.80 for 3.0 s) while the acts had an entropy of 0.0 bit (0 acts, \
             entropy score 0.00): confidence 1.00 (limit 0.70).",
        );
    }

    #[test]
    fn a_loop_on_a_busy_host_is_found() {
        let window = |cpu_wait_usec| Window {
            start_unix_ns: 1,
            end_unix_ns: 3_000_000_001,
            added: Counters { cpu_usec: 1_200_000, cpu_wait_usec, ..Counters::default() },
        };
        assert!(!is_busy(&window(0), &Limits::default()));
        assert!(is_busy(&window(1_800_000), &Limits::default()));
    }

    #[test]
    fn a_loop_that_polls_a_few_files_is_found() {
        assert!(spin(1.0, 0.98, 90_000, 90_000, 1.0).is_some());
    }

    #[test]
    fn variety_bursts_and_idling_are_not() {
        assert_eq!(spin(2.0, 1.9, 800, 800, 6.5), None, "a compiler");
        assert_eq!(spin(0.79, 0.79, 0, 0, 0.0), None, "below the limit");
        assert_eq!(spin(1.0, 0.1, 0, 0, 0.0), None, "not held");
    }

    #[test]
    fn acts_that_were_not_seen_speak_for_the_run() {
        assert!(spin(1.0, 1.0, 10, 0, 0.0).is_some());
        assert_eq!(spin(1.0, 1.0, 800, 20, 0.0), None);
    }

    proptest! {
        #[test]
        fn the_arithmetic_gives_the_verdict(
            cores in 0.0..8.0f64, part in 0.5..1.0f64, opens in 0..60u64, acts in 0..60u64, entropy_bit in 0.0..5.0f64,
        ) {
            let Some(signal) = spin(cores, cores * part, opens, acts, entropy_bit) else { return Ok(()) };
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            let value = |name: &str| signal.arithmetic.iter().find(|term| term.name == name).unwrap().value;
            let time = value("CPU time") + value("time waited for a CPU");
            prop_assert_eq!(value("cores wanted on average"), time / value("window"));
            let held = value("cores wanted on average").min(value("cores wanted in 3 of 4 readings"));
            let cpu = (held / value("cores for full score")).min(1.0);
            prop_assert_eq!(value("CPU score"), cpu);
            prop_assert_eq!(value("acts not seen"), (value("acts counted") - value("acts seen")).max(0.0));
            prop_assert_eq!(value("distinct acts it stands for"), value("entropy of acts").exp2());
            let entropy = (value("distinct acts it stands for") - 1.0 + value("acts not seen"))
                / (value("distinct acts for full score") - 1.0);
            prop_assert_eq!(value("entropy score"), entropy.min(1.0));
            prop_assert_eq!(signal.confidence, cpu * (1.0 - entropy.min(1.0)));
        }

        #[test]
        fn more_cpu_and_less_variety_never_end_a_spin(
            cores in 0.0..4.0f64, opens in 0..60u64, entropy_bit in 0.0..5.0f64, more in 0.0..4.0f64, part in 0.0..1.0f64,
        ) {
            if let Some(signal) = spin(cores, cores, opens, opens, entropy_bit) {
                let worse = spin(cores + more, cores + more, opens, opens, entropy_bit * part).unwrap();
                prop_assert!(worse.confidence >= signal.confidence - 1e-9);
            }
        }
    }
}
