//! One kind of act at an extreme rate, on the same few objects: `call-flood`.
//!
//! A search or an install opens tens of thousands of files in a second too, but each is another
//! one. A loop without a pause around one open, one datagram or one removal meets the same object
//! each time. Most of its records are left out, so the rate is the kernel's count, and the sameness
//! is that of the acts that were seen.
//!
//! Births and executions are not among the kinds: `spawn-storm` and `exec-loop` are their rules.
//!
//! Limit: a flood over more than `LOOP_LENGTH` objects is none here.

use super::{
    contract::{About, Rule, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        acts::{Sort, Variety},
        commands::LOOP_LENGTH,
        counters::Counters,
        window::Window,
    },
    evidence::Show,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const CALL_FLOOD: RuleId = RuleId::new("call-flood");
/// Endpoint Denial of Service.
const TAGS: &[&str] = &["attack:T1499", "owasp-asi:ASI08"];

/// Fewest acts seen as events that a repeated share is taken of.
const FEWEST_SEEN: f64 = 100.0;

limits! {
    /// When calls are a flood, over the hold time of `cpu-spin`.
    Limits, "flood_" {
        /// `call-flood`: so many acts of one kind per second, over all of the hold time and in each
        /// half
        calls_per_s: f64 = 20_000.0 in 100.0..=1e9;
        /// and this share of those seen on the four most frequent objects
        repeated_share: f64 = 0.9 in 0.1..=1.0;
        /// as `cpu_leads_to_acts`, for `call-flood`
        leads_to_acts: bool = false;
    }
}

/// Keeps nothing of its own.
pub(crate) struct CallFlood;

impl Rule for CallFlood {
    type Limits = Limits;
    const ABOUT: About = About {
        id: CALL_FLOOD,
        when: "one kind of act is done at an extreme rate, on the same few objects",
        severity: "high; leads to an act only where configured",
        urgency: Urgency::Loads,
    };
    /// One flood is one finding.
    const FOLDS: bool = true;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self
    }

    fn leads_to_acts(limits: &Limits) -> bool {
        limits.leads_to_acts
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let window = past.readings.covering(ns(past.hold_ms))?;
        let kind = Kind::most_frequent(&window.added);
        if !is_fast(kind, &window, limits) {
            return None;
        }
        let newer = past.readings.covering(ns(past.hold_ms) / 2)?;
        let variety = past.acts.variety(kind.sort(), &window.added);
        let signal = judge(&Facts { hold_ms: past.hold_ms, kind, window, newer, variety }, limits)?;
        let shown = Shown::Newest(Show::All);
        Some(Verdict { signal, since_unix_ns: window.start_unix_ns, shown, tags: TAGS })
    }
}

/// What can be a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OpenForReading,
    OpenForWriting,
    Unlink,
    Rename,
    Connect,
    Send,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::OpenForReading, Self::OpenForWriting, Self::Unlink, Self::Rename, Self::Connect, Self::Send];

    /// The one there was most of.
    fn most_frequent(added: &Counters) -> Self {
        Self::ALL.into_iter().max_by_key(|kind| kind.counted(added)).unwrap_or(Self::OpenForReading)
    }

    /// Whose distribution it is in.
    fn sort(self) -> Sort {
        match self {
            Self::OpenForWriting | Self::Unlink | Self::Rename => Sort::Change,
            Self::OpenForReading | Self::Connect | Self::Send => Sort::Other,
        }
    }

    fn counted(self, counters: &Counters) -> u64 {
        match self {
            Self::OpenForReading => counters.opens_for_reading(),
            Self::OpenForWriting => counters.opens_for_write,
            Self::Unlink => counters.unlinks,
            Self::Rename => counters.renames,
            Self::Connect => counters.connects,
            Self::Send => counters.sends,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::OpenForReading => "opens for reading",
            Self::OpenForWriting => "opens for writing",
            Self::Unlink => "removals",
            Self::Rename => "renames",
            Self::Connect => "connections",
            Self::Send => "datagrams",
        }
    }
}

/// What a flood is judged by.
#[derive(Clone, Copy, Debug)]
struct Facts {
    hold_ms: u64,
    kind: Kind,
    /// Covers the hold time.
    window: Window,
    /// Covers the newer half of it.
    newer: Window,
    /// Of the kind's sort, over about the same time.
    variety: Variety,
}

/// Cheap first question, before the distribution is made.
fn is_fast(kind: Kind, window: &Window, limits: &Limits) -> bool {
    window.per_second(kind.counted(&window.added)) >= limits.calls_per_s
}

fn judge(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let Facts { hold_ms, kind, window, newer, variety } = facts;
    let (name, limit) = (kind.name(), limits.calls_per_s);
    let (calls, newer_calls) = (kind.counted(&window.added), kind.counted(&newer.added));
    let rate = window.per_second(calls);
    let older_s = (window.seconds() - newer.seconds()).max(1e-9);
    let older_rate = calls.saturating_sub(newer_calls) as f64 / older_s;
    let share = variety.repeated;
    let arithmetic = vec![
        Term::limited("window", window.seconds(), "s", *hold_ms as f64 / 1e3),
        Term::given(name, calls as f64, ""),
        Term::limited("rate", rate, "1/s", limit),
        Term::given("newer half", newer.seconds(), "s"),
        Term::given("of them in the newer half", newer_calls as f64, ""),
        Term::limited("rate of the newer half", newer.per_second(newer_calls), "1/s", limit),
        Term::limited("rate of the older half", older_rate, "1/s", limit),
        Term::given("acts of this sort counted", variety.counted as f64, ""),
        Term::limited("acts of this sort seen", variety.seen as f64, "", FEWEST_SEEN),
        Term::given("acts of this sort not seen", variety.unseen as f64, ""),
        Term::given("objects that may repeat", LOOP_LENGTH as f64, ""),
        Term::limited("share of the seen on them", share, "ratio", limits.repeated_share),
        Term::given("confidence", share, ""),
    ];
    let summary = format!(
        "{calls} {name} in {:.1} s ({rate:.0}/s, limit {limit:.0}/s), {:.0} % of what was seen on the \
        {LOOP_LENGTH} most frequent objects (limit {:.0} %).",
        window.seconds(),
        share * 100.0,
        limits.repeated_share * 100.0,
    );
    RunawaySignal { rule: CALL_FLOOD, confidence: share, severity: Severity::High, summary, arithmetic }
        .when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(ms: u64, opens: u64) -> Window {
        let added = Counters { opens, ..Counters::default() };
        Window { start_unix_ns: 7, end_unix_ns: 7 + ms * 1_000_000, added }
    }

    /// Over three seconds, `newer` of them in the newer half.
    fn flood(opens: u64, newer: u64, seen: u64, repeated: f64) -> Option<RunawaySignal> {
        let variety = Variety {
            counted: opens,
            seen,
            unseen: opens.saturating_sub(seen),
            repeated,
            ..Variety::default()
        };
        let (window, newer) = (window(3000, opens), window(1500, newer));
        let kind = Kind::most_frequent(&window.added);
        judge(&Facts { hold_ms: 3000, kind, window, newer, variety }, &Limits::default())
    }

    #[test]
    fn the_limits_are_met_exactly() {
        assert_eq!(flood(60_000, 30_000, 100, 0.9).unwrap().confidence, 0.9);
        assert_eq!(flood(59_999, 30_000, 100, 0.9), None);
        assert_eq!(flood(60_000, 30_000, 99, 0.9), None, "too few seen");
        assert_eq!(flood(60_000, 30_000, 100, 0.89), None, "a search");
        assert_eq!(flood(90_000, 70_000, 100, 1.0), None, "a burst at the end");
        assert_eq!(flood(90_000, 20_000, 100, 1.0), None, "a burst at the beginning");
        assert!(!is_fast(Kind::OpenForReading, &window(3000, 59_999), &Limits::default()));
        assert!(is_fast(Kind::OpenForReading, &window(3000, 60_000), &Limits::default()));
    }

    #[test]
    fn the_summary_has_the_figures() {
        assert_eq!(
            flood(900_000, 450_000, 3000, 0.995).unwrap().summary,
            "900000 opens for reading in 3.0 s (300000/s, limit 20000/s), 100 % of what was seen on the 4 \
            most frequent objects (limit 90 %).",
        );
    }

    #[test]
    fn each_kind_is_counted_by_itself() {
        let counters = Counters {
            opens: 30,
            opens_for_write: 9,
            unlinks: 8,
            renames: 7,
            connects: 6,
            sends: 5,
            processes_born: 99,
            execs: 99,
            ..Counters::default()
        };
        assert_eq!(Kind::ALL.map(|kind| kind.counted(&counters)), [21, 9, 8, 7, 6, 5]);
        assert_eq!(Kind::most_frequent(&counters), Kind::OpenForReading);
        assert_eq!(Kind::most_frequent(&Counters { sends: 22, ..counters }), Kind::Send);
    }

    proptest! {
        #[test]
        fn a_higher_rate_and_share_never_end_a_flood(
            opens in 50_000..200_000u64, seen in 50..2000u64, share in 0.8..1.0f64,
            more in 1.0..4.0f64, a in 0.0..1.0f64,
        ) {
            if let Some(signal) = flood(opens, opens / 2, seen, share) {
                let faster = (opens as f64 * more) as u64;
                let worse = flood(faster, faster / 2, seen, share + (1.0 - share) * a).unwrap();
                prop_assert!(worse.confidence >= signal.confidence);
            }
        }

        #[test]
        fn the_arithmetic_gives_the_verdict(
            opens in 50_000..200_000u64, part in 0.3..0.7f64, seen in 50..2000u64, share in 0.8..1.0f64,
        ) {
            let Some(signal) = flood(opens, (opens as f64 * part) as u64, seen, share) else { return Ok(()) };
            prop_assert!(signal.arithmetic.iter().all(Term::holds));
            let value = |name: &str| signal.arithmetic.iter().find(|term| term.name == name).unwrap().value;
            prop_assert_eq!(value("rate"), value("opens for reading") / value("window"));
            let (newer, newer_s) = (value("of them in the newer half"), value("newer half"));
            prop_assert_eq!(value("rate of the newer half"), newer / newer_s);
            let older = (value("opens for reading") - newer) / (value("window") - newer_s);
            prop_assert_eq!(value("rate of the older half"), older);
            prop_assert_eq!(signal.confidence, value("share of the seen on them"));
        }
    }
}
