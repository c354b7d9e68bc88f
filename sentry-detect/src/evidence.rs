//! The newest events of a run, to show with a finding.
//!
//! Process acts and other acts have a ring of [`KEPT`] each, so that a flood of file acts does not
//! push out the exec that began it. An event belongs to the time of the reading before it. Only
//! the position of an id is kept, as all ids of a run begin alike: an event costs no copy and no
//! allocation. An id of another form is not kept.

use crate::event::{Event, Ring};

/// Ids kept per ring, and most in a finding.
pub(crate) const KEPT: usize = 32;
/// Forks and execs shown with [`Show::All`] even if they came before the window.
const BEFORE: usize = 4;

/// Whose ids to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Forks and execs of the window.
    Processes,
    /// All acts of the window, half of them forks and execs; and the last [`BEFORE`] of these
    /// though they came before, as they may have begun it.
    All,
}

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    processes: Newest,
    others: Newest,
    /// What all ids begin with.
    prefix: String,
    /// Ids taken so far: the order of arrival over both rings.
    arrived: u64,
    /// Time of the newest reading.
    reading_unix_ns: u64,
}

impl Evidence {
    pub(crate) fn reading(&mut self, now_unix_ns: u64) {
        self.reading_unix_ns = now_unix_ns;
    }

    pub(crate) fn process(&mut self, event: &Event) {
        if self.takes(event) {
            self.processes.push(self.slot(event));
        }
    }

    pub(crate) fn other(&mut self, event: &Event) {
        if self.takes(event) {
            self.others.push(self.slot(event));
        }
    }

    /// Whether its id can be told from its position.
    fn takes(&mut self, event: &Event) -> bool {
        let Some(prefix) = prefix(event, &self.prefix) else { return false };
        if prefix != self.prefix {
            // Another life of the run: what came before it is of no finding any more.
            *self =
                Self { reading_unix_ns: self.reading_unix_ns, prefix: prefix.to_owned(), ..Self::default() };
        }
        self.arrived += 1;
        true
    }

    fn slot(&self, event: &Event) -> Slot {
        let (arrived, after_unix_ns) = (self.arrived, self.reading_unix_ns);
        Slot { arrived, after_unix_ns, ring: event.ring, sequence: event.sequence }
    }

    pub(crate) fn clear(&mut self) {
        (self.processes, self.others) = (Newest::default(), Newest::default());
    }

    /// At most [`KEPT`] ids of the window from `since_unix_ns` on, newest last.
    pub(crate) fn newest(&self, show: Show, since_unix_ns: u64) -> Vec<String> {
        let (processes, others, before) = match show {
            Show::Processes => (KEPT, 0, 0),
            Show::All => (KEPT / 2, KEPT / 2, BEFORE),
        };
        let in_window = |slot: &Slot| slot.after_unix_ns >= since_unix_ns;
        let processes = (self.processes.newest().take(processes).enumerate())
            .filter(|(age, slot)| *age < before || in_window(slot))
            .map(|(_, slot)| slot);
        let others = self.others.newest().take(others).filter(|slot| in_window(slot));
        let mut slots: Vec<&Slot> = processes.chain(others).collect();
        slots.sort_unstable_by_key(|slot| slot.arrived);
        slots
            .into_iter()
            .map(|slot| format!("{}-{}-{}", self.prefix, letter(slot.ring), slot.sequence))
            .collect()
    }
}

/// Of an id `<prefix>-<ring>-<sequence>`; `expected` is nearly always it.
fn prefix<'a>(event: &'a Event, expected: &str) -> Option<&'a str> {
    let is_rest = |rest: &str| {
        let sequence = rest.strip_prefix('-')?.strip_prefix(letter(event.ring))?.strip_prefix('-')?;
        (sequence.parse() == Ok(event.sequence)).then_some(())
    };
    if let Some((prefix, rest)) = event.id.split_at_checked(expected.len())
        && prefix == expected
        && is_rest(rest).is_some()
    {
        return Some(prefix);
    }
    let letter_at = event.id.rfind('-')?.checked_sub(2)?;
    let (prefix, rest) = event.id.split_at_checked(letter_at)?;
    is_rest(rest).map(|()| prefix)
}

fn letter(ring: Ring) -> char {
    match ring {
        Ring::Critical => 'c',
        Ring::Bulk => 'b',
    }
}

#[derive(Debug, Default)]
struct Newest {
    slots: Vec<Slot>,
    /// Where the next id goes once the ring is full: the oldest.
    next: usize,
}

impl Newest {
    fn push(&mut self, slot: Slot) {
        if self.slots.len() < KEPT {
            self.slots.push(slot);
            return;
        }
        self.slots[self.next] = slot;
        self.next = (self.next + 1) % KEPT;
    }

    fn newest(&self) -> impl Iterator<Item = &Slot> {
        let (newer, older) = self.slots.split_at(self.next);
        newer.iter().rev().chain(older.iter().rev())
    }
}

#[derive(Debug)]
struct Slot {
    arrived: u64,
    /// Time of the reading before it came.
    after_unix_ns: u64,
    ring: Ring,
    sequence: u64,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        event::{EventKind, Process},
        identity::{AgentIdentity, ProcessKey, RunId},
    };

    fn event(ring: Ring, sequence: u64) -> Event {
        let process = Process {
            key: ProcessKey { tgid: 1, start_boot_ns: 1 },
            tid: 1,
            parent: None,
            executable: None,
            argv: None,
            cwd: None,
            uid: None,
            gid: None,
            euid: None,
            pre_existing: false,
        };
        Event {
            id: format!("r-{}-{sequence}", letter(ring)),
            run: Arc::new(RunId("r".to_owned())),
            agent: Arc::new(AgentIdentity { id: "a".to_owned(), name: "a".to_owned() }),
            ring,
            sequence,
            time_unix_ns: 1,
            process: Arc::new(process),
            kind: EventKind::Seed,
        }
    }

    fn process(evidence: &mut Evidence, n: u64) {
        evidence.process(&event(Ring::Critical, n));
    }

    fn other(evidence: &mut Evidence, n: u64) {
        evidence.other(&event(Ring::Bulk, n));
    }

    #[test]
    fn the_newest_are_kept_in_order() {
        let mut evidence = Evidence::default();
        (0..100).for_each(|n| process(&mut evidence, n));
        let expected: Vec<_> = (68..100).map(|n| format!("r-c-{n}")).collect();
        assert_eq!(evidence.newest(Show::Processes, 0), expected);
        assert_eq!(evidence.newest(Show::All, 0), expected[16..]);
    }

    #[test]
    fn a_flood_of_others_leaves_the_processes() {
        let mut evidence = Evidence::default();
        process(&mut evidence, 7);
        (0..1000).for_each(|n| other(&mut evidence, n));
        let all = evidence.newest(Show::All, 0);
        assert_eq!((all.len(), all[0].as_str(), all[16].as_str()), (17, "r-c-7", "r-b-999"));
        assert_eq!(evidence.newest(Show::Processes, 0), ["r-c-7"]);
        (0..1000).for_each(|n| process(&mut evidence, n));
        let all = evidence.newest(Show::All, 0);
        assert_eq!((all[15].as_str(), all[16].as_str(), all[31].as_str()), ("r-b-999", "r-c-984", "r-c-999"));
    }

    #[test]
    fn only_what_came_in_the_window_is_shown_and_what_may_have_begun_it() {
        let mut evidence = Evidence::default();
        for n in 0..10 {
            process(&mut evidence, n);
            other(&mut evidence, n);
        }
        evidence.reading(100);
        other(&mut evidence, 77);
        assert_eq!(evidence.newest(Show::All, 100), ["r-c-6", "r-c-7", "r-c-8", "r-c-9", "r-b-77"]);
        assert!(evidence.newest(Show::Processes, 100).is_empty());
    }

    #[test]
    fn an_id_that_is_no_position_is_not_kept_and_another_life_begins_anew() {
        let mut evidence = Evidence::default();
        for id in ["r", "r-c-2", "r-b-1", "1", "-c-x"] {
            evidence.other(&Event { id: id.to_owned(), ..event(Ring::Critical, 1) });
        }
        assert!(evidence.newest(Show::All, 0).is_empty());
        process(&mut evidence, 1);
        evidence.process(&Event { id: "r.18af-c-2".to_owned(), ..event(Ring::Critical, 2) });
        assert_eq!(evidence.newest(Show::All, 0), ["r.18af-c-2"]);
    }
}
