//! What the trust in an agent rests on, counted: how its newest runs stood in the system, how far
//! their windows departed, and what was found in them.
//!
//! Nothing here fades by the clock: the newest [`RUNS`] runs count, and the newest [`HOURS`] hours
//! in which the agent did something. So an agent that is silent keeps what it has earned, and no
//! more.

use std::collections::BTreeMap;

use crate::trust::Facts;

/// Runs that count.
pub(crate) const RUNS: usize = 16;
/// Hours with activity that count.
pub(crate) const HOURS: usize = 24;
const HOUR_NS: u64 = 3_600_000_000_000;

/// Declares what is looked at: how it is called, what it costs of a hundred, and in words.
macro_rules! posture {
    ($($(#[$about:meta])* $fact:ident: $name:literal, costs $cost:literal, $words:literal;)+) => {
        /// Something about how a run stood in the system that makes its agent more dangerous.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Posture {
            $($(#[$about])* $fact,)+
        }

        impl Posture {
            pub const ALL: [Self; [$(Self::$fact),+].len()] = [$(Self::$fact),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$fact => $name,)+
                }
            }

            /// Of the hundred points of a posture without fault.
            #[must_use]
            pub fn costs(self) -> u32 {
                match self {
                    $(Self::$fact => $cost,)+
                }
            }

            /// For a person.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$fact => $words,)+
                }
            }
        }
    };
}

posture! {
    Root: "root", costs 25, "executed programs as root";
    NoMemoryLimit: "no-memory-limit", costs 10, "had no memory limit";
    NoProcessLimit: "no-process-limit", costs 10, "had no limit on processes";
    Listens: "listens", costs 10, "listened for other hosts";
    SecretRead: "secret-read", costs 15, "opened files with keys, credentials or tokens";
    MetadataService: "metadata-service", costs 15, "connected to a cloud's metadata service";
    LeftControl: "left-control", costs 25, "reached a service that acts for it outside of its run";
}

/// What the posture does not look at yet.
pub const NOT_LOOKED_AT: &[&str] = &[
    "capabilities of processes that are not root's",
    "namespaces",
    "places that it may write to",
    "credentials in its environment",
    "MCP servers and tools that it has been given",
    "limits on CPU time",
];

/// Facts about one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunFacts(pub(crate) u32);

/// How bad a finding was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingSort {
    Low,
    Medium,
    High,
}

pub const FINDING_SORTS: usize = 3;

/// One hour of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hour {
    /// Windows in which it did something.
    pub(crate) windows: u64,
    /// Of their deviations, in thousandths.
    pub(crate) deviation_milli: u64,
    pub(crate) findings: [u64; FINDING_SORTS],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By start and a digest of the id.
    pub(crate) runs: BTreeMap<(u64, u64), RunFacts>,
    /// By hours since 1970.
    pub(crate) hours: BTreeMap<u64, Hour>,
    pub(crate) active_unix_ns: u64,
}

impl RunFacts {
    pub fn note(&mut self, fact: Posture) {
        self.0 |= 1 << fact as u32;
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn has(self, fact: Posture) -> bool {
        self.0 & (1 << fact as u32) != 0
    }
}

impl Standing {
    /// How a run stands.
    pub fn run(&mut self, started_unix_ns: u64, id: &str, facts: RunFacts) {
        let id = twox_hash::XxHash3_64::oneshot(id.as_bytes());
        let known = self.runs.entry((started_unix_ns, id)).or_default();
        *known = known.and(facts);
    }

    /// A window in which it did something, and how far that departed, 0 to 1.
    pub fn window(&mut self, ended_unix_ns: u64, deviation: f64) {
        let hour = self.hours.entry(ended_unix_ns / HOUR_NS).or_default();
        hour.windows = hour.windows.saturating_add(1);
        // Between 0 and 1000.
        hour.deviation_milli =
            hour.deviation_milli.saturating_add((deviation.clamp(0.0, 1.0) * 1e3).round() as u64);
        self.active_unix_ns = self.active_unix_ns.max(ended_unix_ns);
    }

    pub fn finding(&mut self, time_unix_ns: u64, sort: FindingSort) {
        let found = &mut self.hours.entry(time_unix_ns / HOUR_NS).or_default().findings[sort as usize];
        *found = found.saturating_add(1);
    }

    /// Without a bound: [`Self::trim`] has one.
    pub(crate) fn add(&mut self, other: &Self) {
        for (run, facts) in &other.runs {
            let known = self.runs.entry(*run).or_default();
            *known = known.and(*facts);
        }
        for (hour, more) in &other.hours {
            let known = self.hours.entry(*hour).or_default();
            known.windows = known.windows.saturating_add(more.windows);
            known.deviation_milli = known.deviation_milli.saturating_add(more.deviation_milli);
            for (known, more) in known.findings.iter_mut().zip(more.findings) {
                *known = known.saturating_add(more);
            }
        }
        self.active_unix_ns = self.active_unix_ns.max(other.active_unix_ns);
    }

    /// The newest stay.
    pub(crate) fn trim(&mut self) {
        while self.runs.len() > RUNS {
            self.runs.pop_first();
        }
        while self.hours.len() > HOURS {
            self.hours.pop_first();
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn facts(&self, now_unix_ns: u64) -> Facts {
        let mut facts = Facts {
            runs: self.runs.len() as u64,
            is_recent: self.active_unix_ns > 0 && now_unix_ns.saturating_sub(self.active_unix_ns) < HOUR_NS,
            ..Facts::default()
        };
        for run in self.runs.values() {
            for fact in Posture::ALL.into_iter().filter(|fact| run.has(*fact)) {
                facts.posture[fact as usize] += 1;
            }
        }
        for hour in self.hours.values() {
            facts.windows = facts.windows.saturating_add(hour.windows);
            facts.deviation_milli = facts.deviation_milli.saturating_add(hour.deviation_milli);
            for (sum, found) in facts.findings.iter_mut().zip(hour.findings) {
                *sum = sum.saturating_add(found);
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_runs_and_hours_count() {
        let mut standing = Standing::default();
        let mut root = RunFacts::default();
        root.note(Posture::Root);
        standing.run(0, "old", root);
        standing.window(1, 0.9);
        for n in 1..=RUNS as u64 {
            standing.run(n, "new", RunFacts::default());
        }
        for n in 1..=HOURS as u64 {
            standing.window(n * HOUR_NS, 0.5);
            standing.finding(n * HOUR_NS, FindingSort::Medium);
        }
        standing.trim();
        let facts = standing.facts(HOURS as u64 * HOUR_NS + 1);
        let hours = HOURS as u64;
        assert_eq!(
            facts,
            Facts {
                runs: RUNS as u64,
                windows: hours,
                deviation_milli: 500 * hours,
                findings: [0, hours, 0],
                is_recent: true,
                ..Facts::default()
            }
        );
        assert!(!standing.facts(u64::MAX).is_recent);
    }
}
