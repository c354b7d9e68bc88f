//! A recording → what follows from it: the findings and decisions of a new machine that is given
//! the same.

use std::{collections::BTreeMap, sync::Arc};

use sentry_detect::{
    decision::{Decision, Outcome, OutcomeKind},
    event::Event,
    finding::Finding,
    rule::Settings,
    run::{
        Input, Output, RunMachine,
        machine::{Over, Recovered},
    },
};
use sentry_proto::block::Events;
use sentry_rules::{Judge, RuleSet, Tally};

use crate::{
    error::RecordingError,
    file::{Recording, Stretch},
    part::Packed,
    step::{Rare, Step},
    unroll::Unroll,
};

/// Most lives of the sensor in one run.
const MOST_LIVES: usize = 4_096;

/// What followed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replay {
    /// In its order.
    pub judged: Vec<Judged>,
    pub missing: Missing,
    /// Readings of the counters.
    pub readings: u64,
    /// Events that the machine was given.
    pub events: u64,
    /// When the first life began, and the last reading was.
    pub began_unix_ns: u64,
    pub ended_unix_ns: u64,
}

/// A finding with what was decided on it, or what somebody decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    Found { finding: Box<Finding>, decisions: Vec<Decision> },
    Ordered(Decision),
}

/// What the recording does not have: findings may differ by that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Events that the machine was given then and are in no store.
    pub events: u64,
    /// Parts of tapes.
    pub parts: u64,
    /// Tapes that have no beginning, or were cut because they were full.
    pub lives: u64,
}

impl Missing {
    /// Nothing is: what follows has to be what followed then.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Replay {
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.judged.iter().filter_map(|judged| match judged {
            Judged::Found { finding, .. } => Some(&**finding),
            Judged::Ordered(_) => None,
        })
    }

    pub fn decisions(&self) -> impl Iterator<Item = &Decision> {
        self.judged.iter().flat_map(|judged| match judged {
            Judged::Found { decisions, .. } => decisions.as_slice(),
            Judged::Ordered(decision) => std::slice::from_ref(decision),
        })
    }

    /// All findings and decisions, a line of JSON each.
    ///
    /// # Errors
    ///
    /// Never, as far as is known: they are made of what JSON can say.
    pub fn lines(&self) -> Result<Vec<u8>, RecordingError> {
        let mut lines = Vec::new();
        for judged in &self.judged {
            let mut line = |value: Result<Vec<u8>, serde_json::Error>| {
                lines.extend(value.map_err(|source| RecordingError::Step { source })?);
                lines.push(b'\n');
                Ok::<_, RecordingError>(())
            };
            match judged {
                Judged::Found { finding, decisions } => {
                    line(serde_json::to_vec(finding))?;
                    decisions.iter().try_for_each(|decision| line(serde_json::to_vec(decision)))?;
                }
                Judged::Ordered(decision) => line(serde_json::to_vec(decision))?,
            }
        }
        Ok(lines)
    }
}

/// What holds instead of what held then.
#[derive(Clone, Copy, Default)]
pub struct Other<'a> {
    /// Limits, by the name of the agent.
    pub limits: Option<&'a dyn Fn(&str) -> Settings>,
    /// Rules of somebody's own.
    pub rules: Option<&'a Arc<RuleSet>>,
}

impl Other<'_> {
    const fn is_nothing(&self) -> bool {
        self.limits.is_none() && self.rules.is_none()
    }
}

/// Judges the recorded run again, by the limits that held then or, where `limits` gives some for
/// its agent, by those. What rules of somebody's own found then is in the recording, and is found
/// again without them.
///
/// # Errors
///
/// The recording is damaged in a way that no checksum shows.
pub fn replay(
    recording: &Recording,
    limits: Option<&dyn Fn(&str) -> Settings>,
) -> Result<Replay, RecordingError> {
    replay_by(recording, Other { limits, rules: None })
}

/// The same, by other limits or other rules.
///
/// By others, acts of then are left out, because nobody knows what would have followed without
/// them: each decision counts as if it had been done, and nothing stops.
///
/// # Errors
///
/// The recording is damaged in a way that no checksum shows.
pub fn replay_by(recording: &Recording, other: Other<'_>) -> Result<Replay, RecordingError> {
    let mut lives: BTreeMap<&str, Vec<&Packed>> = BTreeMap::new();
    let mut order = Vec::new();
    for part in &recording.parts {
        let parts = lives.entry(&part.life).or_insert_with(|| {
            order.push(part.life.as_str());
            Vec::new()
        });
        parts.push(part);
    }
    if order.len() > MOST_LIVES {
        return Err(RecordingError::Limit { what: "lives of the sensor" });
    }
    let mut replay = Replay::default();
    let first = order.first().copied().unwrap_or_default();
    for life in order {
        let mut parts = lives.remove(life).unwrap_or_default();
        parts.sort_by_key(|part| part.number);
        let events = Feed::new(recording, first, life, given(&parts)?);
        Life { other, replay: &mut replay, machine: None, own: None }.play(events, &parts)?;
    }
    Ok(replay)
}

/// One life of the sensor.
struct Life<'a> {
    other: Other<'a>,
    replay: &'a mut Replay,
    machine: Option<(RunMachine, String)>,
    own: Option<Judge>,
}

impl Life<'_> {
    fn play(&mut self, mut events: Feed<'_>, parts: &[&Packed]) -> Result<(), RecordingError> {
        let mut unroll = Unroll::default();
        for (expected, part) in parts.iter().enumerate() {
            let steps = unroll.part(part)?;
            // A life whose beginning is lost cannot be judged.
            if part.number != expected as u64 || (expected == 0 && !begins(&steps)) {
                let missing = &mut self.replay.missing;
                missing.parts = missing.parts.saturating_add(part.number.saturating_sub(expected as u64));
                missing.lives += 1;
                return Ok(());
            }
            for step in steps {
                self.step(step, &mut events)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, step: Step, events: &mut Feed<'_>) -> Result<(), RecordingError> {
        match step {
            Step::Events(count) => {
                let mut left = count;
                while left > 0 {
                    match events.next()? {
                        Some(event) => {
                            self.event(&event);
                            left -= 1;
                        }
                        None => {
                            let missing = events.skip(left);
                            self.is_missing(missing);
                            left -= missing;
                        }
                    }
                }
            }
            Step::Undelivered(count) => self.is_missing(count),
            Step::Reading { now_unix_ns, usage, room } => {
                self.replay.readings += 1;
                self.replay.ended_unix_ns = now_unix_ns;
                self.input(Input::Reading { usage, room }, now_unix_ns);
            }
            Step::Counted(counted) => self.input(Input::Counted { counted, began_boot_ns: 0 }, 0),
            Step::Refused(records) => self.input(Input::Refused(records), 0),
            Step::UnseenEnd => self.input(Input::UnseenEnd, 0),
            Step::Found => self.input(Input::Found, 0),
            Step::Drained => self.input(Input::Drained, 0),
            Step::Rare { now_unix_ns, rare } => self.rare(*rare, now_unix_ns),
            Step::Cut => self.replay.missing.lives += 1,
        }
        Ok(())
    }

    fn rare(&mut self, rare: Rare, now_unix_ns: u64) {
        let is_as_then = self.other.is_nothing();
        match rare {
            Rare::Begin(begin) => {
                let agent = begin.agent().to_owned();
                let (mut setup, usage) = begin.into_setup();
                if let Some(limits) = self.other.limits {
                    setup.settings = limits(&agent);
                }
                if self.replay.began_unix_ns == 0 {
                    self.replay.began_unix_ns = now_unix_ns;
                }
                let rules = self.other.rules;
                self.own = rules
                    .and_then(|rules| Judge::new(rules, &agent, &setup.id_prefix, &Arc::<Tally>::default()));
                self.machine = Some((RunMachine::new(setup, &usage, now_unix_ns), agent));
            }
            Rare::Settings { settings, mode } => {
                let settings = match (self.other.limits, &self.machine) {
                    (Some(limits), Some((_, agent))) => limits(agent),
                    (None, _) | (_, None) => *settings,
                };
                self.input(Input::Settings { settings, mode }, now_unix_ns);
            }
            Rare::Recovered { frozen, stopped, older } => {
                let recovered = Recovered { frozen, stopped, older };
                self.input(Input::Recovered(recovered), now_unix_ns);
            }
            Rare::Over { released } => {
                let over = if released { Over::Released } else { Over::Empty };
                self.input(Input::Over(over), now_unix_ns);
            }
            Rare::Closed { skipped } => self.input(Input::Closed { skipped }, now_unix_ns),
            Rare::Ruled { ruled } if self.other.rules.is_none() => {
                self.input(Input::Ruled(ruled), now_unix_ns);
            }
            Rare::Ruled { .. } => {}
            Rare::Departed { departed } => self.input(Input::Departed(departed), now_unix_ns),
            Rare::Order { action, origin, reason } if is_as_then => {
                self.input(Input::Order { action, origin, reason }, now_unix_ns);
            }
            Rare::Outcome { outcome, stopped } if is_as_then => {
                self.input(Input::Outcome { outcome: &outcome, stopped }, now_unix_ns);
            }
            Rare::Order { .. } | Rare::Outcome { .. } => {}
        }
    }

    fn is_missing(&mut self, events: u64) {
        let missing = &mut self.replay.missing.events;
        *missing = missing.saturating_add(events);
    }

    fn event(&mut self, event: &Event) {
        self.replay.events += 1;
        self.input(Input::Event { event, delivered: true }, event.time_unix_ns);
    }

    fn input(&mut self, input: Input<'_>, now_unix_ns: u64) {
        let Some((machine, _)) = &mut self.machine else { return };
        let is_due = matches!(input, Input::Reading { room: true, .. });
        if let Some(own) = &mut self.own {
            own.input(&input, machine.mode());
        }
        self.machine_input(input, now_unix_ns);
        let due = self.own.as_mut().filter(|_| is_due).map(|own| own.due(now_unix_ns));
        due.into_iter().flatten().for_each(|ruled| self.machine_input(Input::Ruled(ruled), now_unix_ns));
    }

    fn machine_input(&mut self, input: Input<'_>, now_unix_ns: u64) {
        let Some((machine, _)) = &mut self.machine else { return };
        for output in machine.step(input, now_unix_ns) {
            let judged = match output {
                Output::Found { finding, decisions } => Judged::Found { finding, decisions },
                Output::Decided(decision) => Judged::Ordered(decision),
                Output::LeftFrozen | Output::Close => continue,
            };
            if !self.other.is_nothing() {
                let decisions = match &judged {
                    Judged::Found { decisions, .. } => decisions.as_slice(),
                    Judged::Ordered(decision) => std::slice::from_ref(decision),
                };
                for decision in decisions {
                    let outcome = would_apply(decision);
                    // Nothing follows from that.
                    machine.step(Input::Outcome { outcome: &outcome, stopped: Vec::new() }, now_unix_ns);
                }
            }
            self.replay.judged.push(judged);
        }
    }
}

fn would_apply(decision: &Decision) -> Outcome {
    let Decision { id, run, action, time_unix_ns, .. } = decision.clone();
    let result = OutcomeKind::WouldApply;
    Outcome { decision: id, run, action, result, time_unix_ns, took_ns: 0, processes: 0, survivors: 0 }
}

/// Whether they are the first of a life.
fn begins(steps: &[Step]) -> bool {
    matches!(steps.first(), Some(Step::Rare { rare, .. }) if matches!(**rare, Rare::Begin(_)))
}

/// Events that a life's machine was given, by its tape.
fn given(parts: &[&Packed]) -> Result<u64, RecordingError> {
    let (mut unroll, mut given) = (Unroll::default(), 0_u64);
    for part in parts {
        for step in unroll.part(part)? {
            if let Step::Events(count) = step {
                given = given.saturating_add(count);
            }
        }
    }
    Ok(given)
}

/// The events of one life, in their order.
struct Feed<'a> {
    recording: &'a Recording,
    stretches: Vec<&'a Stretch>,
    /// Of the stretches, those behind the open one.
    next: usize,
    open: Option<(Events, usize)>,
    /// Missing before the next one.
    missing: u64,
}

impl<'a> Feed<'a> {
    /// `given`: how many there were. The store forgets the oldest first. What is missing is of the
    /// life of the events before it, of the `first` where there are none.
    fn new(recording: &'a Recording, first: &'a str, life: &str, given: u64) -> Self {
        let (mut stretches, mut known, mut of) = (Vec::new(), 0_u64, first);
        for stretch in &recording.stretches {
            let count = match stretch {
                Stretch::Events { life, count, .. } => {
                    of = life;
                    *count
                }
                Stretch::Missing(count) => *count,
            };
            if of == life {
                known = known.saturating_add(count);
                stretches.push(stretch);
            }
        }
        Self { recording, stretches, next: 0, open: None, missing: given.saturating_sub(known) }
    }

    /// The next event; `None`: it is missing, and to be skipped.
    fn next(&mut self) -> Result<Option<Event>, RecordingError> {
        while self.missing == 0 {
            if let Some((events, place)) = &mut self.open
                && *place < events.len()
            {
                *place += 1;
                return Ok(Some(events.event(*place - 1)?.try_into()?));
            }
            let Some(stretch) = self.stretches.get(self.next) else { return Ok(None) };
            self.next += 1;
            match stretch {
                Stretch::Events { block, .. } => self.open = Some((self.recording.open(block)?, 0)),
                Stretch::Missing(count) => self.missing = *count,
            }
        }
        Ok(None)
    }

    /// Skips missing events, at most so many, and says how many; all of them behind the last one.
    fn skip(&mut self, most: u64) -> u64 {
        if self.missing == 0 {
            return most;
        }
        let skipped = self.missing.min(most);
        self.missing -= skipped;
        skipped
    }
}
