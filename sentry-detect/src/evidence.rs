//! The newest event ids of a run, to show with a finding.
//!
//! Process acts and other acts have a ring of [`KEPT`] each, so that a flood of file acts does not push out the exec
//! that began it. The text buffers are used again: after the first rounds an event costs a copy and no allocation. An
//! id longer than [`LONGEST`] bytes is not kept, as a cut one would name nothing.

/// Ids kept per ring, and most in a finding.
pub(crate) const KEPT: usize = 32;
/// Longest id kept, bytes.
const LONGEST: usize = 64;

/// Whose ids to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Forks and execs.
    Processes,
    /// The newest of both, half and half where there are enough.
    All,
}

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    processes: Ring,
    others: Ring,
    /// Ids taken so far: the order of arrival over both rings.
    arrived: u64,
}

impl Evidence {
    pub(crate) fn process(&mut self, id: &str) {
        self.arrived += 1;
        self.processes.push(self.arrived, id);
    }

    pub(crate) fn other(&mut self, id: &str) {
        self.arrived += 1;
        self.others.push(self.arrived, id);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// At most [`KEPT`] ids, newest last.
    pub(crate) fn newest(&self, show: Show) -> Vec<String> {
        let (processes, others) = match show {
            Show::Processes => (KEPT, 0),
            Show::All => {
                let others = self.others.slots.len().min(KEPT / 2);
                let processes = self.processes.slots.len().min(KEPT - others);
                (processes, KEPT - processes)
            }
        };
        let mut slots: Vec<&Slot> =
            self.processes.newest(processes).chain(self.others.newest(others)).collect();
        slots.sort_unstable_by_key(|slot| slot.arrived);
        slots.into_iter().map(|slot| slot.id.clone()).collect()
    }
}

#[derive(Debug, Default)]
struct Ring {
    slots: Vec<Slot>,
    /// Where the next id goes once the ring is full: the oldest.
    next: usize,
}

impl Ring {
    fn push(&mut self, arrived: u64, id: &str) {
        if id.len() > LONGEST {
            return;
        }
        if self.slots.len() < KEPT {
            let mut text = String::with_capacity(LONGEST);
            text.push_str(id);
            self.slots.push(Slot { arrived, id: text });
            return;
        }
        let slot = &mut self.slots[self.next];
        slot.arrived = arrived;
        slot.id.clear();
        slot.id.push_str(id);
        self.next = (self.next + 1) % KEPT;
    }

    fn newest(&self, count: usize) -> impl Iterator<Item = &Slot> {
        let (newer, older) = self.slots.split_at(self.next);
        newer.iter().rev().chain(older.iter().rev()).take(count)
    }
}

#[derive(Debug)]
struct Slot {
    arrived: u64,
    id: String,
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
        assert_eq!(evidence.newest(Show::Processes), expected);
        assert_eq!(evidence.newest(Show::All), expected);
    }

    #[test]
    fn a_flood_of_others_leaves_the_processes() {
        let mut evidence = Evidence::default();
        evidence.process("exec");
        for n in 0..1000 {
            evidence.other(&format!("o{n}"));
        }
        let all = evidence.newest(Show::All);
        assert_eq!((all.len(), all[0].as_str(), all[31].as_str()), (32, "exec", "o999"));
        assert_eq!(evidence.newest(Show::Processes), ["exec"]);
        for n in 0..1000 {
            evidence.process(&format!("p{n}"));
        }
        let all = evidence.newest(Show::All);
        assert_eq!((all[15].as_str(), all[16].as_str(), all[31].as_str()), ("o999", "p984", "p999"));
    }

    #[test]
    fn an_id_too_long_is_not_kept() {
        let mut evidence = Evidence::default();
        evidence.other(&"x".repeat(LONGEST + 1));
        assert!(evidence.newest(Show::All).is_empty());
    }
}
