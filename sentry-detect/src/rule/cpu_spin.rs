//! Much CPU, little variety of acts: `cpu-spin`.
//!
//! A compiler burns CPU and opens hundreds of files meanwhile; a program caught in a loop burns CPU
//! and does nothing else, or the same few things. The verdict is a confidence made of two scores:
//!
//! - *CPU*: cores used over the hold time (the lesser of the average and of what three of four
//!   readings reached), 1.0 at five quarters of the limit.
//! - *Variety*: distinct acts, 1.0 at full variety. They are the sum of three: what the entropies
//!   of changes (births, executions, files opened for writing, removed, renamed) and of other acts
//!   stand for (2^H each, the unseen taken to be as the seen), and one for each `BYTES_PER_ACT`
//!   moved: a compressor has two files open and works.
//!
//! Limit: one program that computes longer than the hold time without a system call that we follow
//! (one large unit in code generation, a model in training, a loop that is meant) looks the same.
//! So it is a finding, and leads to acts only where the configuration has it so
//! (`cpu_leads_to_acts`).

use super::{
    contract::{About, Rule, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        acts::{Sort, Variety},
        cores::{CoreUse, Cores},
        window::Window,
    },
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const CPU_SPIN: RuleId = RuleId::new("cpu-spin");
/// Resource Hijacking: Compute Hijacking.
const TAGS: &[&str] = &["attack:T1496", "attack:T1496.001", "owasp-asi:ASI08"];

/// Multiple of the least cores that scores 1.0.
const FULL_SCORE: f64 = 1.25;
/// Bytes read and written that count as one distinct act.
const BYTES_PER_ACT: f64 = 65_536.0;

limits! {
    /// When CPU use is a spin.
    Limits, "cpu_" {
        /// `cpu-spin`: CPU use lasts this long; `call-flood`: the rate of calls does
        hold_ms: u64 = 3_000 in 500.0..=30_000.0;
        /// so many cores used, on average and in three of four readings; time waited for a
        /// processor does not count
        min_cores: f64 = 0.8 in 0.05..=1024.0;
        /// distinct acts that count as full variety; variety speaks against a spin
        full_variety: u64 = 64 in 2.0..=128.0;
        /// confidence from which it is a finding
        min_confidence: f64 = 0.7 in 0.1..=1.0;
        /// `true`: a sure `cpu-spin` freezes and kills an enforced run; `false`: it is a finding
        /// only
        leads_to_acts: bool = false;
    }
}

pub(crate) struct CpuSpin {
    cores: Cores,
}

impl Rule for CpuSpin {
    type Limits = Limits;
    const ABOUT: About = About {
        id: CPU_SPIN,
        when: "CPU is used for seconds with little variety in what is done",
        severity: "high; leads to an act only where configured",
        urgency: Urgency::Uses,
    };
    /// One spin is one finding.
    const FOLDS: bool = true;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self { cores: Cores::new() }
    }

    fn looks_back_ms(limits: &Limits) -> u64 {
        limits.hold_ms
    }

    fn leads_to_acts(limits: &Limits) -> bool {
        limits.leads_to_acts
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let window = past.readings.covering(ns(limits.hold_ms))?;
        if !is_busy(&window, limits) {
            return None;
        }
        let cores = self.cores.measure(&past.readings, window.start_unix_ns);
        let variety = |sort| past.acts.variety(sort, &window.added);
        let (changes, others) = (variety(Sort::Change), variety(Sort::Other));
        let signal = judge(&Facts { window, cores, changes, others }, limits)?;
        let shown = Shown::Newest(Show::All);
        Some(Verdict { signal, since_unix_ns: window.start_unix_ns, shown, tags: TAGS })
    }
}

/// What a spin is judged by.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Covers the hold time.
    window: Window,
    cores: CoreUse,
    /// Over about the same time.
    changes: Variety,
    others: Variety,
}

/// Cheap first question, before the distributions are made.
fn is_busy(window: &Window, limits: &Limits) -> bool {
    window.cores() >= limits.min_cores
}

fn judge(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let Facts { window, cores, changes, others } = facts;
    let average = window.cores();
    let cpu_score = (average.min(cores.p25) / (FULL_SCORE * limits.min_cores)).min(1.0);
    let moved = window.added.moved_bytes as f64;
    let by_bytes = moved / BYTES_PER_ACT;
    let distinct = changes.distinct + others.distinct + by_bytes;
    let full = limits.full_variety as f64;
    let variety_score = ((distinct - 1.0) / (full - 1.0)).clamp(0.0, 1.0);
    let confidence = cpu_score * (1.0 - variety_score);
    let mut arithmetic = vec![
        Term::limited("window", window.seconds(), "s", limits.hold_ms as f64 / 1e3),
        Term::given("CPU time", window.added.cpu_usec as f64 / 1e6, "s"),
        Term::given("time waited for a CPU, not counted", window.added.cpu_wait_usec as f64 / 1e6, "s"),
        Term::limited("cores used on average", average, "core", limits.min_cores),
        Term::limited("cores used in 3 of 4 readings", cores.p25, "core", limits.min_cores),
        Term::given("cores used, 95th percentile", cores.p95, "core"),
        Term::given("cores used, peak", cores.peak, "core"),
        Term::given("cores for full score", FULL_SCORE * limits.min_cores, "core"),
        Term::given("CPU score", cpu_score, ""),
    ];
    arithmetic.extend(terms("changes", changes));
    arithmetic.extend(terms("other acts", others));
    arithmetic.extend([
        Term::given("bytes moved", moved, "byte"),
        Term::given("bytes that count as a distinct act", BYTES_PER_ACT, "byte"),
        Term::given("distinct acts by bytes moved", by_bytes, ""),
        Term::given("distinct acts", distinct, ""),
        Term::given("distinct acts for full score", full, ""),
        Term::given("variety score", variety_score, ""),
        Term::limited("confidence", confidence, "", limits.min_confidence),
    ]);
    let summary = format!(
        "{average:.2} cores were used for {:.1} s (limit {:.2} for {:.1} s) while {} acts and {:.1} MiB \
        moved came to {distinct:.0} distinct acts (variety score {variety_score:.2}): confidence \
         {confidence:.2} (limit {:.2}).",
        window.seconds(),
        limits.min_cores,
        limits.hold_ms as f64 / 1e3,
        changes.counted.saturating_add(others.counted),
        moved / f64::from(1 << 20),
        limits.min_confidence,
    );
    RunawaySignal { rule: CPU_SPIN, confidence, severity: Severity::High, summary, arithmetic }.when_held()
}

/// What one sort's variety was calculated from.
fn terms(sort: &str, variety: &Variety) -> [Term; 6] {
    let name = |rest: &str| format!("{sort} {rest}");
    [
        Term::given(&name("counted"), variety.counted as f64, ""),
        Term::given(&name("seen"), variety.seen as f64, ""),
        Term::given(&name("not seen"), variety.unseen as f64, ""),
        Term::given(&name("seen once, of the seen"), variety.once, "ratio"),
        Term::given(&name("as entropy"), variety.entropy_bit, "bit"),
        Term::given(&name("that it stands for"), variety.distinct, ""),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::counters::Counters;

    /// All of so many acts were seen, `distinct` of them equally often.
    fn variety(acts: u64, distinct: f64) -> Variety {
        let entropy_bit = if acts == 0 { 0.0 } else { distinct.log2() };
        let distinct = if acts == 0 { 0.0 } else { entropy_bit.exp2() };
        Variety { counted: acts, seen: acts, entropy_bit, distinct, ..Variety::default() }
    }

    #[derive(Clone, Copy)]
    struct Spin {
        cores: f64,
        steady: f64,
        moved_bytes: u64,
        changes: Variety,
        others: Variety,
    }

    /// A whole core and nothing else.
    fn empty() -> Spin {
        Spin { cores: 1.0, steady: 1.0, moved_bytes: 0, changes: variety(0, 0.0), others: variety(0, 0.0) }
    }

    fn spin(spin: Spin) -> Option<RunawaySignal> {
        let Spin { cores, steady, moved_bytes, changes, others } = spin;
        let added = Counters { cpu_usec: (cores * 3e6).round() as u64, moved_bytes, ..Counters::default() };
        let facts = Facts {
            window: Window { start_unix_ns: 1, end_unix_ns: 3_000_000_001, added },
            cores: CoreUse { p25: steady, p95: cores, peak: cores },
            changes,
            others,
        };
        judge(&facts, &Limits::default())
    }

    #[test]
    fn an_empty_loop_is_found() {
        let signal = spin(empty()).unwrap();
        assert_eq!(signal.confidence, 1.0);
        assert_eq!(
            signal.summary,
            "1.00 cores were used for 3.0 s (limit 0.80 for 3.0 s) while 0 acts and 0.0 MiB moved came to 0 \
            distinct acts (variety score 0.00): confidence 1.00 (limit 0.70).",
        );
    }

    #[test]
    fn waiting_for_a_processor_is_no_use_of_one() {
        let window = |cpu_usec, cpu_wait_usec| Window {
            start_unix_ns: 1,
            end_unix_ns: 3_000_000_001,
            added: Counters { cpu_usec, cpu_wait_usec, ..Counters::default() },
        };
        assert!(!is_busy(&window(1_200_000, 3_000_000), &Limits::default()));
        assert!(is_busy(&window(2_500_000, 0), &Limits::default()));
    }

    #[test]
    fn a_loop_that_polls_a_few_files_is_found() {
        assert!(spin(Spin { others: variety(90_000, 2.0), steady: 0.98, ..empty() }).is_some());
    }

    #[test]
    fn variety_bursts_and_idling_are_not() {
        let works = Spin { cores: 2.0, steady: 1.9, ..empty() };
        assert_eq!(spin(Spin { others: variety(800, 90.0), ..works }), None, "a compiler reads headers");
        assert_eq!(
            spin(Spin { changes: variety(30, 30.0), ..works }),
            None,
            "processes are born, files made"
        );
        assert_eq!(spin(Spin { moved_bytes: 4 << 20, ..works }), None, "a compressor reads and writes");
        assert_eq!(spin(Spin { cores: 0.79, steady: 0.79, ..empty() }), None, "below the limit");
        assert_eq!(spin(Spin { steady: 0.1, ..empty() }), None, "not held");
    }

    proptest! {
        #[test]
        fn the_arithmetic_gives_the_verdict(
            cores in 0.0..8.0f64, part in 0.5..1.0f64, changes in 0..60u64, others in 0..60u64,
            kinds in 1.0..20.0f64, moved_bytes in 0..2_000_000u64,
        ) {
            let (changes, others) = (variety(changes, kinds), variety(others, 20.0 / kinds));
            let spin = spin(Spin { cores, steady: cores * part, moved_bytes, changes, others });
            let Some(signal) = spin else { return Ok(()) };
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            let value = |name: &str| signal.arithmetic.iter().find(|term| term.name == name).unwrap().value;
            prop_assert_eq!(value("cores used on average"), value("CPU time") / value("window"));
            let held = value("cores used on average").min(value("cores used in 3 of 4 readings"));
            let cpu = (held / value("cores for full score")).min(1.0);
            prop_assert_eq!(value("CPU score"), cpu);
            let distinct = |sort: &str| {
                let bit = value(&format!("{sort} as entropy"));
                if value(&format!("{sort} counted")) == 0.0 { 0.0 } else { bit.exp2() }
            };
            prop_assert_eq!(value("changes that it stands for"), distinct("changes"));
            prop_assert_eq!(value("other acts that it stands for"), distinct("other acts"));
            let bytes = value("bytes moved") / value("bytes that count as a distinct act");
            prop_assert_eq!(value("distinct acts by bytes moved"), bytes);
            prop_assert_eq!(value("distinct acts"), distinct("changes") + distinct("other acts") + bytes);
            let variety = (value("distinct acts") - 1.0) / (value("distinct acts for full score") - 1.0);
            prop_assert_eq!(value("variety score"), variety.clamp(0.0, 1.0));
            prop_assert_eq!(signal.confidence, cpu * (1.0 - variety.clamp(0.0, 1.0)));
        }

        #[test]
        fn more_cpu_and_less_variety_never_end_a_spin(
            cores in 0.0..4.0f64, acts in 0..60u64, kinds in 1.0..30.0f64, more in 0.0..4.0f64,
            part in 0.0..1.0f64,
            moved_bytes in 0..2_000_000u64,
        ) {
            let of = |cores: f64, kinds: f64, moved_bytes| {
                let (changes, others) = (variety(acts, kinds), variety(acts, kinds));
                spin(Spin { cores, steady: cores, moved_bytes, changes, others })
            };
            if let Some(signal) = of(cores, kinds, moved_bytes) {
                let fewer = 1.0 + (kinds - 1.0) * part;
                let worse = of(cores + more, fewer, (moved_bytes as f64 * part) as u64).unwrap();
                prop_assert!(worse.confidence >= signal.confidence - 1e-9);
            }
        }
    }
}
