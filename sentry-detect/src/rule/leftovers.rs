//! `leftovers`: the command of the run has ended, and processes that it left live on.
//!
//! The command is the first process that is seen to execute a program, in a run that was made for a
//! command. Some time after its end the living are counted by the kernel's books: born
//! and entered, without those that ended. What listens is known from its listeners (`LISTENERS` of
//! them, about 1 KiB).
//!
//! A server that is left on purpose looks the same, so that it is of severity low, medium where
//! somebody listens, and never leads to an act; `sentry run --leftovers` ends them. Limit: a run of
//! a cgroup that was tagged or selected, and one that a restarted sensor took up, has no command.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::{Past, ns},
};
use crate::{
    act::SocketAct,
    event::{Endpoint, EventKind},
    identity::ProcessKey,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const LEFTOVERS: RuleId = RuleId::new("leftovers");
const TAGS: &[&str] = &["owasp-asi:ASI10"];

/// Listeners kept.
const LISTENERS: usize = 16;
const CONFIDENCE: f64 = 0.9;

limits! {
    /// When processes are left.
    Limits, "leftovers_" {
        /// `leftovers`: time after the end of the command
        after_ms: u64 = 1_000 in 0.0..=600_000.0;
        /// so many processes live on
        processes: u64 = 1 in 1.0..=1e6;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    command: Command,
    listeners: [Option<(ProcessKey, Endpoint)>; LISTENERS],
    now_unix_ns: u64,
}

#[derive(Debug, Default)]
enum Command {
    #[default]
    Unknown,
    /// The run has none.
    None,
    Runs(ProcessKey),
    Ended {
        unix_ns: u64,
        event: String,
    },
}

impl Rule for Leftovers {
    type Limits = Limits;
    const ABOUT: About = About {
        id: LEFTOVERS,
        when: "the command of the run has ended, and processes that it left live on",
        severity: "low; medium where one listens; never leads to an act",
        urgency: Urgency::Known,
    };
    /// Who was left before an act is left after it.
    const FORGETS: bool = false;
    /// They are left once.
    const FOLDS: bool = true;

    fn new(_limits: &Limits, now_unix_ns: u64) -> Self {
        Self { now_unix_ns, ..Self::default() }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let process = &seen.event.process;
        if let Command::Unknown = self.command {
            match &seen.event.kind {
                EventKind::Exec { .. } => self.command = Command::Runs(process.key),
                EventKind::Seed => self.command = Command::None,
                _ => {}
            }
        }
        match &seen.event.kind {
            EventKind::Exit { .. } => {
                if matches!(self.command, Command::Runs(key) if key == process.key) {
                    self.command = Command::Ended { unix_ns: self.now_unix_ns, event: seen.event.id.clone() };
                }
                for slot in &mut self.listeners {
                    if slot.is_some_and(|(key, _)| key == process.key) {
                        *slot = None;
                    }
                }
            }
            EventKind::Socket { act: SocketAct::Listen, local: Some(local), error: None, .. } => {
                if let Some(slot) = self.listeners.iter_mut().find(|slot| slot.is_none()) {
                    *slot = Some((process.key, *local));
                }
            }
            _ => {}
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.now_unix_ns = now_unix_ns;
    }

    fn judge(&mut self, _subject: usize, past: &Past, limits: &Limits) -> Option<Verdict> {
        let Command::Ended { unix_ns, event } = &self.command else { return None };
        if !past.has_command {
            return None;
        }
        let ago_ns = self.now_unix_ns.saturating_sub(*unix_ns);
        let counters = past.readings.newest()?;
        let begun = counters.processes_born + counters.processes_entered;
        let living = begun.saturating_sub(counters.processes_ended);
        // Most readings end here, before anything is written out.
        if ago_ns < ns(limits.after_ms) || living < limits.processes {
            return None;
        }
        let listeners: Vec<_> = self.listeners.iter().flatten().map(|(_, place)| *place).collect();
        let signal = judge(ago_ns as f64 / 1e9, living, &listeners, limits)?;
        let shown = Shown::One(event.clone());
        Some(Verdict { signal, since_unix_ns: *unix_ns, shown, tags: TAGS })
    }
}

fn judge(ago_s: f64, living: u64, listeners: &[Endpoint], limits: &Limits) -> Option<RunawaySignal> {
    let arithmetic = vec![
        Term::limited("time since the command ended", ago_s, "s", limits.after_ms as f64 / 1e3),
        Term::limited("processes that live on", living as f64, "", limits.processes as f64),
        Term::given("listeners", listeners.len() as f64, ""),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let (severity, listens) = match listeners {
        [] => (Severity::Low, String::new()),
        [first, rest @ ..] => {
            let place = std::net::SocketAddr::new(first.address, first.port);
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            (Severity::Medium, format!("; they listen at {place}{more}"))
        }
    };
    let processes = if living == 1 {
        "1 process that it left lives".to_owned()
    } else {
        format!("{living} processes that it left live")
    };
    let summary = format!("The command ended {ago_s:.1} s ago, and {processes} on{listens}.");
    RunawaySignal { rule: LEFTOVERS, confidence: CONFIDENCE, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn the_summary_says_how_many_and_where_they_listen() {
        let of = |living, listeners: &[Endpoint]| judge(2.5, living, listeners, &Limits::default());
        let one = of(1, &[]).unwrap();
        assert_eq!(one.summary, "The command ended 2.5 s ago, and 1 process that it left lives on.");
        let place = Endpoint { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8080, protocol: 6 };
        let two = of(2, &[place, place]).unwrap();
        let summary = "The command ended 2.5 s ago, and 2 processes that it left live on; they listen at \
            127.0.0.1:8080 and 1 more.";
        assert_eq!(
            (two.summary.as_str(), two.severity, one.severity),
            (summary, Severity::Medium, Severity::Low)
        );
        assert_eq!(judge(0.9, 1, &[], &Limits::default()), None);
    }
}
