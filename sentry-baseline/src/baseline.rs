//! What is normal for one agent, and what one run may change about that.
//!
//! **Learning.** A run hands over its closed windows and what it used by name. A bound is the
//! median and three spreads; the spread is the median absolute deviation, but never less than half
//! of the 99th percentile, so that an agent that mostly waits may work, and never less than a
//! floor.
//!
//! **Poisoning.** Of a run that begins when the agent is known, no window counts for more than a
//! quarter beyond the bound that held then, and no bound grows by more than a quarter of itself
//! ([`RUN_SHARE`]); of its windows a quarter of those known count, but at least [`LEAST_WINDOWS`].
//! A run that lives for longer than a day begins again in this sense. So a slow ramp needs a run
//! for each quarter, and each of them is seen.
//!
//! **Merging.** Two baselines of one agent add up, in any order and grouping, to the same one. No
//! program does that yet.

use crate::{
    distribution::{Distribution, MOST},
    kind::Kind,
    observed::Part,
    rate::{Counts, Rate},
    standing::Standing,
    things::Things,
    transitions::Transitions,
    windows::Closed,
};

/// By how much of itself one run can move a bound.
pub const RUN_SHARE: f64 = 0.25;
/// Windows of one run that count at least.
const LEAST_WINDOWS: u64 = 64;
/// Windows that make an agent known without regard to how many runs they are of, in multiples of
/// those that it takes with enough runs.
const ALONE: u64 = 20;
/// After this long, a run begins again.
const DAY_NS: u64 = 24 * 3_600_000_000_000;

/// When an agent is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub min_runs: u64,
    pub min_windows: u64,
}

/// The executable that an agent's runs begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub path: String,
    /// What distinguishes its content from earlier ones; empty where that is not known.
    pub mark: String,
}

/// What is normal for one agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub agent: String,
    pub version: Version,
    /// How often another version came, and when the newest did.
    pub retrainings: u32,
    pub trained_since_unix_ns: u64,
    /// Runs that have ended, and windows, since then.
    pub runs: u64,
    pub windows: u64,
    /// Windows beyond what one run may add.
    pub left_out: u64,
    pub(crate) rates: [Distribution; Rate::ALL.len()],
    /// What the bounds may be at most; 0 while the agent is not known.
    pub(crate) caps: Counts,
    pub(crate) things: [Things; Kind::ALL.len()],
    pub(crate) transitions: Transitions,
    pub standing: Standing,
}

/// What one run may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Values and bounds beyond these do not count; `None` where the agent was not known.
    limits: Option<Counts>,
    windows: u64,
    began_unix_ns: u64,
}

/// What is normal for a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    pub mean: f64,
    pub variance: f64,
    pub median: f64,
    pub p99: f64,
    pub spread: f64,
    /// The median and two, or three, spreads.
    pub unusual: f64,
    pub bound: f64,
    /// The bound would be more, but for what one run may change.
    pub is_held: bool,
}

impl Baseline {
    #[must_use]
    pub fn new(agent: &str, now_unix_ns: u64) -> Self {
        Self {
            agent: agent.to_owned(),
            version: Version::default(),
            retrainings: 0,
            trained_since_unix_ns: now_unix_ns,
            runs: 0,
            windows: 0,
            left_out: 0,
            rates: std::array::from_fn(|_| Distribution::new()),
            caps: Counts::default(),
            things: Default::default(),
            transitions: Transitions::default(),
            standing: Standing::default(),
        }
    }

    /// Whether there is enough of it to hold a window against.
    #[must_use]
    pub fn is_known(&self, bounds: &Bounds) -> bool {
        let by_runs = self.runs >= bounds.min_runs && self.windows >= bounds.min_windows;
        by_runs || self.windows >= bounds.min_windows.saturating_mul(ALONE)
    }

    /// A run begins with this executable. Another content of the same path is a new version: rates
    /// and orders are learned anew, and that is marked. True then.
    pub fn begins(&mut self, version: Version, now_unix_ns: u64) -> bool {
        if version.mark.is_empty() || version == self.version {
            return false;
        }
        let is_new = version.path == self.version.path && !self.version.mark.is_empty();
        self.version = version;
        if is_new {
            self.retrainings = self.retrainings.saturating_add(1);
            self.forget_rates(now_unix_ns);
        }
        is_new
    }

    fn forget_rates(&mut self, now_unix_ns: u64) {
        self.trained_since_unix_ns = now_unix_ns;
        (self.runs, self.windows, self.left_out) = (0, 0, 0);
        self.rates = std::array::from_fn(|_| Distribution::new());
        self.caps = Counts::default();
        self.transitions = Transitions::default();
    }

    /// What a run that begins now may change.
    #[must_use]
    pub fn share(&self, bounds: &Bounds, now_unix_ns: u64) -> Share {
        let known = self.is_known(bounds);
        Share {
            limits: known.then(|| Rate::ALL.map(|rate| grown(self.normal(rate).bound))),
            windows: if known { (self.windows / 4).max(LEAST_WINDOWS) } else { u64::MAX },
            began_unix_ns: now_unix_ns,
        }
    }

    /// Takes what a run did up to now.
    pub fn absorb(
        &mut self,
        part: &Part,
        closed: Option<&Closed>,
        share: &mut Share,
        bounds: &Bounds,
        now_unix_ns: u64,
    ) {
        let becomes_known = share.limits.is_none() && self.is_known(bounds);
        if becomes_known || now_unix_ns.saturating_sub(share.began_unix_ns) >= DAY_NS {
            *share = self.share(bounds, now_unix_ns);
        }
        if let Some(closed) = closed {
            self.windows_of(closed, share, bounds);
        }
        for (things, (used, evicted)) in self.things.iter_mut().zip(part.used.iter().zip(part.evicted)) {
            for (name, how) in used {
                things.used(name.clone(), *how);
            }
            things.evicted = things.evicted.saturating_add(evicted);
        }
        for (pair, times) in &part.followed {
            self.transitions.followed(*pair, *times);
        }
        self.trim();
    }

    fn windows_of(&mut self, closed: &Closed, share: &mut Share, bounds: &Bounds) {
        let counts = u64::from(closed.windows).min(share.windows);
        share.windows -= counts;
        self.left_out = self.left_out.saturating_add(u64::from(closed.windows) - counts);
        self.windows = self.windows.saturating_add(counts);
        for (index, rate) in self.rates.iter_mut().enumerate() {
            let limit = share.limits.map_or(MOST, |limits| limits[index]);
            (0..counts).for_each(|_| rate.record(closed.counts[index].min(limit)));
        }
        if self.is_known(bounds) {
            for rate in Rate::ALL {
                let limit = share.limits.map_or(u64::MAX, |limits| limits[rate as usize]);
                let learned = self.learned(rate).bound.ceil() as u64;
                let cap = &mut self.caps[rate as usize];
                // Another run may have raised it meanwhile, within its own limits.
                *cap = learned.min(limit.max(*cap));
            }
        }
    }

    /// A run has ended. `new`: whether it used something of each kind that the agent had not, when
    /// it was known already.
    pub fn run_ended(&mut self, new: Option<[bool; Kind::ALL.len()]>) {
        self.runs = self.runs.saturating_add(1);
        for (things, new) in self.things.iter_mut().zip(new.into_iter().flatten()) {
            things.runs = things.runs.saturating_add(1);
            things.runs_with_new = things.runs_with_new.saturating_add(new.into());
        }
    }

    /// What is normal for a rate, within what runs may have made of it.
    #[must_use]
    pub fn normal(&self, rate: Rate) -> Normal {
        let learned = self.learned(rate);
        let cap = match self.caps[rate as usize] {
            0 => f64::INFINITY,
            cap => cap as f64,
        };
        let bound = learned.bound.min(cap);
        // Two thirds of the way there.
        let unusual = learned.median + (bound - learned.median).max(0.0) * 2.0 / 3.0;
        Normal { unusual, bound, is_held: bound < learned.bound, ..learned }
    }

    fn learned(&self, rate: Rate) -> Normal {
        let seen = &self.rates[rate as usize];
        let (median, p99) = (seen.quantile(0.5) as f64, seen.quantile(0.99) as f64);
        let spread = seen.robust_spread().max(p99 / 2.0).max(rate.floor() as f64);
        Normal {
            mean: seen.mean(),
            variance: seen.variance(),
            median,
            p99,
            spread,
            unusual: median + 2.0 * spread,
            bound: median + 3.0 * spread,
            is_held: false,
        }
    }

    /// Whether this agent has used it, as far as is remembered.
    #[must_use]
    pub fn knows(&self, kind: Kind, name: &str) -> bool {
        self.things[kind as usize].knows(name)
    }

    /// How much of what a run used the agent has not used, of each kind. Asked before
    /// [`Self::absorb`].
    #[must_use]
    pub fn new_of(&self, part: &Part) -> [u64; Kind::ALL.len()] {
        Kind::ALL.map(|kind| part.used(kind).filter(|(name, _)| !self.knows(kind, name)).count() as u64)
    }

    /// Names of a kind that are remembered, and how many had to go.
    #[must_use]
    pub fn remembered(&self, kind: Kind) -> (u64, u64) {
        let things = &self.things[kind as usize];
        (things.used.len() as u64, things.evicted)
    }

    /// How often a run of this agent uses something new of a kind, 0 to 1.
    #[must_use]
    pub fn novelty(&self, kind: Kind) -> f64 {
        self.things[kind as usize].novelty()
    }

    /// Bits per step in the order of its programs.
    #[must_use]
    pub fn entropy(&self) -> f64 {
        self.transitions.entropy()
    }

    /// Adds what was learned elsewhere about the same agent. Rates are those of the one that was
    /// trained anew more often; where both were as often, they add up.
    ///
    /// The sum has no bound of its own before [`Self::trim`]: a bound that is kept at each step
    /// would make it depend on their order.
    pub fn merge(&mut self, other: &Self) {
        use std::cmp::Ordering;
        if self.agent.is_empty() || (!other.agent.is_empty() && other.agent < self.agent) {
            self.agent.clone_from(&other.agent);
        }
        match self.retrainings.cmp(&other.retrainings) {
            Ordering::Less => self.rates_of(other),
            Ordering::Greater => {}
            Ordering::Equal => self.add_rates(other),
        }
        for (things, more) in self.things.iter_mut().zip(&other.things) {
            things.add(more);
        }
        self.standing.add(&other.standing);
    }

    fn rates_of(&mut self, other: &Self) {
        self.version = other.version.clone();
        self.retrainings = other.retrainings;
        self.trained_since_unix_ns = other.trained_since_unix_ns;
        (self.runs, self.windows, self.left_out) = (other.runs, other.windows, other.left_out);
        self.rates = other.rates.clone();
        self.caps = other.caps;
        self.transitions = other.transitions.clone();
    }

    fn add_rates(&mut self, other: &Self) {
        if other.version > self.version {
            self.version = other.version.clone();
        }
        self.trained_since_unix_ns = self.trained_since_unix_ns.min(other.trained_since_unix_ns);
        self.runs = self.runs.saturating_add(other.runs);
        self.windows = self.windows.saturating_add(other.windows);
        self.left_out = self.left_out.saturating_add(other.left_out);
        for (rate, more) in self.rates.iter_mut().zip(&other.rates) {
            rate.add(more);
        }
        for (cap, more) in self.caps.iter_mut().zip(other.caps) {
            *cap = more.max(*cap);
        }
        self.transitions.add(&other.transitions);
    }

    /// Lets go what is beyond the bounds: the names used longest ago, the rarest orders, the oldest
    /// runs and hours.
    pub fn trim(&mut self) {
        self.things.iter_mut().for_each(Things::trim);
        self.transitions.trim();
        self.standing.trim();
    }
}

/// A bound with what one run may add.
fn grown(bound: f64) -> u64 {
    (bound * (1.0 + RUN_SHARE)).floor() as u64
}
