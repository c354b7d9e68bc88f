//! Every `PERIOD`: what each run did since is folded into windows, held against its agent's
//! baseline, and learned. What departs far is a finding, at most one per cause and cool-down, which
//! never leads to an act.
//!
//! The counters are those that `watch` reads; nothing waits for this thread, and it waits for
//! nobody but the disk.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sentry_baseline::{
    Baseline, Bounds, Cause, Closed, Counts, Departure, Drift, FINDING_SORTS, FindingSort, Fresh, Kind, Part,
    Posture, Rate, RunFacts, Share, WINDOWS_ADDED_UP, Window, Windows,
};
use sentry_common::counter;
use sentry_detect::{
    finding::{DEPARTURE, Departed},
    run::{Input, Output, RunId},
    runaway::{RunawaySignal, Severity, Term},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{StageStats, act::Case};
use crate::{
    learn::{agents::Agents, limits::is_limited},
    runs::{Registry, Run},
};

/// Time between two looks at a run.
const PERIOD: Duration = Duration::from_secs(1);
/// Time between two writes of what was learned of live runs: what a kill of the sensor costs.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// Rogue agents: behaviour that deviates from what is expected.
const TAGS: &[&str] = &["owasp-asi:ASI10"];
const CONFIDENCE: f64 = 0.5;
const KINDS: usize = Kind::ALL.len();
/// Most causes that one look finds: each rate and kind, and drift.
const MOST_FOUND: usize = Rate::ALL.len() + KINDS + 1;
const SORTS: [FindingSort; FINDING_SORTS] = [FindingSort::Low, FindingSort::Medium, FindingSort::High];

/// The stage.
pub struct Learn {
    registry: Arc<Registry>,
    agents: Arc<Agents>,
    cases: mpsc::Sender<Case>,
    bounds: Bounds,
    runs: HashMap<RunId, Learned>,
}

/// A run that is learned from.
struct Learned {
    run: Arc<Run>,
    windows: Windows,
    share: Share,
    /// Whether the agent was known when it began, and what of each kind was new since.
    was_known: bool,
    new: [bool; KINDS],
    /// In the window that is under way.
    new_in_window: [u64; KINDS],
    drift: Drift,
    /// How its cgroup is set up.
    facts: RunFacts,
    /// When each cause was last a finding.
    found: HashMap<Cause, u64>,
}

/// What a run did since the last look.
struct Look {
    total: Counts,
    fresh: Vec<Fresh>,
    facts: RunFacts,
    findings: [u64; FINDING_SORTS],
}

// === impl Learn ===

impl Learn {
    #[must_use]
    pub fn new(registry: Arc<Registry>, agents: Arc<Agents>, cases: mpsc::Sender<Case>) -> Self {
        let bounds = agents.bounds();
        Self { registry, agents, cases, bounds, runs: HashMap::new() }
    }

    /// Runs until cancelled; then what was learned is written.
    pub fn run(mut self, stats: &StageStats, token: &CancellationToken) {
        let clock = self.registry.clock().clone();
        let mut write = clock.now() + WRITE_EVERY;
        while !token.is_cancelled() {
            stats.progress.begin();
            let next = clock.now() + PERIOD;
            self.pass(stats);
            if clock.now() >= write {
                self.agents.write_changed();
                write = clock.now() + WRITE_EVERY;
            }
            stats.handled(1);
            stats.progress.rest();
            // A stop does not wait for the next look.
            while !token.is_cancelled() && clock.now() < next {
                clock.sleep(Duration::from_millis(50).min(next.saturating_duration_since(clock.now())));
            }
        }
        self.pass(stats);
        self.agents.write_changed();
    }

    /// One look at every run.
    pub(crate) fn pass(&mut self, stats: &StageStats) {
        let live = self.registry.live();
        // After that: who is not live is among them, unless it failed to begin.
        let ended = self.registry.take_ended();
        let going_on = live.iter().filter(|run| !run.is_ended());
        for run in going_on.chain(ended.iter().filter(|run| run.was_entered())) {
            self.begin(run);
        }
        for run in &live {
            self.look(&run.id, stats);
        }
        let mut live: HashSet<&RunId> = live.iter().map(|run| &run.id).collect();
        for run in &ended {
            live.remove(&run.id);
        }
        self.end(|id| !live.contains(id));
    }

    fn begin(&mut self, run: &Arc<Run>) {
        if self.runs.contains_key(&run.id) {
            return;
        }
        let name = &run.agent.name;
        self.agents.begins(name);
        let (now, bounds) = (self.registry.clock().unix_ns(), self.bounds);
        let begun =
            self.agents.change(name, |baseline| (baseline.share(&bounds, now), baseline.is_known(&bounds)));
        let Some((share, was_known)) = begun else { return };
        // What an earlier sensor life counted is in no window of this one.
        let (since, total) = match run.account().interruptions {
            0 => (run.started_unix_ns, Counts::default()),
            _taken_up => (now, total(run)),
        };
        let mut facts = RunFacts::default();
        for (file, fact) in [("memory.max", Posture::NoMemoryLimit), ("pids.max", Posture::NoProcessLimit)] {
            if !is_limited(&*run.cgroup, file) {
                facts.note(fact);
            }
        }
        let length = self.agents.config().window.as_nanos() as u64;
        let learned = Learned {
            run: Arc::clone(run),
            windows: Windows::new(length, since, total),
            share,
            was_known,
            new: [false; KINDS],
            new_in_window: [0; KINDS],
            drift: Drift::default(),
            facts,
            found: HashMap::new(),
        };
        self.runs.insert(run.id.clone(), learned);
    }

    fn look(&mut self, id: &RunId, stats: &StageStats) {
        // A look learns what it saw, and what was learned departs no more: without room for what it
        // may find, the next one has to see it.
        if self.cases.capacity() < MOST_FOUND {
            return;
        }
        let now = self.registry.clock().unix_ns();
        let Some(learned) = self.runs.get_mut(id) else { return };
        let name = learned.run.agent.name.clone();
        let bounds = self.bounds;
        let found =
            self.agents.change(&name, |baseline| learned.look(baseline, &bounds, now)).unwrap_or_default();
        let cool_down = self.agents.config().cool_down.as_nanos() as u64;
        for (cause, departed) in found {
            let last = learned.found.get(&cause);
            if last.is_some_and(|last| now.saturating_sub(*last) < cool_down) {
                continue;
            }
            // Others took the room meanwhile.
            let Ok(place) = self.cases.try_reserve() else {
                stats.lost(1);
                continue;
            };
            let run = Arc::clone(&learned.run);
            let is_found = learned.run.step_and_queue(Input::Departed(departed), |outputs| {
                match outputs.into_iter().next() {
                    Some(Output::Found { finding, decisions }) => {
                        place.send(Case::Decided { run, finding: Some(finding), decisions, reply: None });
                        true
                    }
                    // It is over.
                    Some(Output::Decided(_) | Output::LeftFrozen | Output::Close) | None => false,
                }
            });
            if is_found {
                learned.found.insert(cause, now);
            }
        }
    }

    fn end(&mut self, is_over: impl Fn(&RunId) -> bool) {
        let (now, bounds) = (self.registry.clock().unix_ns(), self.bounds);
        let over: Vec<Learned> =
            self.runs.extract_if(|id, _| is_over(id)).map(|(_, learned)| learned).collect();
        if over.is_empty() {
            return;
        }
        self.agents.ends(over.into_iter().map(|mut learned| {
            let name = learned.run.agent.name.clone();
            (name, move |baseline: &mut Baseline| learned.end(baseline, &bounds, now))
        }));
    }
}

// === impl Learned ===

impl Learned {
    /// Takes what the run did up to now; what departs far.
    fn look(&mut self, baseline: &mut Baseline, bounds: &Bounds, now: u64) -> Vec<(Cause, Departed)> {
        let Some(look) = self.take(baseline, now) else { return Vec::new() };
        let closed = self.windows.reading(now, &look.total);
        let (counts, since) = match &closed {
            Some(closed) => (closed.counts, closed.began_unix_ns),
            None => self.windows.under_way(&look.total),
        };
        let part = self.part(closed.is_some());
        let new = self.note_new(baseline, &part);
        let deviation = baseline.deviation(&Window { counts: &counts, new, part: None }, bounds);
        let mut departures = deviation.departures;
        if let Some(closed) = closed.as_ref().filter(|_| deviation.is_known) {
            self.drift.windows(baseline.distance(&closed.counts), closed.windows);
            departures.extend(baseline.drifted(&self.drift));
        }
        let far = departures.iter().filter(|departure| deviation.is_known && departure.is_far());
        let found = far
            .map(|departure| {
                (departure.cause, departed(departure, baseline, (&look.fresh, &part), (since, now)))
            })
            .collect();
        self.learn(baseline, (&part, closed.as_ref()), bounds, now);
        found
    }

    /// The same at its end, when nothing can be found any more.
    fn end(&mut self, baseline: &mut Baseline, bounds: &Bounds, now: u64) {
        let now = self.run.account().ended_unix_ns.unwrap_or(now);
        let Some(look) = self.take(baseline, now) else { return };
        let closed = self.windows.end(now, &look.total);
        let part = self.part(true);
        self.note_new(baseline, &part);
        self.learn(baseline, (&part, closed.as_ref()), bounds, now);
        baseline.run_ended(self.was_known.then_some(self.new));
    }

    /// What was seen since the last look, as far as it is learned at all; its facts are noted.
    fn take(&mut self, baseline: &mut Baseline, now: u64) -> Option<Look> {
        let total = total(&self.run);
        let (look, version) = self.run.seen(|seen| {
            let look = Look {
                total,
                fresh: seen.observed.take_fresh(),
                facts: seen.facts,
                findings: std::mem::take(&mut seen.findings),
            };
            (look, seen.take_version())
        })?;
        if let Some(version) = version
            && baseline.begins(version, now)
        {
            let name = &self.run.agent.name;
            tracing::info!(agent = name, run.id = %self.run.id, "a new version of the agent is learned anew");
        }
        let standing = &mut baseline.standing;
        standing.run(self.run.started_unix_ns, &self.run.id.0, self.facts.and(look.facts));
        for (sort, count) in SORTS.into_iter().zip(look.findings) {
            (0..count).for_each(|_| standing.finding(now, sort));
        }
        Some(look)
    }

    /// What was used since the last look, and in which order in a window that has closed.
    fn part(&self, has_closed: bool) -> Part {
        self.run.seen(|seen| seen.observed.take(has_closed)).unwrap_or_default()
    }

    /// How much of it the agent has not used before, of each kind.
    fn note_new(&mut self, baseline: &Baseline, part: &Part) -> [u64; KINDS] {
        let new = baseline.new_of(part);
        for (kind, count) in new.iter().enumerate() {
            self.new[kind] |= *count > 0;
            self.new_in_window[kind] += count;
        }
        new
    }

    fn learn(
        &mut self,
        baseline: &mut Baseline,
        (part, closed): (&Part, Option<&Closed>),
        bounds: &Bounds,
        now: u64,
    ) {
        if let Some(closed) = closed {
            let new = std::mem::take(&mut self.new_in_window);
            let window = Window { counts: &closed.counts, new, part: Some(part) };
            // One in which nothing was done says nothing about how it behaves.
            if closed.counts.iter().any(|count| *count > 0) {
                baseline.standing.window(closed.ended_unix_ns, baseline.deviation(&window, bounds).score);
            }
        }
        baseline.absorb(part, closed, &mut self.share, bounds, now);
    }
}

/// The run's counters, as windows have them.
fn total(run: &Run) -> Counts {
    let counter::Counts {
        processes_born,
        execs,
        opens,
        opens_for_write,
        unlinks,
        renames,
        connects,
        sends,
        ..
    } = run.account().counts;
    Rate::ALL.map(|rate| match rate {
        Rate::Forks => processes_born,
        Rate::Execs => execs,
        Rate::Opens => opens,
        Rate::Writes => opens_for_write,
        Rate::Unlinks => unlinks,
        Rate::Renames => renames,
        Rate::Connects => connects,
        Rate::Sends => sends,
    })
}

/// What a finding says of it.
fn departed(
    departure: &Departure,
    baseline: &Baseline,
    (fresh, part): (&[Fresh], &Part),
    (since, now): (u64, u64),
) -> Departed {
    let term = |term: &sentry_baseline::Term| {
        let sentry_baseline::Term { name, value, unit, limit } = term.clone();
        Term { name, value, unit: unit.to_owned(), limit }
    };
    let mut arithmetic: Vec<Term> = departure.terms.iter().map(term).collect();
    arithmetic.push(Term {
        name: "confidence".to_owned(),
        value: CONFIDENCE,
        unit: String::new(),
        limit: None,
    });
    let learned = format!("{} windows of {} runs", baseline.windows, baseline.runs);
    let (severity, summary, since_unix_ns, event) = match departure.cause {
        Cause::New(kind) => {
            let first = fresh.iter().find(|fresh| fresh.kind == kind && !baseline.knows(kind, &fresh.name));
            // Beside much else that was new to the run its event is not known.
            let mut used = part.used(kind).filter(|(name, _)| !baseline.knows(kind, name));
            let (name, since) = match first {
                Some(first) => (&*first.name, first.time_unix_ns),
                None => used.next().unwrap_or(("?", since)),
            };
            let summary = format!("first use by this agent: {} {name} (learned: {learned}).", kind.name());
            let event = first.map(|first| first.event.to_string());
            (Severity::Low, summary, since, event)
        }
        Cause::Drift => {
            let windows = departure.terms.iter().find(|term| term.name == WINDOWS_ADDED_UP);
            let windows = windows.map_or(0.0, |term| term.value);
            let summary = format!(
                "more execs than usual for {windows} windows, none of which departs far (learned: {learned})."
            );
            (Severity::Low, summary, since, None)
        }
        Cause::Rate(_) | Cause::Order => {
            let last = departure.terms.last();
            let (value, limit) = last.map_or((0.0, 0.0), |term| (term.value, term.limit.unwrap_or_default()));
            let seconds = now.saturating_sub(since) as f64 / 1e9;
            let summary = format!(
                "{value} {} in {seconds:.1} s, where this agent stays below {limit} in a window (learned: {learned}).",
                departure.cause.name()
            );
            (Severity::Medium, summary, since, None)
        }
    };
    let signal = RunawaySignal { rule: DEPARTURE, confidence: CONFIDENCE, severity, summary, arithmetic };
    let tags = TAGS.iter().map(|&tag| tag.to_owned()).collect();
    Departed { signal, since_unix_ns, event, tags }
}
