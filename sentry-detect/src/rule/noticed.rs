//! Acts of one sort that are to be known: how many there were, and the first since the last
//! reading, which a finding shows.
//!
//! Memory: a text of at most twice `LONGEST` bytes and an id until the next reading.

use super::contract::{Seen, Shown, Verdict, cut};
use crate::runaway::{RuleId, RunawaySignal, Severity, Term};

/// Longest name kept of a program, and of what it did something to, bytes.
pub(super) const LONGEST: usize = 256;
/// Longest id kept, bytes: one that was cut would name nothing.
const LONGEST_ID: usize = 64;

/// What is known of one sort of acts.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// In the life of the run.
    acts: u64,
    first: Option<Box<First>>,
}

#[derive(Debug)]
struct First {
    event: String,
    time_unix_ns: u64,
    summary: String,
    weight: Weight,
}

/// How a sort of acts is weighed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    pub(super) severity: Severity,
    /// That it matters.
    pub(super) confidence: f64,
    pub(super) tags: &'static [&'static str],
}

impl Noticed {
    /// Takes an act. It is only put into words where a finding would show it.
    pub(super) fn add(&mut self, seen: &Seen<'_>, weight: Weight, summary: impl FnOnce() -> String) {
        self.acts += 1;
        if self.first.is_none() {
            let (event, time_unix_ns) = (id_of(seen), seen.event.time_unix_ns);
            self.first = Some(Box::new(First { event, time_unix_ns, summary: summary(), weight }));
        }
    }

    /// A finding, where there was an act since the last reading; `counted` says what of.
    pub(super) fn verdict(&self, rule: RuleId, counted: &str) -> Option<Verdict> {
        let First { event, time_unix_ns, summary, weight } = self.first.as_deref()?;
        let signal = RunawaySignal {
            rule,
            confidence: weight.confidence,
            severity: weight.severity,
            summary: summary.clone(),
            arithmetic: vec![
                Term::limited(counted, self.acts as f64, "", 1.0),
                Term::given("confidence", weight.confidence, ""),
            ],
        };
        let shown = Shown::One(event.clone());
        Some(Verdict { signal, since_unix_ns: *time_unix_ns, shown, tags: weight.tags })
    }

    pub(super) fn judged(&mut self) {
        self.first = None;
    }
}

/// `PROGRAM VERB PATH`, as summaries begin.
pub(super) fn said(seen: &Seen<'_>, verb: &str, path: &str) -> String {
    format!("{} {verb} {}", seen.by(LONGEST), cut(path, LONGEST))
}

/// The id of an event, or nothing where it is too long.
pub(super) fn id_of(seen: &Seen<'_>) -> String {
    let id = &seen.event.id;
    if id.len() <= LONGEST_ID { id.clone() } else { String::new() }
}
