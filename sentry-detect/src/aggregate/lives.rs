//! The processes that execute a program, until they end: which command lines each had.
//!
//! Who only forked is not in it: a subshell shows the command line of its shell and is none. At
//! most [`LIVES`] are kept; beyond it the one that came first leaves, and its end says nothing.

use crate::identity::ProcessKey;

/// Processes kept.
const LIVES: usize = 48;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    process: ProcessKey,
    /// The command line that it began with: `sh -c …`.
    pub(crate) first: u64,
    /// The one that it has now.
    pub(crate) last: u64,
}

#[derive(Debug)]
pub(crate) struct Lives {
    slots: [Option<Life>; LIVES],
    /// Where the next goes when all are taken.
    next: usize,
}

impl Lives {
    pub(crate) fn new() -> Self {
        Self { slots: [None; LIVES], next: 0 }
    }

    /// The process has become this command line.
    pub(crate) fn executes(&mut self, process: ProcessKey, command: u64) {
        if let Some(life) = self.slots.iter_mut().flatten().find(|life| life.process == process) {
            life.last = command;
            return;
        }
        let place = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            let place = self.next;
            self.next = (place + 1) % LIVES;
            place
        });
        self.slots[place] = Some(Life { process, first: command, last: command });
    }

    /// What it executes.
    pub(crate) fn of(&self, process: ProcessKey) -> Option<&Life> {
        self.slots.iter().flatten().find(|life| life.process == process)
    }

    /// The process has ended: what it executed.
    pub(crate) fn ends(&mut self, process: ProcessKey) -> Option<Life> {
        self.slots.iter_mut().find(|slot| slot.is_some_and(|life| life.process == process))?.take()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tgid: u32) -> ProcessKey {
        ProcessKey { tgid, start_boot_ns: 1 }
    }

    #[test]
    fn a_process_ends_once_with_the_command_lines_that_it_had() {
        let mut lives = Lives::new();
        [10, 11, 12].into_iter().for_each(|command| lives.executes(key(1), command));
        let life = Life { process: key(1), first: 10, last: 12 };
        assert_eq!(lives.of(key(1)), Some(&life));
        assert_eq!((lives.ends(key(1)), lives.ends(key(1)), lives.ends(key(2))), (Some(life), None, None));
    }

    #[test]
    fn the_first_leave_when_there_are_too_many() {
        let mut lives = Lives::new();
        for tgid in 0..LIVES as u32 + 3 {
            lives.executes(key(tgid), u64::from(tgid));
        }
        let gone = (0..LIVES as u32 + 3).filter(|tgid| lives.ends(key(*tgid)).is_none());
        assert_eq!(gone.collect::<Vec<_>>(), [0, 1, 2]);
    }
}
