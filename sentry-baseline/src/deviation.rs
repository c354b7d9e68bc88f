//! How far a window departs from what is normal for its agent, with the arithmetic.
//!
//! | score | where |
//! |---|---|
//! | 0.9 | the agent uses something for the first time; less for one whose runs often do |
//! | 0.8 | a rate is beyond the median and three spreads |
//! | 0.7 | there is no baseline yet |
//! | 0.5 | a rate is beyond the median and two spreads |
//! | 0.5 | the order of its programs is worth two bits a step more than usual |
//! | 0 | else |

use crate::{
    baseline::{Baseline, Bounds},
    drift::{Drift, FAR as DRIFT_FAR, SLACK},
    kind::Kind,
    observed::Part,
    rate::{Counts, Rate},
};

/// A window of an agent that is not known yet.
pub const NO_BASELINE: f64 = 0.7;
const FIRST_USE: f64 = 0.9;
const FAR: f64 = 0.8;
const UNUSUAL: f64 = 0.5;
/// Bits per step that an order has to be worth more than usual.
const MORE_BITS: f64 = 2.0;
/// What the arithmetic of a drift calls the windows since it began.
pub const WINDOWS_ADDED_UP: &str = "windows that add up";
/// Steps that say something about an order.
const STEPS: u64 = 8;

/// What a run did in one window.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    pub counts: &'a Counts,
    /// What the agent had not used before, of each kind.
    pub new: [u64; Kind::ALL.len()],
    /// `None`: its order is not looked at.
    pub part: Option<&'a Part>,
}

/// What departs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    Rate(Rate),
    New(Kind),
    Order,
    /// Executions, over many windows.
    Drift,
}

/// A number of the arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub name: String,
    pub value: f64,
    /// Empty for a count.
    pub unit: &'static str,
    /// What it had to reach, if anything.
    pub limit: Option<f64>,
}

/// One thing that departs.
#[derive(Clone, Debug, PartialEq)]
pub struct Departure {
    pub cause: Cause,
    /// 0 to 1.
    pub score: f64,
    pub terms: Vec<Term>,
}

/// How far a window departs.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation {
    /// 0 to 1: that of what departs furthest.
    pub score: f64,
    /// There is a baseline that it was held against.
    pub is_known: bool,
    pub departures: Vec<Departure>,
}

impl Cause {
    /// What the arithmetic calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate(rate) => rate.name(),
            Self::New(kind) => kind.name(),
            Self::Order => "order of programs",
            Self::Drift => "drift of execs",
        }
    }
}

impl Departure {
    /// Far enough for a finding.
    #[must_use]
    pub fn is_far(&self) -> bool {
        match self.cause {
            Cause::Rate(_) => self.score >= FAR,
            // Of an agent whose runs hardly ever do.
            Cause::New(_) => self.score >= NO_BASELINE,
            Cause::Drift => true,
            Cause::Order => false,
        }
    }
}

impl Baseline {
    /// Holds a window, which is not part of the baseline yet, against it.
    #[must_use]
    pub fn deviation(&self, window: &Window<'_>, bounds: &Bounds) -> Deviation {
        let is_known = self.is_known(bounds);
        let mut departures = Vec::new();
        for (kind, new) in Kind::ALL.into_iter().zip(window.new) {
            departures.extend((new > 0).then(|| self.first_use(kind, new, is_known)));
        }
        if is_known {
            departures.extend(Rate::ALL.into_iter().filter_map(|rate| self.rate(rate, window.counts)));
            departures.extend(window.part.and_then(|part| self.order(part)));
        }
        let least = if is_known { 0.0 } else { NO_BASELINE };
        let score = departures.iter().map(|departure| departure.score).fold(least, f64::max);
        Deviation { score, is_known, departures }
    }

    fn first_use(&self, kind: Kind, new: u64, is_known: bool) -> Departure {
        let novelty = if is_known { self.novelty(kind) } else { 0.0 };
        let (remembered, evicted) = self.remembered(kind);
        let terms = vec![
            given(format!("remembered of this kind: {}", kind.name()), remembered as f64, ""),
            given("forgotten of this kind for lack of room".to_owned(), evicted as f64, ""),
            given("share of runs that use something new of this kind".to_owned(), novelty, "ratio"),
            given("windows learned".to_owned(), self.windows as f64, ""),
            given("runs learned".to_owned(), self.runs as f64, ""),
            limited("used for the first time".to_owned(), new as f64, "", 1.0),
        ];
        Departure { cause: Cause::New(kind), score: FIRST_USE * (1.0 - novelty), terms }
    }

    fn rate(&self, rate: Rate, counts: &Counts) -> Option<Departure> {
        let (value, normal) = (counts[rate as usize] as f64, self.normal(rate));
        let (score, spreads, limit) = match value {
            value if value >= normal.bound => (FAR, 3.0, normal.bound),
            value if value >= normal.unusual => (UNUSUAL, 2.0, normal.unusual),
            _ => return None,
        };
        let name = rate.name();
        let mut terms = vec![
            given("windows learned".to_owned(), self.windows as f64, ""),
            given("runs learned".to_owned(), self.runs as f64, ""),
            given(format!("{name} in a window, mean"), normal.mean, ""),
            given(format!("{name} in a window, median"), normal.median, ""),
            given(format!("{name} in a window, 99th percentile"), normal.p99, ""),
            given("spread".to_owned(), normal.spread, ""),
            given("spreads beyond the median that are allowed".to_owned(), spreads, ""),
        ];
        if normal.is_held {
            terms.push(given("as far as runs may have moved it".to_owned(), normal.bound, ""));
        }
        terms.push(limited(format!("{name} in this window"), value, "", limit));
        Some(Departure { cause: Cause::Rate(rate), score, terms })
    }

    /// How far executions in a window are from the median, in spreads; for [`Drift`].
    #[must_use]
    pub fn distance(&self, counts: &Counts) -> f64 {
        let normal = self.normal(Rate::Execs);
        (counts[Rate::Execs as usize] as f64 - normal.median) / normal.spread
    }

    /// Whether a run has drifted.
    #[must_use]
    pub fn drifted(&self, drift: &Drift) -> Option<Departure> {
        let normal = self.normal(Rate::Execs);
        let terms = vec![
            given("windows learned".to_owned(), self.windows as f64, ""),
            given("runs learned".to_owned(), self.runs as f64, ""),
            given("execs in a window, median".to_owned(), normal.median, ""),
            given("spread".to_owned(), normal.spread, ""),
            given("spreads of each window that do not count".to_owned(), SLACK, ""),
            given(WINDOWS_ADDED_UP.to_owned(), drift.since() as f64, ""),
            limited("spreads beyond the median, added up".to_owned(), drift.sum(), "", DRIFT_FAR),
        ];
        (drift.sum() >= DRIFT_FAR).then_some(Departure { cause: Cause::Drift, score: UNUSUAL, terms })
    }

    fn order(&self, part: &Part) -> Option<Departure> {
        let steps: u64 = part.followed.iter().map(|(_, times)| times).sum();
        if steps < STEPS {
            return None;
        }
        let usual = self.entropy();
        let bits = self.transitions.surprise(part.followed.iter().copied());
        let limit = usual + MORE_BITS;
        let terms = vec![
            given("steps from program to program".to_owned(), steps as f64, ""),
            given("pairs forgotten for lack of room".to_owned(), part.pairs_evicted as f64, ""),
            given("usual surprise of a step".to_owned(), usual, "bit"),
            limited("surprise of a step".to_owned(), bits, "bit", limit),
        ];
        (bits >= limit).then_some(Departure { cause: Cause::Order, score: UNUSUAL, terms })
    }
}

fn given(name: String, value: f64, unit: &'static str) -> Term {
    Term { name, value, unit, limit: None }
}

fn limited(name: String, value: f64, unit: &'static str, limit: f64) -> Term {
    Term { limit: Some(limit), ..given(name, value, unit) }
}
