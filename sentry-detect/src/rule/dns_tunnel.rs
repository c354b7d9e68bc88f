//! `dns-tunnel`: one domain is asked for many names that are long and look random: data goes out in
//! them.
//!
//! Of each domain (`DOMAINS` at once; beyond it the one asked least leaves) it counts, from its
//! first question on and for the horizon: different names, and the mean length and entropy of what
//! stands before the domain. Networks for content have long random names too, but few of a domain;
//! what is resolved backwards (`.arpa`) does not count. Memory is fixed: about 1.5 KiB.
//!
//! The domain is the last two labels, or three below a short one such as `co.uk`. It never leads to
//! an act: how sure it is depends on what the names mean. Limits: questions over TLS or HTTPS are
//! not seen; a tunnel slower than the limit per horizon is none.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    aggregate::distinct::Distinct,
    event::EventKind,
    evidence::Show,
    fingerprint::Fingerprint,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const DNS_TUNNEL: RuleId = RuleId::new("dns-tunnel");
/// Application Layer Protocol: DNS; Exfiltration Over Alternative Protocol.
const TAGS: &[&str] = &["attack:T1071.004", "attack:T1048", "owasp-asi:ASI02"];

/// Domains kept.
const DOMAINS: usize = 8;
/// Longest text kept of a domain, bytes.
const LONGEST: usize = 64;
const CONFIDENCE: f64 = 0.7;

limits! {
    /// When questions are a tunnel.
    Limits, "dns_tunnel_" {
        /// `dns-tunnel`: names of a domain are counted over this time
        horizon_ms: u64 = 60_000 in 1_000.0..=600_000.0;
        /// so many different ones
        names: u64 = 50 in 8.0..=500.0;
        /// with so many characters before the domain, on average
        name_length: f64 = 30.0 in 8.0..=250.0;
        /// and an entropy of so many bits per character, on average
        entropy_bit: f64 = 3.0 in 0.5..=8.0;
    }
}

pub(crate) struct DnsTunnel {
    domains: Vec<Domain>,
    horizon_ns: u64,
    now_unix_ns: u64,
}

/// What one domain was asked.
#[derive(Debug)]
struct Domain {
    domain: u64,
    text: String,
    first_unix_ns: u64,
    names: Distinct,
    questions: u64,
    characters: u64,
    /// Sum of the entropies, in thousandths of a bit per character.
    entropy_mbit: u64,
}

impl Rule for DnsTunnel {
    type Limits = Limits;
    const ABOUT: About = About {
        id: DNS_TUNNEL,
        when: "a domain is asked for many long names that look random, as when data goes out in them",
        severity: "medium; never leads to an act",
        urgency: Urgency::Known,
    };
    /// One tunnel is one finding.
    const FOLDS: bool = true;

    fn new(limits: &Limits, now_unix_ns: u64) -> Self {
        Self { domains: Vec::with_capacity(DOMAINS), horizon_ns: ns(limits.horizon_ms), now_unix_ns }
    }

    fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
        if before.horizon_ms != limits.horizon_ms {
            *self = Self::new(limits, now_unix_ns);
        }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        if let EventKind::Dns { answer: false, name, .. } = &seen.event.kind
            && let Some((before, domain)) = split(name)
        {
            self.question(seen.seed, before, domain);
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.now_unix_ns = now_unix_ns;
        let horizon_ns = self.horizon_ns;
        self.domains.retain(|domain| now_unix_ns.saturating_sub(domain.first_unix_ns) < horizon_ns);
    }

    fn judge(&mut self, _subject: usize, _past: &Past, limits: &Limits) -> Option<Verdict> {
        let most = self.domains.iter().max_by_key(|domain| (domain.questions, domain.domain))?;
        let signal = judge(most, limits)?;
        let since_unix_ns = most.first_unix_ns;
        Some(Verdict { signal, since_unix_ns, shown: Shown::Newest(Show::All), tags: TAGS })
    }

    fn clear(&mut self) {
        self.domains.clear();
    }
}

impl DnsTunnel {
    fn question(&mut self, seed: u64, before: &str, text: &str) {
        let domain = Fingerprint::seeded(seed).bytes(text.as_bytes());
        let name = domain.bytes(before.as_bytes()).finish();
        let domain = domain.finish();
        let place = self.domains.iter().position(|known| known.domain == domain).unwrap_or_else(|| {
            let new = Domain {
                domain,
                text: text[..text.floor_char_boundary(LONGEST)].to_owned(),
                first_unix_ns: self.now_unix_ns,
                names: Distinct::default(),
                questions: 0,
                characters: 0,
                entropy_mbit: 0,
            };
            if self.domains.len() == DOMAINS {
                let all = self.domains.iter().enumerate();
                let least = all.min_by_key(|(_, known)| (known.questions, known.domain));
                let place = least.map_or(0, |(place, _)| place);
                self.domains.swap_remove(place);
            }
            self.domains.push(new);
            self.domains.len() - 1
        });
        let known = &mut self.domains[place];
        known.names.add(name);
        known.questions += 1;
        known.characters += before.len() as u64;
        known.entropy_mbit += entropy_mbit(before.as_bytes());
    }
}

/// What stands before the domain of a name, and the domain.
fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.ends_with(".arpa") {
        return None;
    }
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let (top, second) = (dots.next()?, dots.next()?);
    let is_short = name.len() - top <= 3 && top - second <= 4;
    let at = if is_short { dots.next()? } else { second };
    Some((&name[..at], &name[at + 1..]))
}

/// Shannon entropy of its bytes, thousandths of a bit.
fn entropy_mbit(bytes: &[u8]) -> u64 {
    let mut counts = [0_u16; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = bytes.len() as f64;
    let bit = counts.iter().filter(|count| **count > 0).map(|count| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    });
    // Rounded, so that a sum does not depend on the order.
    (bit.sum::<f64>() * 1e3).round() as u64
}

fn judge(domain: &Domain, limits: &Limits) -> Option<RunawaySignal> {
    let Domain { text, names, questions, characters, entropy_mbit, .. } = domain;
    // Most readings end here, before anything is written out.
    if *questions < limits.names {
        return None;
    }
    let asked = *questions as f64;
    let (names, length) = (names.count(), *characters as f64 / asked);
    let entropy = *entropy_mbit as f64 / 1e3 / asked;
    let arithmetic = vec![
        Term::given("horizon", limits.horizon_ms as f64 / 1e3, "s"),
        Term::given("questions", asked, ""),
        Term::limited("different names", names, "", limits.names as f64),
        Term::limited("mean length before the domain", length, "", limits.name_length),
        Term::limited("mean entropy", entropy, "bit", limits.entropy_bit),
        Term::given("characters sent", *characters as f64, ""),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let summary = format!(
        "{text} was asked for about {names} different names (limit {}), with {length:.0} characters of \
        {entropy:.1} bit before it on average: {characters} characters in all.",
        limits.names,
    );
    RunawaySignal {
        rule: DNS_TUNNEL,
        confidence: CONFIDENCE,
        severity: Severity::Medium,
        summary,
        arithmetic,
    }
    .when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn asked(names: impl IntoIterator<Item = String>) -> Option<RunawaySignal> {
        let mut rule = DnsTunnel::new(&Limits::default(), 0);
        for name in names {
            if let Some((before, domain)) = split(&name) {
                rule.question(1, before, domain);
            }
        }
        let most = rule.domains.iter().max_by_key(|domain| domain.questions)?;
        judge(most, &Limits::default())
    }

    fn random(n: u64) -> String {
        (0..3).fold(String::new(), |text, part| {
            format!("{text}{:x}", Fingerprint::seeded(n).number(part).finish())
        })
    }

    #[test]
    fn many_long_random_names_of_one_domain_are_a_tunnel() {
        let found = asked((0..80).map(|n| format!("{}.t.example.com", random(n)))).unwrap();
        assert!(found.summary.starts_with("example.com was asked for about "), "{}", found.summary);
        assert!(found.arithmetic.iter().all(Term::holds));
    }

    #[test]
    fn few_short_or_plain_names_and_reverse_ones_are_none() {
        assert_eq!(asked((0..40).map(|n| format!("{}.example.com", random(n)))), None);
        assert_eq!(asked((0..400).map(|n| format!("{}.example.com", random(n % 40)))), None);
        assert_eq!(asked((0..200).map(|n| format!("host{n}.example.com"))), None);
        assert_eq!(asked((0..200).map(|n| format!("{}{n}.example.com", "a".repeat(40)))), None);
        assert_eq!(asked((0..200).map(|n| format!("{}.{n}.ip6.arpa", "1.0.f.b".repeat(9)))), None);
        assert_eq!(asked((0..200).map(|n| format!("{}.site{n}.com", random(n)))), None);
    }

    #[test]
    fn a_domain_is_two_labels_or_three_below_a_short_one() {
        assert_eq!(split("a.b.example.com."), Some(("a.b", "example.com")));
        assert_eq!(split("a.example.co.uk"), Some(("a", "example.co.uk")));
        assert_eq!((split("example.com"), split("localhost"), split("example.co.uk")), (None, None, None));
    }

    #[test]
    fn entropies_of_known_texts() {
        assert_eq!(
            [entropy_mbit(b"aaaa"), entropy_mbit(b"abab"), entropy_mbit(b"abcdefgh")],
            [0, 1000, 3000]
        );
    }
}
