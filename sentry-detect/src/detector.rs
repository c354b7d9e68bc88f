//! The core's one entry: feed events and readings of a run, get findings.
//!
//! Events only fill tables: a fixed amount of work each, and no allocation once the tables are warm, but for a request to
//! leave control. Readings carry the time: each one closes a window, and all rules are judged on it. A rule that holds is one finding, and another one
//! only when it still holds after the cool-down, or once it has become sure enough to act on. A run costs at most 32 KiB, whatever it does.

use crate::{
    aggregate::{
        acts::{Acts, Sort},
        commands::Commands,
        cores::Cores,
        counters::Counters,
        window::{Readings, Window},
    },
    control::{Control, LEFT_CONTROL},
    event::{Endpoint, Event, EventKind},
    evidence::{Evidence, Show},
    finding::Finding,
    fingerprint::Fingerprint,
    run::{AgentIdentity, RunId},
    runaway::{
        RunawaySignal,
        call_flood::{self, FloodFacts, Kind},
        cpu_spin::{self, SpinFacts},
        settings::{Settings, ns},
        spawn_storm::{self, ExecFacts},
    },
};

/// Everything the core remembers of one run.
pub struct RunDetector {
    run: RunId,
    /// What finding ids begin with.
    id_prefix: String,
    agent: AgentIdentity,
    settings: Settings,
    /// Of the fingerprints.
    seed: u64,
    readings: Readings,
    acts: Acts,
    commands: Commands,
    cores: Cores,
    control: Control,
    evidence: Evidence,
    found: [Option<Found>; Rule::ALL.len()],
    findings: u64,
}

/// When a rule was last a finding, and whether it was one to act on.
#[derive(Clone, Copy, Debug)]
struct Found {
    unix_ns: u64,
    sure: bool,
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
            control: Control::default(),
            evidence: Evidence::default(),
            found: [None; Rule::ALL.len()],
            findings: 0,
            id_prefix: run.0.clone(),
            run,
            agent,
            settings,
        }
    }

    /// With finding ids `<prefix>-f-<n>`, where the same run may have a detector again.
    #[must_use]
    pub fn with_id_prefix(self, prefix: &str) -> Self {
        Self { id_prefix: prefix.to_owned(), ..self }
    }

    /// Takes one event of this run, in the order of arrival. Its own time is not used: it belongs to the window that
    /// the next reading closes.
    pub fn event(&mut self, event: &Event) {
        self.control.event(event);
        let object = |kind: u64| Fingerprint::seeded(self.seed).number(kind);
        let (sort, object) = match &event.kind {
            // Each birth is another one.
            EventKind::Fork { child } => {
                let born = object(1).number(child.tgid.into()).number(child.start_boot_ns);
                (Sort::Change, born.finish())
            }
            EventKind::Exec { .. } => {
                let path = event.process.executable.as_ref().map_or("", |file| file.path.text.as_str());
                let image = object(2).bytes(path.as_bytes());
                let arguments = event.process.argv.iter().flat_map(|argv| &argv.arguments);
                let command = arguments.fold(image, |state, argument| state.bytes(argument.as_bytes()));
                self.commands.add(command.finish());
                (Sort::Change, image.finish())
            }
            EventKind::Open { file, intent, .. } => {
                let sort = if intent.write { Sort::Change } else { Sort::Other };
                (sort, object(3).bytes(file.path.text.as_bytes()).finish())
            }
            EventKind::Unlink { file, .. } => {
                (Sort::Change, object(4).bytes(file.path.text.as_bytes()).finish())
            }
            EventKind::Rename { file, .. } => {
                (Sort::Change, object(5).bytes(file.path.text.as_bytes()).finish())
            }
            EventKind::Connect { destination } => (Sort::Other, endpoint(object(6), destination).finish()),
            EventKind::Send { destination } => (Sort::Other, endpoint(object(7), destination).finish()),
            // Nothing that the run did.
            EventKind::StartedOutside { .. } => return,
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
        self.acts.add(sort, object);
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
        self.acts.advance(now_unix_ns);
        self.commands.advance(now_unix_ns);
        let mut findings = Vec::new();
        for rule in Rule::ALL {
            let cools_down = self.cools_down(rule, now_unix_ns);
            if cools_down.is_some_and(|before| before.sure) {
                continue;
            }
            let Some((signal, window)) = self.judge(rule) else { continue };
            let settings = &self.settings;
            // Where it leads to no act, there is nothing to become sure enough for.
            let sure = signal.confidence >= settings.limits().act_min_confidence
                || !settings.leads_to_acts(rule.name());
            // Found when it could not be acted on yet: it must not be let go on because of that.
            if cools_down.is_none() || sure {
                self.found[rule as usize] = Some(Found { unix_ns: now_unix_ns, sure });
                findings.push(self.finding(rule, signal, &window, counters.complete()));
            }
        }
        findings.extend(self.left_control(now_unix_ns, counters.complete()));
        self.evidence.reading(now_unix_ns);
        findings
    }

    /// The run was acted on (frozen, killed, restarted): what came before says nothing about what comes now. The next
    /// reading is a new origin, and a rule that holds again is a finding again at once. Whom it asked for work stays known.
    pub fn acted(&mut self) {
        self.readings.clear();
        self.acts.clear();
        self.commands.clear();
        self.evidence.clear();
        self.found = [None; Rule::ALL.len()];
    }

    /// A finding that nobody could take: its rule does not cool down, and is a finding again if it still holds at the
    /// next reading.
    pub fn not_taken(&mut self, finding: &Finding) {
        if finding.signal.rule == LEFT_CONTROL {
            return self.control.not_taken(&finding.id);
        }
        for rule in Rule::ALL {
            if rule.name() == finding.signal.rule {
                self.found[rule as usize] = None;
            }
        }
    }

    /// The finding that the rule cools down from.
    fn cools_down(&self, rule: Rule, now_unix_ns: u64) -> Option<Found> {
        let cool_down_ns = ns(self.settings.limits().cool_down_ms);
        self.found[rule as usize].filter(|found| now_unix_ns.saturating_sub(found.unix_ns) < cool_down_ns)
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
            Rule::CallFlood => {
                let hold_ns = ns(limits.cpu_hold_ms);
                let window = self.readings.covering(hold_ns)?;
                let kind = Kind::most_frequent(&window.added);
                if !call_flood::is_fast(kind, &window, limits) {
                    return None;
                }
                let newer = self.readings.covering(hold_ns / 2)?;
                let variety = self.acts.variety(kind.sort(), &window.added);
                let facts = FloodFacts { kind, window, newer, variety };
                Some((call_flood::judge(&facts, limits)?, window))
            }
            Rule::CpuSpin => {
                let window = self.readings.covering(ns(limits.cpu_hold_ms))?;
                if !cpu_spin::is_busy(&window, limits) {
                    return None;
                }
                let cores = self.cores.measure(&self.readings, window.start_unix_ns);
                let variety = |sort| self.acts.variety(sort, &window.added);
                let (changes, others) = (variety(Sort::Change), variety(Sort::Other));
                let facts = SpinFacts { window, cores, changes, others };
                Some((cpu_spin::judge(&facts, limits)?, window))
            }
        }
    }

    fn left_control(&mut self, now_unix_ns: u64, complete: bool) -> Vec<Finding> {
        let cool_down_ns = ns(self.settings.limits().cool_down_ms);
        let id = || next_id(&self.id_prefix, &mut self.findings);
        let left = self.control.reading(now_unix_ns, cool_down_ns, id);
        left.into_iter()
            .map(|(id, left)| Finding {
                id,
                run: self.run.clone(),
                agent: self.agent.clone(),
                time_unix_ns: now_unix_ns,
                // The clocks of kernel and sensor differ by a little.
                since_unix_ns: left.time_unix_ns.min(now_unix_ns),
                signal: left.signal,
                evidence: Some(left.evidence).filter(|id| !id.is_empty()).into_iter().collect(),
                tags: left.tags.iter().map(|&tag| tag.to_owned()).collect(),
                complete,
            })
            .collect()
    }

    fn finding(&mut self, rule: Rule, signal: RunawaySignal, window: &Window, complete: bool) -> Finding {
        Finding {
            id: next_id(&self.id_prefix, &mut self.findings),
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

fn next_id(prefix: &str, findings: &mut u64) -> String {
    *findings += 1;
    format!("{prefix}-f-{findings}")
}

/// In the order of judging: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    SpawnStorm,
    ExecLoop,
    CallFlood,
    CpuSpin,
}

impl Rule {
    const ALL: [Self; 4] = [Self::SpawnStorm, Self::ExecLoop, Self::CallFlood, Self::CpuSpin];

    fn name(self) -> &'static str {
        match self {
            Self::SpawnStorm => spawn_storm::SPAWN_STORM,
            Self::ExecLoop => spawn_storm::EXEC_LOOP,
            Self::CallFlood => call_flood::CALL_FLOOD,
            Self::CpuSpin => cpu_spin::CPU_SPIN,
        }
    }

    fn evidence(self) -> Show {
        match self {
            Self::SpawnStorm | Self::ExecLoop => Show::Processes,
            Self::CallFlood | Self::CpuSpin => Show::All,
        }
    }

    fn tags(self) -> &'static [&'static str] {
        match self {
            // Endpoint Denial of Service: OS Exhaustion Flood.
            Self::SpawnStorm => &["attack:T1499", "attack:T1499.001", "owasp-asi:ASI08"],
            Self::ExecLoop | Self::CallFlood => &["attack:T1499", "owasp-asi:ASI08"],
            // Resource Hijacking: Compute Hijacking.
            Self::CpuSpin => &["attack:T1496", "attack:T1496.001", "owasp-asi:ASI08"],
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
