//! The core's one entry: feed events and readings of a run, get findings.
//!
//! Events only fill tables: a fixed amount of work each, and no allocation once the tables are warm. Readings carry the
//! time: each one closes a window, and all rules are judged on it. A rule that holds is one finding, and another one
//! only when it still holds after the cool-down. A run costs at most 32 KiB, whatever it does.

use crate::{
    aggregate::{
        acts::Acts,
        commands::Commands,
        cores::Cores,
        counters::Counters,
        window::{Readings, Window},
    },
    event::{Endpoint, Event, EventKind},
    evidence::{Evidence, Show},
    finding::Finding,
    fingerprint::Fingerprint,
    run::{AgentIdentity, RunId},
    runaway::{
        RunawaySignal,
        cpu_spin::{self, SpinFacts},
        settings::{Settings, ns},
        spawn_storm::{self, ExecFacts},
    },
};

/// Everything the core remembers of one run.
pub struct RunDetector {
    run: RunId,
    agent: AgentIdentity,
    settings: Settings,
    /// Of the fingerprints.
    seed: u64,
    readings: Readings,
    acts: Acts,
    commands: Commands,
    cores: Cores,
    evidence: Evidence,
    peak: Peak,
    /// When each rule was last a finding.
    found_unix_ns: [Option<u64>; Rule::ALL.len()],
    findings: u64,
}

impl RunDetector {
    /// A detector for a run that begins, or is tagged, at `now_unix_ns`. The first reading is the origin of all
    /// windows: what the counters held before it does not count.
    #[must_use]
    pub fn new(run: RunId, agent: AgentIdentity, settings: Settings, now_unix_ns: u64) -> Self {
        let limits = settings.limits();
        Self {
            seed: Fingerprint::seeded(0).bytes(run.0.as_bytes()).finish(),
            readings: Readings::new(settings.longest_horizon_ns()),
            acts: Acts::new(ns(limits.cpu_hold_ms), now_unix_ns),
            commands: Commands::new(ns(limits.exec_loop_hold_ms), now_unix_ns),
            cores: Cores::new(),
            evidence: Evidence::default(),
            peak: Peak::default(),
            found_unix_ns: [None; Rule::ALL.len()],
            findings: 0,
            run,
            agent,
            settings,
        }
    }

    /// Takes one event of this run, in the order of arrival. Its own time is not used: it belongs to the window that
    /// the next reading closes.
    pub fn event(&mut self, event: &Event) {
        let object = |kind: u64| Fingerprint::seeded(self.seed).number(kind);
        let act = match &event.kind {
            EventKind::Fork { .. } => object(1).finish(),
            EventKind::Exec { .. } => {
                let path = event.process.executable.as_ref().map_or("", |file| file.path.text.as_str());
                let image = object(2).bytes(path.as_bytes());
                let arguments = event.process.argv.iter().flat_map(|argv| &argv.arguments);
                let command = arguments.fold(image, |state, argument| state.bytes(argument.as_bytes()));
                self.commands.add(command.finish());
                image.finish()
            }
            EventKind::Open { file, .. } => object(3).bytes(file.path.text.as_bytes()).finish(),
            EventKind::Unlink { file, .. } => object(4).bytes(file.path.text.as_bytes()).finish(),
            EventKind::Rename { file, .. } => object(5).bytes(file.path.text.as_bytes()).finish(),
            EventKind::Connect { destination } => endpoint(object(6), destination).finish(),
            EventKind::Send { destination } => endpoint(object(7), destination).finish(),
            // Not in the kernel's count of acts.
            EventKind::Exit { .. }
            | EventKind::Seed
            | EventKind::CgroupMove { .. }
            | EventKind::CgroupMake { .. }
            | EventKind::CgroupRemove { .. }
            | EventKind::Completeness { .. }
            | EventKind::ExecFailed { .. }
            | EventKind::File { .. }
            | EventKind::Socket { .. }
            | EventKind::Unix { .. }
            | EventKind::Dns { .. }
            | EventKind::TlsHello { .. }
            | EventKind::Target { .. }
            | EventKind::Kernel { .. } => return self.evidence.other(&event.id),
        };
        self.acts.add(act);
        match event.kind {
            EventKind::Fork { .. } | EventKind::Exec { .. } => self.evidence.process(&event.id),
            _ => self.evidence.other(&event.id),
        }
    }

    /// Takes a reading, closes the window that it ends and returns what is newly found. A reading that is not later
    /// than the one before is ignored.
    pub fn reading(&mut self, now_unix_ns: u64, counters: Counters) -> Vec<Finding> {
        if !self.readings.push(now_unix_ns, counters) {
            return Vec::new();
        }
        self.peak.reading(now_unix_ns, counters.cpu_usec);
        self.acts.advance(now_unix_ns);
        self.commands.advance(now_unix_ns);
        let mut findings = Vec::new();
        for rule in Rule::ALL {
            if self.cools_down(rule, now_unix_ns) {
                continue;
            }
            if let Some((signal, window)) = self.judge(rule) {
                self.found_unix_ns[rule as usize] = Some(now_unix_ns);
                findings.push(self.finding(rule, signal, &window, counters.complete()));
            }
        }
        self.evidence.reading(now_unix_ns);
        findings
    }

    /// The run was acted on (frozen, killed, restarted): what came before says nothing about what comes now. The next
    /// reading is a new origin, and a rule that holds again is a finding again at once.
    pub fn acted(&mut self) {
        self.readings.clear();
        self.acts.clear();
        self.commands.clear();
        self.evidence.clear();
        self.peak.base = None;
        self.found_unix_ns = [None; Rule::ALL.len()];
    }

    /// Highest CPU use in any window of at least 50 ms; 100 = one core.
    #[must_use]
    pub fn peak_cpu_percent(&self) -> f64 {
        self.peak.percent
    }

    fn cools_down(&self, rule: Rule, now_unix_ns: u64) -> bool {
        let cool_down_ns = ns(self.settings.limits().cool_down_ms);
        self.found_unix_ns[rule as usize]
            .is_some_and(|found| now_unix_ns.saturating_sub(found) < cool_down_ns)
    }

    fn judge(&mut self, rule: Rule) -> Option<(RunawaySignal, Window)> {
        let limits = self.settings.limits();
        match rule {
            Rule::SpawnStorm => {
                let window = self.readings.within(ns(limits.storm_horizon_ms))?;
                Some((spawn_storm::judge_storm(&window, limits)?, window))
            }
            Rule::ExecLoop => {
                let hold_ns = ns(limits.exec_loop_hold_ms);
                let window = self.readings.covering(hold_ns)?;
                let newer = self.readings.covering(hold_ns / 2)?;
                let facts = ExecFacts { window, newer, repetition: self.commands.repetition() };
                Some((spawn_storm::judge_exec_loop(&facts, limits)?, window))
            }
            Rule::CpuSpin => {
                let window = self.readings.covering(ns(limits.cpu_hold_ms))?;
                if !cpu_spin::is_busy(&window, limits) {
                    return None;
                }
                let cores = self.cores.measure(&self.readings, window.start_unix_ns);
                let facts = SpinFacts { window, cores, variety: self.acts.variety() };
                Some((cpu_spin::judge(&facts, limits)?, window))
            }
        }
    }

    fn finding(&mut self, rule: Rule, signal: RunawaySignal, window: &Window, complete: bool) -> Finding {
        self.findings += 1;
        Finding {
            id: format!("{}-f-{}", self.run, self.findings),
            run: self.run.clone(),
            agent: self.agent.clone(),
            time_unix_ns: window.end_unix_ns,
            since_unix_ns: window.start_unix_ns,
            signal,
            evidence: self.evidence.newest(rule.evidence(), window.start_unix_ns),
            tags: rule.tags().iter().map(|&tag| tag.to_owned()).collect(),
            complete,
        }
    }
}

/// In the order of judging: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    SpawnStorm,
    ExecLoop,
    CpuSpin,
}

impl Rule {
    const ALL: [Self; 3] = [Self::SpawnStorm, Self::ExecLoop, Self::CpuSpin];

    fn evidence(self) -> Show {
        match self {
            Self::SpawnStorm | Self::ExecLoop => Show::Processes,
            Self::CpuSpin => Show::All,
        }
    }

    fn tags(self) -> &'static [&'static str] {
        match self {
            // Endpoint Denial of Service: OS Exhaustion Flood.
            Self::SpawnStorm => &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"],
            Self::ExecLoop => &["attack:T1499", "owasp-asi:ASI08"],
            // Resource Hijacking: Compute Hijacking.
            Self::CpuSpin => &["attack:T1496", "attack:T1496.001", "owasp-asi:ASI08"],
        }
    }
}

/// Highest CPU use so far.
#[derive(Debug, Default)]
struct Peak {
    /// Time and CPU time that the current window began with.
    base: Option<(u64, u64)>,
    percent: f64,
}

impl Peak {
    /// Shorter windows say more about the reading's delay than about the run.
    const SHORTEST_NS: u64 = 50_000_000;

    fn reading(&mut self, now_unix_ns: u64, cpu_usec: u64) {
        let Some((start_unix_ns, start_usec)) = self.base else {
            self.base = Some((now_unix_ns, cpu_usec));
            return;
        };
        let length_ns = now_unix_ns.saturating_sub(start_unix_ns);
        if length_ns >= Self::SHORTEST_NS {
            let used_ns = cpu_usec.saturating_sub(start_usec) as f64 * 1e3;
            self.percent = self.percent.max(used_ns / length_ns as f64 * 100.0);
            self.base = Some((now_unix_ns, cpu_usec));
        }
    }
}

fn endpoint(object: Fingerprint, endpoint: &Endpoint) -> Fingerprint {
    let address = match endpoint.address {
        std::net::IpAddr::V4(address) => object.number(u64::from(address.to_bits())),
        std::net::IpAddr::V6(address) => {
            let bits = address.to_bits();
            object.number(bits as u64).number((bits >> 64) as u64)
        }
    };
    address.number(u64::from(endpoint.port))
}
