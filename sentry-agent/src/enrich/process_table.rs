//! What is known of the processes of all runs.

use std::{
    num::NonZeroUsize,
    ptr,
    sync::{Arc, Weak},
};

use lru::LruCache;
use sentry_detect::{
    event::{Argv, File, Path, Process},
    run::ProcessKey,
};

/// Processes remembered; beyond it the one not heard of for longest goes, and later events of it
/// carry its key alone.
pub const CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// Of those that have ended. A record of the other ring may come after the exit, by what the reader
/// takes up at one time.
const ENDED: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// Bytes of paths and arguments remembered; beyond it the process not heard of for longest goes,
/// too.
const TEXT_BYTES: usize = 64 << 20;
/// Threads whose process is kept as events show it, so that many events of one share it.
const SHOWN: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Process key → description, least recently used first out, those that have ended before the
/// others.
pub struct ProcessTable {
    processes: LruCache<ProcessKey, Known>,
    ended: LruCache<ProcessKey, Known>,
    /// By process and thread.
    shown: LruCache<(ProcessKey, u32), Shown>,
    text_bytes: usize,
    most_text_bytes: usize,
}

/// A process; a child shares what it has from its parent until it executes another program.
struct Known {
    parent: Option<ProcessKey>,
    pre_existing: bool,
    image: Arc<Image>,
}

/// A process as events show it, and what that was made of.
struct Shown {
    /// The last that holds the image takes its text along.
    image: Weak<Image>,
    process: Arc<Process>,
}

#[derive(Default)]
struct Image {
    executable: Option<File>,
    argv: Option<Argv>,
    cwd: Option<Path>,
    uid: Option<u32>,
    gid: Option<u32>,
    euid: Option<u32>,
}

impl ProcessTable {
    #[must_use]
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self {
            processes: LruCache::new(capacity),
            ended: LruCache::new(capacity.min(ENDED)),
            shown: LruCache::new(SHOWN),
            text_bytes: 0,
            most_text_bytes: TEXT_BYTES,
        }
    }

    /// The process as an event of one of its threads shows it; one that is not known has its key
    /// alone. Events share it until it becomes another program.
    pub fn shown(&mut self, key: ProcessKey, tid: u32) -> Arc<Process> {
        let Some(Known { parent, pre_existing, image }) = self.known(key) else {
            return Arc::new(Process { tid, ..unknown(key) });
        };
        let (parent, pre_existing, image) = (*parent, *pre_existing, Arc::clone(image));
        if let Some(shown) = self.shown.get(&(key, tid))
            && ptr::eq(shown.image.as_ptr(), Arc::as_ptr(&image))
            && (shown.process.parent, shown.process.pre_existing) == (parent, pre_existing)
        {
            return Arc::clone(&shown.process);
        }
        let process = Arc::new(image.process(key, tid, parent, pre_existing));
        let image = Arc::downgrade(&image);
        self.shown.put((key, tid), Shown { image, process: Arc::clone(&process) });
        process
    }

    /// What it executes, if known.
    pub fn executable(&mut self, key: ProcessKey) -> Option<&File> {
        self.known(key)?.image.executable.as_ref()
    }

    #[must_use]
    pub fn knows(&self, key: ProcessKey) -> bool {
        self.processes.contains(&key) || self.ended.contains(&key)
    }

    fn known(&mut self, key: ProcessKey) -> Option<&Known> {
        self.processes.get(&key).or_else(|| self.ended.get(&key))
    }

    /// Notes or replaces a description.
    pub fn set(&mut self, process: Process) {
        let Process { key, tid: _, parent, executable, argv, cwd, uid, gid, euid, pre_existing } = process;
        let image = Image { executable, argv, cwd, uid, gid, euid };
        self.text_bytes += image.text_bytes();
        self.put(key, Known { parent, pre_existing, image: Arc::new(image) });
    }

    /// A child starts as a copy of its parent.
    pub fn fork(&mut self, parent: ProcessKey, child: ProcessKey) {
        let image = self.known(parent).map(|parent| Arc::clone(&parent.image)).unwrap_or_default();
        self.put(child, Known { parent: Some(parent), pre_existing: false, image });
    }

    /// The process has ended: it goes before those that live.
    pub fn end(&mut self, key: ProcessKey) {
        if let Some(known) = self.processes.pop(&key)
            && let Some((_key, gone)) = self.ended.push(key, known)
        {
            self.forgotten(gone);
        }
    }

    fn put(&mut self, key: ProcessKey, known: Known) {
        if let Some((_key, gone)) = self.processes.push(key, known) {
            self.forgotten(gone);
        }
        while self.text_bytes > self.most_text_bytes
            && let Some((_key, gone)) = self.ended.pop_lru().or_else(|| self.processes.pop_lru())
        {
            self.forgotten(gone);
        }
    }

    fn forgotten(&mut self, gone: Known) {
        // The last that shared it.
        if let Some(image) = Arc::into_inner(gone.image) {
            self.text_bytes -= image.text_bytes();
        }
    }
}

impl Image {
    fn process(&self, key: ProcessKey, tid: u32, parent: Option<ProcessKey>, pre_existing: bool) -> Process {
        let Self { executable, argv, cwd, uid, gid, euid } = self;
        Process {
            key,
            tid,
            parent,
            executable: executable.clone(),
            argv: argv.clone(),
            cwd: cwd.clone(),
            uid: *uid,
            gid: *gid,
            euid: *euid,
            pre_existing,
        }
    }

    /// Of its texts, with what the allocator and the vector take for each argument, roughly.
    fn text_bytes(&self) -> usize {
        const PER_ARGUMENT: usize = 40;
        let argv = self.argv.iter().flat_map(|argv| &argv.arguments);
        argv.map(|argument| argument.len() + PER_ARGUMENT).sum::<usize>()
            + self.executable.as_ref().map_or(0, |file| file.path.text.len())
            + self.cwd.as_ref().map_or(0, |path| path.text.len())
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
        let child = table.shown(key(2, 5), 2);
        assert_eq!(*child, Process { uid: Some(7), parent: Some(key(1, 1)), ..unknown(key(2, 5)) });
    }

    #[test]
    fn events_share_a_process_until_it_becomes_another_program() {
        let mut table = ProcessTable::new(CAPACITY);
        table.set(Process { uid: Some(7), ..unknown(key(1, 1)) });
        let first = table.shown(key(1, 1), 1);
        assert!(Arc::ptr_eq(&first, &table.shown(key(1, 1), 1)));
        assert_eq!(table.shown(key(1, 1), 9).tid, 9);
        table.set(Process { uid: Some(8), ..unknown(key(1, 1)) });
        assert_eq!(*table.shown(key(1, 1), 1), Process { uid: Some(8), ..unknown(key(1, 1)) });
        assert_eq!(*table.shown(key(3, 3), 4), Process { tid: 4, ..unknown(key(3, 3)) });
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let mut table = ProcessTable::new(CAPACITY);
        table.set(Process { uid: Some(7), ..unknown(key(1, 1)) });
        assert!(!table.knows(key(1, 2)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = ProcessTable::new(NonZeroUsize::new(2).unwrap());
        for start in 0..3 {
            table.set(unknown(key(1, start)));
        }
        assert_eq!([key(1, 0), key(1, 2)].map(|key| table.knows(key)), [false, true]);
    }

    #[test]
    fn a_process_that_has_ended_is_known_for_a_while_and_goes_before_one_that_lives() {
        let mut table = ProcessTable::new(NonZeroUsize::new(2).unwrap());
        table.set(Process { uid: Some(7), ..unknown(key(1, 0)) });
        for start in 1..=3 {
            table.fork(key(1, 0), key(2, start));
            table.end(key(2, start));
        }
        let known = [key(1, 0), key(2, 1), key(2, 2), key(2, 3)].map(|key| table.knows(key));
        assert_eq!(known, [true, false, true, true]);
        let ended = table.shown(key(2, 3), 2);
        assert_eq!(*ended, Process { uid: Some(7), parent: Some(key(1, 0)), ..unknown(key(2, 3)) });
    }

    fn with_argument(start: u64, bytes: usize) -> Process {
        let argv =
            Argv { arguments: vec!["x".repeat(bytes)], truncated: false, full_length_bytes: bytes as u64 };
        Process { argv: Some(argv), ..unknown(key(1, start)) }
    }

    #[test]
    fn children_share_their_parents_text_and_the_last_takes_it_along() {
        let mut table = ProcessTable::new(NonZeroUsize::new(4).unwrap());
        table.set(with_argument(1, 960));
        for start in 2..=4 {
            table.fork(key(1, 1), key(1, start));
        }
        assert_eq!(table.text_bytes, 1_000);
        assert_eq!(table.shown(key(1, 4), 1).argv, with_argument(1, 960).argv);
        // All that shared it go, one by one.
        for start in 5..=8 {
            assert_eq!(table.text_bytes, 1_000);
            table.set(unknown(key(1, start)));
        }
        assert_eq!(table.text_bytes, 0);
    }

    #[test]
    fn the_text_of_one_that_has_ended_goes_before_an_older_one_that_lives() {
        let mut table = ProcessTable::new(CAPACITY);
        table.most_text_bytes = 2_000;
        table.set(with_argument(1, 960));
        table.set(with_argument(2, 960));
        table.end(key(1, 2));
        table.set(with_argument(3, 960));
        assert_eq!([1, 2, 3].map(|start| table.knows(key(1, start))), [true, false, true]);
        assert_eq!(table.text_bytes, 2_000);
    }

    #[test]
    fn text_is_bounded_in_bytes() {
        let mut table = ProcessTable::new(CAPACITY);
        table.most_text_bytes = 10_000;
        for start in 0..100 {
            table.set(with_argument(start, 960));
            // An exec replaces what was known.
            table.set(with_argument(start, 960));
            assert!(table.text_bytes <= 10_000);
        }
        assert!(!table.knows(key(1, 89)) && table.knows(key(1, 90)));
        assert_eq!(table.text_bytes, 10_000);
    }
}
