//! `secret-then-send`: the run read a secret, and then turned to a destination where it had not
//! been before.
//!
//! A read as `secret-read` finds it marks the run for its life, unless the program that read is one
//! that the file is made for (`owners` in `sensitive.toml`): `ssh` reads a key to connect. A
//! destination is an address that is asked for a connection, or that a datagram is sent to. It is
//! not new where the run had been there before the read, or at another address of the same name:
//! those that DNS gave together are remembered.
//!
//! No destinations are loopback, multicast and the unspecified address; port 53, where names are
//! asked for; and port 0, with which libraries only ask for a route.
//!
//! Judged event by event, and a finding at the next reading, with both events. At most `MOST` for
//! one read; the first destination of a cool-down waits for its end. Memory is fixed: `KNOWN`
//! destinations and `NAMES` addresses with their names, the oldest leaves first. What was forgotten
//! counts as new. Severity is one step above that of the read alone, at most high.
//!
//! Limits: what is sent is not read, so that this is order and not proof. A destination where the
//! run had been before, and a connection that was open before, is none.

use std::net::IpAddr;

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    noticed::{LONGEST, Weight, id_of, said},
    past::Past,
    secret_read::weight,
};
use crate::{
    event::{Endpoint, EventKind},
    fingerprint::Fingerprint,
    runaway::{RuleId, RunawaySignal, Severity, Term},
    sensitive::Class,
};

const SECRET_THEN_SEND: RuleId = RuleId::new("secret-then-send");
/// Exfiltration Over C2 Channel; Unsecured Credentials; Exfiltration via AI Agent Tool Invocation.
const TAGS: &[&str] =
    &["attack:T1041", "attack:T1552", "atlas:AML.T0086", "owasp-asi:ASI02", "owasp-asi:ASI03"];
/// Most findings for one read.
const MOST: u8 = 4;
/// Destinations kept.
const KNOWN: usize = 48;
/// Addresses kept with the name that DNS gave them for.
const NAMES: usize = 16;
const DNS: u16 = 53;
/// That the order means more than the read alone.
const SURER_BY: f64 = 0.1;

limits! {
    /// Whether a secret and a destination lead to acts.
    Limits, "secret_send_" {
        /// as `cpu_leads_to_acts`, for `secret-then-send`
        leads_to_acts: bool = false;
    }
}

pub(crate) struct SecretThenSend {
    known: Ring<u32, KNOWN>,
    /// Address and name.
    names: Ring<(u32, u32), NAMES>,
    /// In the life of the run.
    reads: u64,
    /// New ones after a read, in the life of the run.
    destinations: u64,
    /// The gravest that may still be a finding, and of equal ones the newest.
    read: Option<Box<Read>>,
    sent: Option<Box<Sent>>,
}

struct Read {
    event: String,
    time_unix_ns: u64,
    text: String,
    severity: Severity,
    confidence: f64,
    /// Findings that may still be.
    left: u8,
}

/// What a finding would show.
struct Sent {
    /// The read, and the destination.
    events: [String; 2],
    read_unix_ns: u64,
    between_ns: u64,
    summary: String,
    severity: Severity,
    confidence: f64,
}

impl Rule for SecretThenSend {
    type Limits = Limits;
    const ABOUT: About = About {
        id: SECRET_THEN_SEND,
        when: "after the read of a secret by a program that it is not made for, the run turns to a \
               destination where it had not been before",
        severity: "a step above that of the read; leads to an act only where configured",
        urgency: Urgency::Known,
    };
    /// What was read stays known after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self {
            known: Ring::default(),
            names: Ring::default(),
            reads: 0,
            destinations: 0,
            read: None,
            sent: None,
        }
    }

    fn leads_to_acts(limits: &Limits) -> bool {
        limits.leads_to_acts
    }

    fn event(&mut self, seen: &Seen<'_>) {
        match &seen.event.kind {
            EventKind::Open { file, .. } => {
                if let Some((_, class)) = seen.secret {
                    self.reads(seen, class, &file.path.text);
                }
            }
            EventKind::Connect { destination } | EventKind::Send { destination } => {
                self.turns_to(seen, destination);
            }
            EventKind::Dns { answer: true, name, answers, .. } => {
                let name = Fingerprint::seeded(0).bytes(name.as_bytes()).finish() as u32;
                for address in answers.iter().filter_map(|answer| answer.parse().ok()) {
                    let named = (print(address), name);
                    if !self.names.contains(&named) {
                        self.names.push(named);
                    }
                }
            }
            _ => {}
        }
    }

    fn judge(&mut self, _subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        let sent = self.sent.take()?;
        let Sent { events, read_unix_ns, between_ns, summary, severity, confidence } = *sent;
        let signal = RunawaySignal {
            rule: SECRET_THEN_SEND,
            confidence,
            severity,
            summary,
            arithmetic: vec![
                Term::limited("reads of secrets so far", self.reads as f64, "", 1.0),
                Term::limited("new destinations after a read so far", self.destinations as f64, "", 1.0),
                Term::given("time between the two", between_ns as f64 / 1e9, "s"),
                Term::given("confidence", confidence, ""),
            ],
        };
        let shown = events.into_iter().filter(|id| !id.is_empty()).collect();
        Some(Verdict { signal, since_unix_ns: read_unix_ns, shown: Shown::Each(shown), tags: TAGS })
    }
}

impl SecretThenSend {
    fn reads(&mut self, seen: &Seen<'_>, class: &Class, path: &str) {
        let Some(Weight { severity, confidence, .. }) = weight(class) else { return };
        let script = seen.event.process.argv.as_ref().and_then(|argv| argv.arguments.get(1));
        if class.is_owner(seen.program(), script.map(String::as_str)) {
            return;
        }
        self.reads += 1;
        let severity = one_step_above(severity);
        if self.read.as_ref().is_some_and(|read| read.left > 0 && read.severity > severity) {
            return;
        }
        self.read = Some(Box::new(Read {
            event: id_of(seen),
            time_unix_ns: seen.event.time_unix_ns,
            text: format!("{} ({})", said(seen, "opened", path), class.title),
            severity,
            confidence,
            left: MOST,
        }));
    }

    fn turns_to(&mut self, seen: &Seen<'_>, destination: &Endpoint) {
        let address = destination.address.to_canonical();
        let is_none = address.is_loopback() || address.is_multicast() || address.is_unspecified();
        if is_none || matches!(destination.port, 0 | DNS) {
            return;
        }
        let print = print(address);
        if self.known.contains(&print) {
            return;
        }
        let name = self.names.iter().find(|(named, _)| *named == print).map(|(_, name)| *name);
        let is_known_by_name = name.is_some_and(|name| self.known.contains(&name));
        self.known.push(print);
        if let Some(name) = name.filter(|_| !is_known_by_name) {
            self.known.push(name);
        }
        let Some(read) = self.read.as_mut().filter(|_| !is_known_by_name) else { return };
        self.destinations += 1;
        if self.sent.is_some() || read.left == 0 {
            return;
        }
        read.left -= 1;
        self.sent = Some(Box::new(Sent {
            events: [read.event.clone(), id_of(seen)],
            read_unix_ns: read.time_unix_ns,
            between_ns: seen.event.time_unix_ns.saturating_sub(read.time_unix_ns),
            summary: format!(
                "{}; then {} turned to {address} port {}, where the run had not been before.",
                read.text,
                seen.by(LONGEST),
                destination.port
            ),
            severity: read.severity,
            confidence: (read.confidence + SURER_BY).min(1.0),
        }));
    }
}

fn one_step_above(severity: Severity) -> Severity {
    match severity {
        Severity::Informational => Severity::Low,
        Severity::Low => Severity::Medium,
        Severity::Medium | Severity::High => Severity::High,
        Severity::Critical => Severity::Critical,
    }
}

fn print(address: IpAddr) -> u32 {
    Fingerprint::seeded(1).address(address.to_canonical()).finish() as u32
}

/// The newest values.
struct Ring<T, const SIZE: usize> {
    values: [T; SIZE],
    next: usize,
}

impl<T: Copy + Default, const SIZE: usize> Default for Ring<T, SIZE> {
    fn default() -> Self {
        Self { values: [T::default(); SIZE], next: 0 }
    }
}

impl<T: Copy + PartialEq, const SIZE: usize> Ring<T, SIZE> {
    fn push(&mut self, value: T) {
        self.values[self.next] = value;
        self.next = (self.next + 1) % SIZE;
    }

    fn contains(&self, value: &T) -> bool {
        self.values.contains(value)
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }
}
