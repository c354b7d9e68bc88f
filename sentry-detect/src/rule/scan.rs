//! `scan`: connections are tried to many addresses, or to many ports of few, and most do not come
//! to be.
//!
//! Two subjects, *addresses* and *ports*, each a finding of its own. Counted are different
//! addresses, and different pairs of address and port, of the TCP connections seen within the
//! horizon; both roughly, in fixed memory (0.8 KiB). A crawler or an installer meets many
//! addresses, and these answer; a service that is looked for on a few ports is below the limit.
//!
//! It never leads to an act: people have agents check their networks. Limits: a scan slower than
//! the limit per horizon, one by UDP, and one of services that all answer are none; where outcomes
//! are not reported it never holds.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::{
        attempts::{Attempts, Tried},
        distinct::Distinct,
        slices::COUNT,
    },
    event::Endpoint,
    evidence::Show,
    fingerprint::Fingerprint,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const SCAN: RuleId = RuleId::new("scan");
/// Network Service Discovery; Remote System Discovery.
const PORTS: &[&str] = &["attack:T1046", "owasp-asi:ASI02"];
const ADDRESSES: &[&str] = &["attack:T1018", "attack:T1046", "owasp-asi:ASI02"];

/// Ports per address from which it is ports that are looked for.
const PORTS_PER_ADDRESS: f64 = 16.0;

limits! {
    /// When connections are a scan.
    Limits, "scan_" {
        /// `scan`: destinations are counted over this time
        horizon_ms: u64 = 10_000 in 1_000.0..=60_000.0;
        /// so many different addresses, or ports of few addresses
        destinations: u64 = 64 in 8.0..=500.0;
        /// and this share of the connections refused or without an answer
        unanswered_share: f64 = 0.5 in 0.1..=1.0;
    }
}

pub(crate) struct Scan {
    attempts: Attempts,
    /// By slice.
    addresses: [Distinct; COUNT],
    places: [Distinct; COUNT],
    horizon_ns: u64,
    now_unix_ns: u64,
}

impl Rule for Scan {
    type Limits = Limits;
    const ABOUT: About = About {
        id: SCAN,
        when: "many addresses, or many ports of few addresses, are tried, and most refuse or do not answer",
        severity: "medium; never leads to an act",
        urgency: Urgency::Known,
    };
    /// Addresses, ports.
    const SUBJECTS: usize = 2;
    /// One scan is one finding.
    const FOLDS: bool = true;

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        let horizon_ns = ns(limits.horizon_ms);
        Self {
            attempts: Attempts::new(horizon_ns, now_unix_ns),
            addresses: [Distinct::default(); COUNT],
            places: [Distinct::default(); COUNT],
            horizon_ns,
            now_unix_ns,
        }
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.horizon_ms != limits.horizon_ms {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        if let Some((position, Endpoint { address, port, .. })) = self.attempts.event(&seen.event.kind) {
            let bits = match address.to_canonical() {
                std::net::IpAddr::V4(address) => u128::from(address.to_bits()),
                std::net::IpAddr::V6(address) => address.to_bits(),
            };
            let address = Fingerprint::seeded(seen.seed).number(bits as u64).number((bits >> 64) as u64);
            self.addresses[position].add(address.finish());
            self.places[position].add(address.number(u64::from(*port)).finish());
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.now_unix_ns = now_unix_ns;
        for position in self.attempts.advance(now_unix_ns) {
            self.addresses[position] = Distinct::default();
            self.places[position] = Distinct::default();
        }
    }

    fn judge(&mut self, subject: usize, _past: &Past, limits: &Limits) -> Option<Verdict> {
        let tried = self.attempts.sum()?;
        // Most readings end here, before anything is joined.
        if tried.tried < limits.destinations || tried.unanswered() < limits.unanswered_share {
            return None;
        }
        let count = |all: &[Distinct; COUNT]| {
            let mut sum = Distinct::default();
            all.iter().for_each(|slice| sum.join(slice));
            sum.count()
        };
        let facts = Facts { tried, addresses: count(&self.addresses), places: count(&self.places) };
        let (signal, tags) = match subject {
            0 => (of_addresses(&facts, limits)?, ADDRESSES),
            _ => (of_ports(&facts, limits)?, PORTS),
        };
        let since_unix_ns = self.now_unix_ns.saturating_sub(self.horizon_ns);
        Some(Verdict { signal, since_unix_ns, shown: Shown::Newest(Show::All), tags })
    }

    fn clear(&mut self) {
        self.attempts.clear();
        self.addresses = [Distinct::default(); COUNT];
        self.places = [Distinct::default(); COUNT];
    }
}

/// What a scan is judged by, within the horizon.
#[derive(Clone, Copy, Debug)]
struct Facts {
    tried: Tried,
    /// Different addresses, and different pairs of address and port.
    addresses: f64,
    places: f64,
}

fn of_addresses(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let terms = vec![Term::limited("different addresses", facts.addresses, "", limits.destinations as f64)];
    signal(facts, limits, terms, format!("{} different addresses", facts.addresses))
}

fn of_ports(facts: &Facts, limits: &Limits) -> Option<RunawaySignal> {
    let Facts { addresses, places, .. } = *facts;
    let terms = vec![
        Term::given("different addresses", addresses, ""),
        Term::limited("different ports of them", places, "", limits.destinations as f64),
        Term::limited("ports per address", places / addresses.max(1.0), "", PORTS_PER_ADDRESS),
    ];
    signal(facts, limits, terms, format!("{places} different ports of {addresses} addresses"))
}

fn signal(facts: &Facts, limits: &Limits, mut terms: Vec<Term>, what: String) -> Option<RunawaySignal> {
    let Facts { tried, .. } = facts;
    let share = tried.unanswered();
    terms.extend([
        Term::given("horizon", limits.horizon_ms as f64 / 1e3, "s"),
        Term::given("TCP connections seen", tried.tried as f64, ""),
        Term::given("of them succeeded", tried.succeeded as f64, ""),
        Term::given("of them refused", tried.refused as f64, ""),
        Term::limited("share refused or without an answer", share, "ratio", limits.unanswered_share),
        Term::given("confidence", share, ""),
    ]);
    let summary = format!(
        "Within {:.0} s connections were tried to about {what} (limit {}), and {:.0} % were refused or not \
        answered (limit {:.0} %).",
        limits.horizon_ms as f64 / 1e3,
        limits.destinations,
        share * 100.0,
        limits.unanswered_share * 100.0,
    );
    let (rule, confidence, severity) = (SCAN, share, Severity::Medium);
    RunawaySignal { rule, confidence, severity, summary, arithmetic: terms }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn facts(addresses: f64, places: f64, succeeded: u64) -> Facts {
        Facts { tried: Tried { tried: 100, succeeded, refused: 10 }, addresses, places }
    }

    #[test]
    fn many_addresses_that_do_not_answer_are_a_scan() {
        let of =
            |addresses, succeeded| of_addresses(&facts(addresses, addresses, succeeded), &Limits::default());
        assert_eq!(of(64.0, 0).unwrap().confidence, 1.0);
        assert_eq!((of(63.0, 0), of(64.0, 51)), (None, None));
        assert_eq!(
            of(90.0, 50).unwrap().summary,
            "Within 10 s connections were tried to about 90 different addresses (limit 64), and 50 % were refused \
            or not answered (limit 50 %).",
        );
    }

    #[test]
    fn many_ports_are_a_scan_where_they_are_of_few_addresses() {
        let of = |addresses, places| of_ports(&facts(addresses, places, 0), &Limits::default()).is_some();
        assert!(of(1.0, 64.0) && of(6.0, 96.0));
        assert!(!of(1.0, 63.0) && !of(8.0, 96.0));
    }
}
