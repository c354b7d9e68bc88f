//! Inputs of a run's machine → parts.
//!
//! # A part
//!
//! Steps, one behind the other: a byte that says which, then protobuf varints; differences are
//! zigzag. Each part begins with zero before every difference.
//!
//! ```text
//! 0, 1           a reading 100 or 101 ms after the one before: nothing has changed
//! 2 reading      flags (1 = no room, 2, 4, 8 = CPU, wait, bytes have changed), time: ms beyond 100
//!                since the one before, and what has changed, as differences
//! 3 counted      bits of the columns that have changed, and their differences
//! 4, 5 events    how many: in the journal, or lost before it
//! 6 refused      records of each ring
//! 7, 8, 9        an end that was not seen; a finding made elsewhere; drained
//! 10 rare        time in Unix ns, then a text: JSON. The first step of a life: how the run began
//! 11 cut         the tape was full
//! 12 holds       bits of what has changed, and its differences: when it was looked at, then memory, its
//!                limit, threads and descriptors, each one more than it is, and 0 where it is not known
//! ```
//!
//! Left out is what nothing that is found or decided depends on: when the counters were read.
//!
//! # Limits
//!
//! A tape that nobody takes parts of ends at [`MOST_BYTES`], with a step for that. An event
//! costs an addition.

use sentry_detect::run::{Counted, Holds, Input, Setup, Usage};

use crate::{
    code::{changed, put, put_changes, put_difference, put_text},
    columns,
    part::Part,
    step::{Begin, NO_ROOM, PERIOD_MS, Rare, tag},
};

/// Bytes from which on a part is worth keeping.
pub const DUE_BYTES: usize = 4 << 10;
/// Most bytes of a tape.
pub const MOST_BYTES: usize = 64 << 10;

const MS: u64 = 1_000_000;

/// A run lives in whole milliseconds: its readings cost a byte then, and a spread of some
/// microseconds says nothing about it.
#[must_use]
pub fn whole_ms(unix_ns: u64) -> u64 {
    unix_ns - unix_ns % MS
}

/// The tape of one run in one life of the sensor.
#[derive(Debug)]
pub struct Tape {
    life: String,
    /// Of the next part.
    number: u64,
    plain: Vec<u8>,
    last: Last,
    /// As last given, over all parts.
    counted: Counted,
    /// Events since the last step.
    events: u64,
    undelivered: u64,
    is_cut: bool,
}

/// What the next difference counts from.
#[derive(Debug, Default)]
struct Last {
    ms: u64,
    usage: Usage,
    row: [u64; columns::COUNT],
}

impl Tape {
    /// Of the machine that is made of this.
    #[must_use]
    pub fn new(setup: &Setup, usage: &Usage, now_unix_ns: u64) -> Self {
        let mut tape = Self {
            life: setup.id_prefix.clone(),
            number: 0,
            plain: Vec::new(),
            last: Last::default(),
            counted: Counted::default(),
            events: 0,
            undelivered: 0,
            is_cut: false,
        };
        tape.rare(&Rare::Begin(Box::new(Begin::new(setup, usage))), now_unix_ns);
        tape
    }

    /// Takes an input on its way to the machine.
    pub fn input(&mut self, input: &Input<'_>, now_unix_ns: u64) {
        match input {
            Input::Event { delivered: true, .. } => {
                self.events += 1;
                return;
            }
            Input::Event { delivered: false, .. } => {
                self.undelivered += 1;
                return;
            }
            // Counters that were read before change nothing.
            Input::Counted { counted, .. } if *counted == self.counted => return,
            _ => {}
        }
        if self.is_cut || !self.has_room() {
            return;
        }
        self.put_events();
        match input {
            Input::Event { .. } => {}
            Input::Reading { usage, room } => self.reading(*usage, *room, now_unix_ns),
            Input::Counted { counted, began_boot_ns: _ } => self.counters(counted),
            Input::Refused(records) => {
                self.plain.push(tag::REFUSED);
                records.iter().for_each(|records| put(*records, &mut self.plain));
            }
            Input::UnseenEnd => self.plain.push(tag::UNSEEN_END),
            Input::Found => self.plain.push(tag::FOUND),
            Input::Drained => self.plain.push(tag::DRAINED),
            Input::Departed(departed) => {
                self.rare(&Rare::Departed { departed: departed.clone() }, now_unix_ns);
            }
            Input::Ruled(ruled) => self.rare(&Rare::Ruled { ruled: ruled.clone() }, now_unix_ns),
            Input::Order { action, origin, reason } => {
                let (origin, reason) = (origin.clone(), reason.clone());
                self.rare(&Rare::Order { action: *action, origin, reason }, now_unix_ns);
            }
            Input::Outcome { outcome, stopped } => {
                let (outcome, stopped) = ((*outcome).clone(), stopped.clone());
                self.rare(&Rare::Outcome { outcome, stopped }, now_unix_ns);
            }
            Input::Settings { settings, mode } => {
                let settings = Box::new(settings.clone());
                self.rare(&Rare::Settings { settings, mode: *mode }, now_unix_ns);
            }
            Input::Recovered(recovered) => self.rare(&recovered.into(), now_unix_ns),
            Input::Over(over) => self.rare(&(*over).into(), now_unix_ns),
            Input::Closed { skipped } => self.rare(&Rare::Closed { skipped: *skipped }, now_unix_ns),
        }
    }

    /// Whether a part of it is worth keeping now.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.plain.len() >= DUE_BYTES
    }

    /// Takes off what is on it; `None`: nothing is.
    pub fn take(&mut self) -> Option<Part> {
        if !self.is_cut {
            self.put_events();
        }
        if self.plain.is_empty() {
            return None;
        }
        let part =
            Part { life: self.life.clone(), number: self.number, plain: std::mem::take(&mut self.plain) };
        self.number += 1;
        self.last = Last::default();
        Some(part)
    }

    /// Cuts it where it is full.
    fn has_room(&mut self) -> bool {
        if self.plain.len() >= MOST_BYTES {
            self.plain.push(tag::CUT);
            self.is_cut = true;
        }
        !self.is_cut
    }

    fn put_events(&mut self) {
        let [events, undelivered] = [&mut self.events, &mut self.undelivered].map(std::mem::take);
        for (tag, count) in [(tag::EVENTS, events), (tag::UNDELIVERED, undelivered)] {
            if count > 0 {
                self.plain.push(tag);
                put(count, &mut self.plain);
            }
        }
    }

    fn reading(&mut self, usage: Usage, room: bool, now_unix_ns: u64) {
        self.holds(usage.holds);
        let (ms, before) = (now_unix_ns / MS, std::mem::replace(&mut self.last.usage, usage));
        let due = std::mem::replace(&mut self.last.ms, ms).wrapping_add(PERIOD_MS);
        let still = usage == before && room;
        match ms.wrapping_sub(due) {
            0 if still => return self.plain.push(tag::SAME),
            1 if still => return self.plain.push(tag::SAME_LATER),
            _ => {}
        }
        let (now, before) = (values(&usage), values(&before));
        self.plain.push(tag::READING);
        put(changed(&now, &before) << 1 | if room { 0 } else { NO_ROOM }, &mut self.plain);
        put_difference(ms, due, &mut self.plain);
        put_changes(&now, &before, &mut self.plain);
    }

    fn holds(&mut self, holds: Holds) {
        let (now, before) = (held(&holds), held(&self.last.usage.holds));
        if now == before {
            return;
        }
        self.last.usage.holds = holds;
        self.plain.push(tag::HOLDS);
        put(changed(&now, &before), &mut self.plain);
        put_changes(&now, &before, &mut self.plain);
    }

    fn counters(&mut self, counted: &Counted) {
        self.counted = *counted;
        let row = columns::row(counted);
        let before = std::mem::replace(&mut self.last.row, row);
        self.plain.push(tag::COUNTED);
        put(changed(&row, &before), &mut self.plain);
        put_changes(&row, &before, &mut self.plain);
    }

    fn rare(&mut self, rare: &Rare, now_unix_ns: u64) {
        // Strings, numbers and lists: nothing that JSON cannot say.
        let json = serde_json::to_vec(rare).unwrap_or_default();
        self.plain.push(tag::RARE);
        put(now_unix_ns, &mut self.plain);
        put_text(&json, &mut self.plain);
    }
}

/// What a reading has, in the order of its flags.
pub(crate) fn values(usage: &Usage) -> [u64; 3] {
    let Usage { cpu_usec, cpu_wait_usec, moved_bytes, holds: _ } = *usage;
    [cpu_usec, cpu_wait_usec, moved_bytes]
}

/// What a run holds as numbers: none is 0, any other one more than it is.
pub(crate) fn held(holds: &Holds) -> [u64; 5] {
    let Holds { looked_unix_ns, memory_bytes, memory_limit_bytes, threads, descriptors } = *holds;
    let number = |held: Option<u64>| held.map_or(0, |held| held.saturating_add(1));
    [looked_unix_ns, number(memory_bytes), number(memory_limit_bytes), number(threads), number(descriptors)]
}

/// The other way round.
pub(crate) fn holding(held: [u64; 5]) -> Holds {
    let [looked_unix_ns, rest @ ..] = held;
    let [memory_bytes, memory_limit_bytes, threads, descriptors] = rest.map(|number| number.checked_sub(1));
    Holds { looked_unix_ns, memory_bytes, memory_limit_bytes, threads, descriptors }
}
