//! The newest event ids of a run, to show with a finding.
//!
//! Process acts and other acts have a ring of [`KEPT`] each, so that a flood of file acts does not
//! push out the exec that began it. An id belongs to the time of the reading before it came. Ids of a
//! run differ in the number that they end in: their beginnings are kept once, and after the first
//! rounds an event costs no allocation. An id longer than [`LONGEST`] bytes is not kept, as a cut one
//! would name nothing, nor one with a beginning beyond [`BEGINNINGS`] others.

/// Ids kept per ring, and most in a finding.
pub(crate) const KEPT: usize = 32;
/// Forks and execs shown with [`Show::All`] even if they came before the window.
const BEFORE: usize = 4;
/// Longest id kept, bytes.
const LONGEST: usize = 64;
/// What ids begin with; in one life of the sensor those of a run have two, one for each ring.
const BEGINNINGS: usize = 4;

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
    beginnings: Vec<String>,
    processes: Ring,
    others: Ring,
    /// Ids taken so far: the order of arrival over both rings.
    arrived: u64,
    /// Time of the newest reading.
    reading_unix_ns: u64,
}

impl Evidence {
    pub(crate) fn reading(&mut self, now_unix_ns: u64) {
        self.reading_unix_ns = now_unix_ns;
    }

    pub(crate) fn process(&mut self, id: &str) {
        if let Some(slot) = self.slot(id) {
            self.processes.push(slot);
        }
    }

    pub(crate) fn other(&mut self, id: &str) {
        if let Some(slot) = self.slot(id) {
            self.others.push(slot);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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
        slots.into_iter().map(|slot| self.id(slot)).collect()
    }

    fn slot(&mut self, id: &str) -> Option<Slot> {
        if id.len() > LONGEST {
            return None;
        }
        let (beginning, number) = split(id);
        let known = self.beginnings.iter().position(|known| known == beginning);
        let beginning = match known {
            Some(place) => place,
            None if self.beginnings.len() < BEGINNINGS => {
                self.beginnings.push(beginning.to_owned());
                self.beginnings.len() - 1
            }
            None => return None,
        };
        self.arrived += 1;
        Some(Slot { arrived: self.arrived, after_unix_ns: self.reading_unix_ns, beginning, number })
    }

    fn id(&self, slot: &Slot) -> String {
        let number = slot.number.map(|number| number.to_string());
        format!("{}{}", self.beginnings[slot.beginning], number.unwrap_or_default())
    }
}

/// An id as its beginning and the number that it ends in; without one where that would not be
/// written the same again.
fn split(id: &str) -> (&str, Option<u64>) {
    let beginning = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &id[beginning.len()..];
    match digits.parse() {
        Ok(number) if digits == "0" || !digits.starts_with('0') => (beginning, Some(number)),
        _ => (id, None),
    }
}

#[derive(Debug, Default)]
struct Ring {
    slots: Vec<Slot>,
    /// Where the next id goes once the ring is full: the oldest.
    next: usize,
}

impl Ring {
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
    /// Place of what its id begins with.
    beginning: usize,
    number: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_order() {
        let mut evidence = Evidence::default();
        for n in 0..100 {
            evidence.process(&format!("p{n}"));
        }
        let expected: Vec<_> = (68..100).map(|n| format!("p{n}")).collect();
        assert_eq!(evidence.newest(Show::Processes, 0), expected);
        assert_eq!(evidence.newest(Show::All, 0), expected[16..]);
    }

    #[test]
    fn a_flood_of_others_leaves_the_processes() {
        let mut evidence = Evidence::default();
        evidence.process("exec");
        for n in 0..1000 {
            evidence.other(&format!("o{n}"));
        }
        let all = evidence.newest(Show::All, 0);
        assert_eq!((all.len(), all[0].as_str(), all[16].as_str()), (17, "exec", "o999"));
        assert_eq!(evidence.newest(Show::Processes, 0), ["exec"]);
        for n in 0..1000 {
            evidence.process(&format!("p{n}"));
        }
        let all = evidence.newest(Show::All, 0);
        assert_eq!((all[15].as_str(), all[16].as_str(), all[31].as_str()), ("o999", "p984", "p999"));
    }

    #[test]
    fn only_what_came_in_the_window_is_shown_and_what_may_have_begun_it() {
        let mut evidence = Evidence::default();
        for n in 0..10 {
            evidence.process(&format!("p{n}"));
            evidence.other(&format!("o{n}"));
        }
        evidence.reading(100);
        evidence.other("new");
        assert_eq!(evidence.newest(Show::All, 100), ["p6", "p7", "p8", "p9", "new"]);
        assert!(evidence.newest(Show::Processes, 100).is_empty());
    }

    #[test]
    fn an_id_comes_out_as_it_was() {
        let ids = ["r-c-0", "r-b-18446744073709551615", "r-c-007", "r-c-18446744073709551616"];
        let mut evidence = Evidence::default();
        ids.iter().for_each(|id| evidence.other(id));
        assert_eq!(evidence.newest(Show::All, 0), ids);
        evidence.other("fifth-beginning");
        assert_eq!(evidence.newest(Show::All, 0), ids);
    }

    #[test]
    fn an_id_too_long_is_not_kept() {
        let mut evidence = Evidence::default();
        evidence.other(&"x".repeat(LONGEST + 1));
        assert!(evidence.newest(Show::All, 0).is_empty());
    }
}
