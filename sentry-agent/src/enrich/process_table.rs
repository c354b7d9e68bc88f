//! What is known of the processes of all runs.

use std::num::NonZeroUsize;

use lru::LruCache;
use sentry_detect::{event::Process, run::ProcessKey};

/// Processes remembered; beyond it the one not heard of for longest goes, and later events of it carry its key alone.
pub const CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// Process key → description, least recently used first out. Ended processes stay for a while: a record of the other
/// ring may come after the exit.
pub struct ProcessTable {
    processes: LruCache<ProcessKey, Process>,
}

impl ProcessTable {
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self { processes: LruCache::new(capacity) }
    }

    /// The process, if known.
    pub fn get(&mut self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(&key)
    }

    /// Notes or replaces a description.
    pub fn set(&mut self, process: Process) {
        self.processes.put(process.key, process);
    }

    /// A child starts as a copy of its parent.
    pub fn fork(&mut self, parent: ProcessKey, child: ProcessKey) {
        let mut process = self.processes.get(&parent).cloned().unwrap_or_else(|| unknown(child));
        process.key = child;
        process.tid = child.tgid;
        process.parent = Some(parent);
        process.pre_existing = false;
        self.set(process);
    }
}

/// A process of which only the key is known.
#[must_use]
pub fn unknown(key: ProcessKey) -> Process {
    Process {
        key,
        tid: key.tgid,
        parent: None,
        executable: None,
        argv: None,
        cwd: None,
        uid: None,
        gid: None,
        euid: None,
        pre_existing: false,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn key(tgid: u32, start_boot_ns: u64) -> ProcessKey {
        ProcessKey { tgid, start_boot_ns }
    }

    #[test]
    fn a_child_knows_what_its_parent_ran() {
        let mut table = ProcessTable::new(CAPACITY);
        table.set(Process { uid: Some(7), pre_existing: true, ..unknown(key(1, 1)) });
        table.fork(key(1, 1), key(2, 5));
        let child = table.get(key(2, 5)).unwrap();
        assert_eq!(*child, Process { uid: Some(7), parent: Some(key(1, 1)), ..unknown(key(2, 5)) });
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let mut table = ProcessTable::new(CAPACITY);
        table.set(Process { uid: Some(7), ..unknown(key(1, 1)) });
        assert_eq!(table.get(key(1, 2)), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = ProcessTable::new(NonZeroUsize::new(2).unwrap());
        for start in 0..3 {
            table.set(unknown(key(1, start)));
        }
        assert_eq!(table.get(key(1, 0)), None);
        assert!(table.get(key(1, 2)).is_some());
    }
}
