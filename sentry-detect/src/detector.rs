//! Detection in one run: feed events and readings, get findings.
//!
//! Events only fill tables: a fixed amount of work each, and no allocation once the tables are
//! warm, but for a request to leave control. Readings carry the time: each one closes a window, and
//! all rules are judged on it. A rule that holds is one finding for as long as it goes on, or for
//! the cool-down where it is about single events; and another one once it has become sure enough to
//! act on. A run costs at most 32 KiB, whatever it does.

use crate::{
    aggregate::{acts::Sort, counters::Counters, holds::Holds},
    event::{Endpoint, Event, EventKind},
    evidence::{Evidence, Show},
    finding::{Departed, Finding, Ruled},
    fingerprint::Fingerprint,
    identity::{AgentIdentity, RunId},
    rule::{Act, Limits, Past, Rules, Seen, Settings, Shown, Verdict},
    sensitive::{Class, SensitiveFiles},
};

/// Everything that detection remembers of one run.
pub struct RunDetector {
    run: RunId,
    /// What finding ids begin with.
    id_prefix: String,
    agent: AgentIdentity,
    settings: Settings,
    /// Of the fingerprints.
    seed: u64,
    past: Past,
    rules: Rules,
    evidence: Evidence,
    findings: u64,
}

impl RunDetector {
    /// A detector for a run that begins, or is tagged, at `now_unix_ns`. The first reading is the
    /// origin of all windows: what the counters held before it does not count.
    #[must_use]
    pub fn new(run: RunId, agent: AgentIdentity, settings: Settings, now_unix_ns: u64) -> Self {
        let limits = settings.limits();
        Self {
            seed: Fingerprint::seeded(0).bytes(run.0.as_bytes()).finish(),
            past: Past::new(limits.looks_back_ms(), limits.cpu_spin.hold_ms, now_unix_ns),
            rules: Rules::new(limits, now_unix_ns),
            evidence: Evidence::default(),
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

    /// For a run that was not made for a command, or whose beginning is not known.
    #[must_use]
    pub fn without_command(mut self) -> Self {
        self.past.has_command = false;
        self
    }

    /// What the run holds from now on, for the readings that follow.
    pub fn holds(&mut self, holds: Holds) {
        self.past.holds = holds;
    }

    /// Takes one event of this run, in the order of arrival. Its own time is not used: it belongs
    /// to the window that the next reading closes.
    pub fn event(&mut self, event: &Event) {
        let (act, command) = self.act(event);
        let secret = secret(self.settings.sensitive(), &event.kind);
        let seen = Seen { event, command, seed: self.seed, secret };
        self.rules.event(&seen);
        if let Some(act) = act {
            self.past.act(act);
        }
        match event.kind {
            EventKind::Fork { .. } | EventKind::Exec { .. } => self.evidence.process(event),
            // Nothing that the run did.
            EventKind::StartedOutside { .. } => {}
            _ => self.evidence.other(event),
        }
    }

    /// The act that the kernel counted with an event, if it did; and the fingerprint of the command
    /// line, of an exec.
    fn act(&self, event: &Event) -> (Option<Act>, Option<u64>) {
        let mut command = None;
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
                let line = arguments.fold(image, |state, argument| state.bytes(argument.as_bytes()));
                command = Some(line.finish());
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
            // Not in the kernel's count of acts.
            EventKind::StartedOutside { .. }
            | EventKind::Exit { .. }
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
            | EventKind::Kernel { .. } => return (None, None),
        };
        (Some(Act { sort, object }), command)
    }

    /// Takes a reading, closes the window that it ends and returns what is newly found. A reading
    /// that is not later than the one before is ignored.
    pub fn reading(&mut self, now_unix_ns: u64, counters: Counters) -> Vec<Finding> {
        if !self.record(now_unix_ns, counters) {
            return Vec::new();
        }
        let verdicts = self.rules.judge(now_unix_ns, &self.past, self.settings.limits());
        verdicts
            .into_iter()
            .map(|(_urgency, verdict)| self.finding(verdict, now_unix_ns, counters.complete()))
            .collect()
    }

    /// Takes a reading and judges nothing, where nobody could take a finding now: what holds then
    /// is found at the next reading. False when it is ignored.
    pub fn record(&mut self, now_unix_ns: u64, counters: Counters) -> bool {
        if !self.past.reading(now_unix_ns, counters) {
            return false;
        }
        self.rules.advance(now_unix_ns);
        self.evidence.reading(now_unix_ns);
        true
    }

    /// Other thresholds hold from `now_unix_ns` on.
    pub fn set(&mut self, settings: Settings, now_unix_ns: u64) {
        let (before, limits) = (self.settings.limits(), settings.limits());
        let horizons = |limits: &Limits| (limits.looks_back_ms(), limits.cpu_spin.hold_ms);
        if horizons(before) != horizons(limits) {
            let Past { has_command, holds, .. } = self.past;
            let past = Past::new(limits.looks_back_ms(), limits.cpu_spin.hold_ms, now_unix_ns);
            self.past = Past { has_command, holds, ..past };
        }
        self.rules.set(before, limits, now_unix_ns);
        self.settings = settings;
    }

    /// What was found is to be found again where it still holds, once the cool-down since then is
    /// over: nothing was done about it.
    pub fn again(&mut self) {
        self.rules.again();
    }

    /// The run was acted on (frozen, killed, restarted): what came before says nothing about what
    /// comes now. The next reading is a new origin, and a rule that holds again is a finding again
    /// at once.
    pub fn acted(&mut self) {
        self.past.clear();
        self.rules.acted();
        self.evidence.clear();
    }

    /// The finding of a departure that was seen elsewhere.
    pub(crate) fn departed(&mut self, departed: Departed, now_unix_ns: u64, complete: bool) -> Finding {
        let Departed { signal, since_unix_ns, event, tags } = departed;
        let shown = event.map_or(Shown::Newest(Show::All), Shown::One);
        let verdict = Verdict { signal, since_unix_ns, shown, tags: &[] };
        Finding { tags, ..self.finding(verdict, now_unix_ns, complete) }
    }

    /// The finding of a rule that was judged elsewhere.
    pub(crate) fn ruled(&mut self, ruled: Ruled, now_unix_ns: u64, complete: bool) -> Finding {
        let Ruled { signal, since_unix_ns, evidence, tags, reach: _ } = ruled;
        let verdict = Verdict { signal, since_unix_ns, shown: Shown::Each(evidence), tags: &[] };
        Finding { tags, ..self.finding(verdict, now_unix_ns, complete) }
    }

    fn finding(&mut self, verdict: Verdict, now_unix_ns: u64, complete: bool) -> Finding {
        self.findings += 1;
        let Verdict { signal, since_unix_ns, shown, tags } = verdict;
        Finding {
            id: format!("{}-f-{}", self.id_prefix, self.findings),
            run: self.run.clone(),
            agent: self.agent.clone(),
            time_unix_ns: now_unix_ns,
            // The clocks of kernel and sensor differ by a little.
            since_unix_ns: since_unix_ns.min(now_unix_ns),
            signal,
            evidence: match shown {
                Shown::Newest(show) => self.evidence.newest(show, since_unix_ns),
                Shown::One(id) => Some(id).filter(|id| !id.is_empty()).into_iter().collect(),
                Shown::Each(ids) => ids,
            },
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            complete,
        }
    }
}

/// The class of a sensitive file that is opened for reading.
fn secret<'a>(files: &'a SensitiveFiles, kind: &EventKind) -> Option<(usize, &'a Class)> {
    let EventKind::Open { file, intent, .. } = kind else { return None };
    if intent.path_only || (intent.write && !intent.read) {
        return None;
    }
    let number = files.number_of(&file.path.text)?;
    Some((number, files.class(number)?))
}

fn endpoint(object: Fingerprint, endpoint: &Endpoint) -> Fingerprint {
    object.address(endpoint.address).number(u64::from(endpoint.port))
}
