//! Events that match, counted over a time: exactly, and in bounded memory.

use std::collections::VecDeque;

use sentry_detect::event::Ring;
use twox_hash::XxHash3_64;

use crate::{
    field::{Facts, Field, Value},
    rule::{MOST_COUNT, Window},
};

/// Values of `by` that are counted apart; the one that has not matched for longest gives way.
const MOST_KEYS: usize = 32;
/// Most events that the windows of a run hold together.
pub(crate) const MOST_MARKS: usize = 1_024;

/// An event that matches: when, and its place in its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) time_unix_ns: u64,
    pub(crate) sequence: u64,
    pub(crate) ring: Ring,
}

/// The window of one rule in one run.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    value: u64,
    newest_unix_ns: u64,
    marks: VecDeque<(Mark, u64)>,
}

/// How many marks the windows of a run hold, and how many they had to give up.
#[derive(Debug, Default)]
pub(crate) struct Room {
    held: usize,
    pub(crate) given_up: u64,
}

impl Counted {
    /// Takes an event that matches. Where the window is full with it: the events that it counts,
    /// oldest first.
    pub(crate) fn add(
        &mut self,
        window: &Window,
        facts: &dyn Facts,
        mark: Mark,
        room: &mut Room,
    ) -> Option<Vec<Mark>> {
        let value =
            |field: Option<Field>| field.and_then(|field| facts.get(field)).map_or(0, |value| hash(&value));
        let (by, distinct) = (value(window.by), value(window.distinct));
        let within_ns = window.within.ns();
        let key = self.key(by, mark.time_unix_ns, room);
        let marks = &mut key.marks;
        let before = marks.len();
        // Two rings are read one after the other: what comes may be a little older than the newest.
        key.newest_unix_ns = key.newest_unix_ns.max(mark.time_unix_ns);
        let since = key.newest_unix_ns.saturating_sub(within_ns);
        marks.retain(|(mark, value)| {
            mark.time_unix_ns > since && (window.distinct.is_none() || *value != distinct)
        });
        marks.push_back((mark, distinct));
        while marks.len() as u64 > MOST_COUNT {
            marks.pop_front();
        }
        let (now, is_full) = (marks.len(), marks.len() >= window.count);
        let counted = is_full.then(|| marks.iter().map(|(mark, _)| *mark).collect());
        room.held = (room.held + now).saturating_sub(before);
        while room.held > MOST_MARKS && self.give_way(by, room) {}
        counted
    }

    pub(crate) fn clear(&mut self, room: &mut Room) {
        let held: usize = self.keys.iter().map(|key| key.marks.len()).sum();
        room.held = room.held.saturating_sub(held);
        self.keys.clear();
    }

    fn key(&mut self, value: u64, now_unix_ns: u64, room: &mut Room) -> &mut Key {
        let at = self.keys.iter().position(|key| key.value == value).unwrap_or_else(|| {
            if self.keys.len() == MOST_KEYS {
                self.give_way(value, room);
            }
            self.keys.push(Key { value, newest_unix_ns: now_unix_ns, marks: VecDeque::new() });
            self.keys.len() - 1
        });
        &mut self.keys[at]
    }

    /// Forgets the value that has not matched for longest, or the oldest event of the only one.
    /// False: there is nothing to forget.
    fn give_way(&mut self, current: u64, room: &mut Room) -> bool {
        let others = self.keys.iter().enumerate().filter(|(_, key)| key.value != current);
        let oldest = others.min_by_key(|(_, key)| key.newest_unix_ns).map(|(at, _)| at);
        let gone = match oldest {
            Some(at) => self.keys.swap_remove(at).marks.len(),
            None => self.keys.first_mut().and_then(|key| key.marks.pop_front()).map_or(0, |_gone| 1),
        };
        room.held = room.held.saturating_sub(gone);
        room.given_up += gone as u64;
        gone > 0 || oldest.is_some()
    }
}

/// Of a value: the same wherever the rules are judged.
fn hash(value: &Value<'_>) -> u64 {
    match value {
        Value::Text(text) => XxHash3_64::oneshot(text.as_bytes()),
        Value::List(texts) => {
            texts.iter().fold(1, |all, text| XxHash3_64::oneshot_with_seed(all, text.as_bytes()))
        }
        Value::Number(number) => XxHash3_64::oneshot_with_seed(2, &number.to_le_bytes()),
        Value::Flag(flag) => 3 + u64::from(*flag),
    }
}
