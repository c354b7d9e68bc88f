//! The rules in one run: what its events match, and what is newly found.
//!
//! Events are judged as they come; what they match waits for the next reading and is a finding
//! then. A rule that was found is found again once its `again` is over; what it matched meanwhile
//! is counted in that finding. Where several rules match one event, the strictest verdict holds:
//! rules of a milder one find nothing by that event.
//!
//! It is a function of the events and of the times of readings, so that a replay finds the same.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use sentry_detect::{
    decision::{Action, OutcomeKind},
    event::{Event, Ring},
    finding::Ruled,
    run::{Input, Mode},
    runaway::{RunawaySignal, Term},
};

use crate::{
    field::{Facts, Field, Value},
    file::Verdict,
    kind::Types,
    rule::Rule,
    set::RuleSet,
    window::{Counted, Mark, Room},
};

/// Most findings of one reading; others come with the next ones.
pub const MOST_AT_ONCE: usize = 8;
/// Most events that show one.
const MOST_EVIDENCE: usize = 20;
/// Longest name kept of a program, and of what it did something to, bytes.
const LONGEST: usize = 160;

/// What was counted over all runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// Events that a rule asked for and was judged by.
    pub judged: AtomicU64,
    /// Conditions that had no answer.
    pub errors: AtomicU64,
    /// Events that windows had no room for.
    pub given_up: AtomicU64,
}

/// The rules in one run.
#[derive(Debug)]
pub struct Judge {
    set: Arc<RuleSet>,
    on: Types,
    mine: Vec<OfRule>,
    room: Room,
    tally: Arc<Tally>,
    /// What the ids of the events begin with.
    prefix: String,
    /// Of the newest reading.
    now_unix_ns: u64,
    /// Rules that match the event at hand.
    hits: Vec<(usize, Vec<Mark>)>,
}

/// A rule, and what it has seen in the run.
#[derive(Debug)]
struct OfRule {
    /// Its place in the set.
    rule: usize,
    counted: Counted,
    /// Events that it matched since it was last found.
    matched: u64,
    cools_until_unix_ns: u64,
    found: Option<Found>,
}

/// Waits for the next reading.
#[derive(Debug)]
struct Found {
    summary: String,
    /// Of the window; 0: there is none.
    count: usize,
    marks: Vec<Mark>,
}

impl Judge {
    /// The rules for a run of this agent; `None`: none is for it. `id_prefix`: what the ids of its
    /// events begin with.
    #[must_use]
    pub fn new(set: &Arc<RuleSet>, agent: &str, id_prefix: &str, tally: &Arc<Tally>) -> Option<Self> {
        Self::of(set, |rule| rule.is_for(agent), id_prefix, tally)
    }

    pub(crate) fn of(
        set: &Arc<RuleSet>,
        is_wanted: impl Fn(&Rule) -> bool,
        id_prefix: &str,
        tally: &Arc<Tally>,
    ) -> Option<Self> {
        let wanted = set.rules().iter().enumerate().filter(|(_, rule)| is_wanted(rule));
        let (mut on, mut mine) = (Types::default(), Vec::new());
        for (place, rule) in wanted {
            on = on.with(rule.on);
            mine.push(OfRule {
                rule: place,
                counted: Counted::default(),
                matched: 0,
                cools_until_unix_ns: 0,
                found: None,
            });
        }
        (!mine.is_empty()).then(|| Self {
            set: Arc::clone(set),
            on,
            mine,
            room: Room::default(),
            tally: Arc::clone(tally),
            prefix: id_prefix.to_owned(),
            now_unix_ns: 0,
            hits: Vec::new(),
        })
    }

    /// The rules that it judges by.
    #[must_use]
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Takes what the run's machine is given, whose mode is `mode` before that.
    pub fn input(&mut self, input: &Input<'_>, mode: Mode) {
        match input {
            Input::Event { event, .. } => self.event(event),
            Input::Outcome { outcome, .. } if outcome.result == OutcomeKind::Applied => {
                match outcome.action {
                    Action::Freeze | Action::Thaw | Action::Kill => self.acted(),
                    Action::Observe | Action::Restart => {}
                }
            }
            // What was only observed may now be acted on.
            Input::Settings { mode: new, .. } if *new != mode => {
                self.mine.iter_mut().for_each(|of| of.cools_until_unix_ns = 0);
            }
            Input::Outcome { .. }
            | Input::Settings { .. }
            | Input::Refused(_)
            | Input::Counted { .. }
            | Input::Reading { .. }
            | Input::UnseenEnd
            | Input::Found
            | Input::Departed(_)
            | Input::Ruled(_)
            | Input::Order { .. }
            | Input::Recovered(_)
            | Input::Over(_)
            | Input::Drained
            | Input::Closed { .. } => {}
        }
    }

    fn event(&mut self, event: &Event) {
        let types = event.types();
        // Nothing is looked at of an event that no rule asks for.
        if self.on.meets(types) {
            let Event { time_unix_ns, sequence, ring, .. } = *event;
            self.take(event, types, Mark { time_unix_ns, sequence, ring });
        }
    }

    /// Judges an event; the verdict of the rules that match.
    pub(crate) fn take(&mut self, facts: &dyn Facts, types: Types, mark: Mark) -> Option<Verdict> {
        self.tally.judged.fetch_add(1, Relaxed);
        self.hits.clear();
        let mut strictest = None;
        for (place, of) in self.mine.iter_mut().enumerate() {
            let rule = &self.set.rules()[of.rule];
            if !rule.on.meets(types) {
                continue;
            }
            match rule.holds(facts) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_no_answer) => {
                    self.tally.errors.fetch_add(1, Relaxed);
                    continue;
                }
            }
            let marks = match &rule.window {
                None => vec![mark],
                Some(window) => match of.counted.add(window, facts, mark, &mut self.room) {
                    Some(marks) => marks,
                    None => continue,
                },
            };
            strictest = strictest.max(Some(rule.verdict));
            self.hits.push((place, marks));
        }
        let given_up = std::mem::take(&mut self.room.given_up);
        if given_up > 0 {
            self.tally.given_up.fetch_add(given_up, Relaxed);
        }
        for (place, marks) in std::mem::take(&mut self.hits) {
            let of = &mut self.mine[place];
            let rule = &self.set.rules()[of.rule];
            if rule.verdict != Verdict::Allow && Some(rule.verdict) == strictest {
                of.hit(rule, facts, mark, marks, self.now_unix_ns);
            }
        }
        strictest
    }

    /// Takes a reading at which findings can be taken, and says what is newly found: at most
    /// [`MOST_AT_ONCE`].
    pub fn due(&mut self, now_unix_ns: u64) -> Vec<Ruled> {
        self.now_unix_ns = now_unix_ns;
        let mut all = Vec::new();
        for of in self.mine.iter_mut().filter(|of| of.found.is_some()).take(MOST_AT_ONCE) {
            let rule = &self.set.rules()[of.rule];
            let Some(found) = of.found.take() else { continue };
            of.cools_until_unix_ns = now_unix_ns.saturating_add(rule.again_ns);
            let matched = std::mem::take(&mut of.matched);
            all.push(ruled(rule, found, matched, &self.prefix));
        }
        all
    }

    /// The run was acted on: what came before says nothing about what comes now.
    fn acted(&mut self) {
        for of in &mut self.mine {
            of.counted.clear(&mut self.room);
            (of.found, of.matched, of.cools_until_unix_ns) = (None, 0, 0);
        }
    }
}

impl OfRule {
    fn hit(&mut self, rule: &Rule, facts: &dyn Facts, mark: Mark, marks: Vec<Mark>, now_unix_ns: u64) {
        self.matched += 1;
        match &mut self.found {
            Some(found) => {
                if found.marks.len() < MOST_EVIDENCE && !found.marks.contains(&mark) {
                    found.marks.push(mark);
                }
            }
            None if now_unix_ns < self.cools_until_unix_ns => {}
            None => {
                let count = rule.window.map_or(0, |_| marks.len());
                let newest = marks.len().saturating_sub(MOST_EVIDENCE);
                let marks = marks[newest..].to_vec();
                self.found = Some(Found { summary: summary(rule, facts, count), count, marks });
            }
        }
    }
}

/// The finding, of `matched` events since the one before.
fn ruled(rule: &Rule, found: Found, matched: u64, prefix: &str) -> Ruled {
    let Found { summary, count, marks } = found;
    let term = |name: String, value: f64, limit| Term { name, value, unit: String::new(), limit };
    let mut arithmetic = Vec::new();
    if let Some(window) = rule.window {
        let of = window
            .distinct
            .map_or("events".to_owned(), |field| format!("different values of {}", field.name()));
        arithmetic.push(term(
            format!("{of} within {}", window.within),
            count as f64,
            Some(window.count as f64),
        ));
    }
    // With a window, those after it was full.
    let name = if rule.window.is_some() { "times that it was reached" } else { "events that match" };
    arithmetic.push(term(name.to_owned(), matched as f64, Some(1.0)));
    arithmetic.push(term("confidence".to_owned(), rule.confidence, None));
    let signal = RunawaySignal {
        rule: rule.id.clone(),
        confidence: rule.confidence,
        severity: rule.severity,
        summary,
        arithmetic,
    };
    let id = |mark: &Mark| {
        let ring = match mark.ring {
            Ring::Critical => 'c',
            Ring::Bulk => 'b',
        };
        format!("{prefix}-{ring}-{}", mark.sequence)
    };
    Ruled {
        signal,
        since_unix_ns: marks.first().map_or(0, |mark| mark.time_unix_ns),
        evidence: marks.iter().map(id).collect(),
        tags: rule.tags.clone(),
        reach: rule.reach,
    }
}

/// One sentence: the title, who did what to what, how often, and what to do.
fn summary(rule: &Rule, facts: &dyn Facts, count: usize) -> String {
    let text = |field| match facts.get(field) {
        Some(Value::Text(text)) if !text.is_empty() => Some(cut(&text).to_owned()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let by = text(Field::Exe).or_else(|| text(Field::Pid).map(|pid| format!("process {pid}")));
    let did = text(Field::Act).or_else(|| text(Field::Type)).unwrap_or_default();
    let port = text(Field::Port).map_or(String::new(), |port| format!(" port {port}"));
    let address = text(Field::Address).map(|address| address + &port);
    let object = match did.as_str() {
        "exec" => text(Field::Command),
        _ => text(Field::Path).or_else(|| text(Field::Name)).or(address),
    };
    // What matched, where that is none of these.
    let matched = rule.matches.iter().find_map(|one| one.text(facts)).map(|text| cut(&text).to_owned());
    let object = object.or(matched);
    let mut out = format!("{}: {}", rule.title, by.unwrap_or_else(|| "a process".to_owned()));
    [Some(did), object].into_iter().flatten().for_each(|part| {
        out.push(' ');
        out.push_str(&part);
    });
    if let Some(window) = &rule.window {
        let of = window
            .distinct
            .map_or("times".to_owned(), |field| format!("different values of {}", field.name()));
        out.push_str(&format!(", {count} {of} within {}", window.within));
        if let Some(value) = window.by.and_then(|by| Some((by.name(), text(by)?))) {
            out.push_str(&format!(" by {} {}", value.0, value.1));
        }
    }
    if !rule.next.is_empty() {
        out.push_str(&format!("; next: {}", rule.next));
    }
    out
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
