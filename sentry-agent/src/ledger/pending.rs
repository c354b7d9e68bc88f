//! The ledger as the act stage uses it: a thread of its own writes, and an act waits for it only so
//! long. A full disk delays an entry, a slow one too; neither delays a stop by more than
//! [`PATIENCE`].

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use sentry_service::error_chain;

use super::{Entry, Ledger, LedgerError, note::Note, record::GivenUp};

/// Entries that wait for the disk. Beyond it the oldest is given up and counted; an entry says how
/// many as soon as the disk takes one.
const CAPACITY: usize = 4_096;
/// Longest that an act waits for the entry that announces it.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Between two tries on a disk that refuses.
const RETRY: Duration = Duration::from_secs(1);

/// Hands notes to a thread that writes them in order, and keeps those the disk would not take until
/// it does.
pub struct PendingLedger {
    desk: Arc<Desk>,
    writer: Option<thread::JoinHandle<()>>,
}

impl PendingLedger {
    /// Starts the writer.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(mut ledger: Ledger) -> io::Result<Self> {
        Self::with(move |note| note.write(&mut ledger))
    }

    fn with(write: impl FnMut(&Note) -> Result<Entry, LedgerError> + Send + 'static) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let of_writer = Arc::clone(&desk);
        let writer =
            thread::Builder::new().name("ledger".into()).spawn(move || of_writer.write_all(write))?;
        Ok(Self { desk, writer: Some(writer) })
    }

    /// Entries given up so far.
    #[must_use]
    pub fn given_up(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.desk.given_up)
    }

    /// Hands over a note; never waits.
    pub fn note(&self, note: Note) {
        let mut queue = self.desk.queue();
        // The writer may have put one back beyond the limit.
        while queue.waiting.len() >= CAPACITY {
            queue.waiting.pop_front();
            queue.unrecorded += 1;
            let given_up = self.desk.given_up.fetch_add(1, Relaxed) + 1;
            tracing::error!(given_up, "ledger entry given up: too many wait for the disk");
        }
        queue.waiting.push_back(note);
        queue.noted += 1;
        drop(queue);
        self.desk.changed.notify_all();
    }

    /// Waits until every note so far is durable, or the disk has refused it, for [`PATIENCE`] at
    /// most; true when none waits any more. While the writer is still behind what an earlier call
    /// gave up waiting for, this does not wait again: a disk that hangs costs one wait, not one per
    /// act.
    pub fn settle(&self) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut queue = self.desk.queue();
        if queue.tried < queue.not_waited_for {
            return false;
        }
        let wanted = queue.noted;
        while queue.tried < wanted {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                queue.not_waited_for = wanted;
                tracing::error!(
                    waiting = queue.waiting.len(),
                    "the ledger's disk is slow; the act goes ahead of its entry"
                );
                return false;
            }
            self.desk.changed.wait_for(&mut queue, left);
        }
        queue.waiting.is_empty()
    }
}

impl Drop for PendingLedger {
    /// Waits until the writer has written, or tried, what is left.
    fn drop(&mut self) {
        self.desk.queue().closed = true;
        self.desk.changed.notify_all();
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the ledger's writer panicked");
        }
    }
}

/// The queue of notes for the writer.
#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    changed: Condvar,
    given_up: Arc<AtomicU64>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Note>,
    /// Notes taken, and how many of them, the oldest first, the writer is through with or was
    /// refused.
    noted: u64,
    tried: u64,
    /// An act went ahead of the notes up to here.
    not_waited_for: u64,
    /// Given up for lack of room, and not recorded yet.
    unrecorded: u64,
    closed: bool,
    /// The disk was asked once more after the end: there may be room that was kept for it.
    asked_last: bool,
}

impl Queue {
    /// After the waiting entries: the disk takes entries again.
    fn record_given_up(&mut self) {
        if self.unrecorded > 0 {
            let count = std::mem::take(&mut self.unrecorded);
            let why = format!("more than {CAPACITY} entries waited for the disk");
            self.waiting.push_back(Note::GivenUp(GivenUp { kind: None, run: None, count, why }));
            self.noted += 1;
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// The writer's thread: until closed and empty, or closed and refused twice.
    fn write_all(&self, mut write: impl FnMut(&Note) -> Result<Entry, LedgerError>) {
        let mut refused = false;
        while let Some((note, noted)) = self.next(refused) {
            let mut result = write(&note);
            if let Err(error @ (LedgerError::Body { .. } | LedgerError::TooLarge { .. })) = &result {
                let given_up = self.given_up.fetch_add(1, Relaxed) + 1;
                tracing::error!(error = %error_chain(error), given_up, "ledger entry given up");
                result = write(&Note::GivenUp(note.given_up(error.to_string())));
            }
            let mut queue = self.queue();
            refused = false;
            match result {
                Ok(_entry) => queue.record_given_up(),
                Err(error) => {
                    queue.waiting.push_front(note);
                    refused = true;
                    tracing::error!(
                        error = %error_chain(&error),
                        waiting = queue.waiting.len(),
                        given_up = self.given_up.load(Relaxed),
                        "cannot write to the ledger; entries wait in memory"
                    );
                }
            }
            // A refusal is one for all that stand behind.
            queue.tried = if refused { noted } else { queue.noted - queue.waiting.len() as u64 };
            drop(queue);
            self.changed.notify_all();
        }
    }

    /// The oldest note, and the number of notes taken so far. After a refusal only when a new one
    /// has come or some time has passed.
    fn next(&self, refused: bool) -> Option<(Note, u64)> {
        let mut queue = self.queue();
        let (end, known) = (Instant::now() + RETRY, queue.noted);
        loop {
            if refused && queue.closed && std::mem::replace(&mut queue.asked_last, true) {
                tracing::error!(
                    lost = queue.waiting.len(),
                    "entries are lost: the ledger's disk refused them to the end"
                );
                return None;
            }
            let left = end.saturating_duration_since(Instant::now());
            let hold = refused && !queue.closed && queue.noted == known && !left.is_zero();
            if !hold && let Some(note) = queue.waiting.pop_front() {
                return Some((note, queue.noted));
            }
            if queue.closed && queue.waiting.is_empty() {
                return None;
            }
            self.changed.wait_for(&mut queue, if hold { left } else { RETRY });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::{path::PathBuf, sync::mpsc};

    use sentry_proto::v1;

    use super::*;

    fn outcome(n: u32) -> Note {
        Note::RunEnded(v1::Run { id: n.to_string(), ..v1::Run::default() })
    }

    fn entry() -> Entry {
        Entry {
            body: serde_json::json!({}),
            chain_uid: String::new(),
            fingerprint: String::new(),
            kind: String::new(),
            prev: String::new(),
            seq: 0,
            time: String::new(),
        }
    }

    fn name(note: &Note) -> String {
        match note {
            Note::RunEnded(run) => run.id.clone(),
            _ => String::new(),
        }
    }

    #[test]
    fn a_disk_that_hangs_costs_an_act_one_bounded_wait_and_no_entry() {
        let (go, gate) = mpsc::sync_channel::<()>(64);
        let (told, written) = mpsc::sync_channel(64);
        let ledger = PendingLedger::with(move |note| {
            gate.recv().unwrap();
            told.send(name(note)).unwrap();
            Ok(entry())
        })
        .unwrap();
        let start = Instant::now();
        for n in 0..3 {
            ledger.note(outcome(n));
        }
        assert!(!ledger.settle());
        assert!(start.elapsed() >= PATIENCE);
        // Once was enough.
        ledger.note(outcome(3));
        let second = Instant::now();
        assert!(!ledger.settle());
        assert!(second.elapsed() < PATIENCE);
        // The disk comes back: all is written, in order, and acts wait for their entries again.
        for _ in 0..4 {
            go.send(()).unwrap();
        }
        let order: Vec<String> = (0..4).map(|_| written.recv().unwrap()).collect();
        assert_eq!(order, ["0", "1", "2", "3"]);
        go.send(()).unwrap();
        ledger.note(outcome(4));
        while !ledger.settle() {}
        assert_eq!(written.recv().unwrap(), "4");
    }

    #[test]
    fn a_disk_that_refuses_is_asked_again_and_delays_nothing() {
        let full =
            || LedgerError::NoSpace { path: PathBuf::new(), source: io::ErrorKind::StorageFull.into() };
        let (told, written) = mpsc::sync_channel(64);
        let mut refusals = 2;
        let ledger = PendingLedger::with(move |note| {
            if refusals > 0 {
                refusals -= 1;
                return Err(full());
            }
            told.send(name(note)).unwrap();
            Ok(entry())
        })
        .unwrap();
        ledger.note(outcome(0));
        ledger.settle();
        ledger.note(outcome(1));
        let order: Vec<String> = (0..2).map(|_| written.recv().unwrap()).collect();
        assert_eq!(order, ["0", "1"]);
    }

    #[test]
    fn a_disk_that_refused_is_asked_once_more_at_the_end() {
        let full =
            || LedgerError::NoSpace { path: PathBuf::new(), source: io::ErrorKind::StorageFull.into() };
        let (told, written) = mpsc::sync_channel(64);
        let mut refusals = 1;
        let ledger = PendingLedger::with(move |note| {
            if refusals > 0 {
                refusals -= 1;
                return Err(full());
            }
            told.send(name(note)).unwrap();
            Ok(entry())
        })
        .unwrap();
        ledger.note(outcome(0));
        assert!(!ledger.settle());
        drop(ledger);
        assert_eq!(written.iter().collect::<Vec<_>>(), ["0"]);
    }

    #[test]
    fn what_was_noted_is_written_before_the_end() {
        let (told, written) = mpsc::sync_channel(64);
        let ledger = PendingLedger::with(move |note| {
            told.send(name(note)).unwrap();
            Ok(entry())
        })
        .unwrap();
        for n in 0..50 {
            ledger.note(outcome(n));
        }
        drop(ledger);
        assert_eq!(written.iter().count(), 50);
    }

    #[test]
    fn an_entry_that_no_line_holds_leaves_a_small_one_and_a_count() {
        let home = tempfile::tempdir().unwrap();
        let ledger = PendingLedger::start(Ledger::open(home.path()).unwrap()).unwrap();
        let count = ledger.given_up();
        let command = vec!["x".repeat(2 << 20)];
        ledger.note(Note::RunStarted(v1::Run { id: "r".into(), command, ..v1::Run::default() }));
        ledger.note(outcome(7));
        drop(ledger);
        assert_eq!(count.load(Relaxed), 1);
        assert_eq!(crate::ledger::verify(home.path()).unwrap().entries, 3);
        let text = std::fs::read_to_string(home.path().join("segment-00000001.jsonl")).unwrap();
        let entry: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(entry["kind"], "given-up");
        assert_eq!(
            entry["body"],
            serde_json::json!({
                "kind": "run-start", "run": "r", "count": 1,
                "why": "append a run-start entry: 2097527 bytes are more than a line may hold (1048576); \
                    shorten the body",
            })
        );
    }

    #[test]
    fn entries_given_up_for_a_full_disk_are_counted_in_one() {
        let full =
            || LedgerError::NoSpace { path: PathBuf::new(), source: io::ErrorKind::StorageFull.into() };
        let (told, written) = mpsc::sync_channel(2 * CAPACITY);
        let refuses = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let disk = Arc::clone(&refuses);
        let ledger = PendingLedger::with(move |note| {
            if disk.load(Relaxed) {
                return Err(full());
            }
            if let Note::GivenUp(given_up) = note {
                told.send(given_up.count).unwrap();
            }
            Ok(entry())
        })
        .unwrap();
        for n in 0..u32::try_from(CAPACITY).unwrap() + 10 {
            ledger.note(outcome(n));
        }
        let count = ledger.given_up();
        // The writer may hold one of them.
        assert!(count.load(Relaxed) >= 9);
        refuses.store(false, Relaxed);
        ledger.note(outcome(0));
        while !ledger.settle() {}
        drop(ledger);
        assert_eq!(written.iter().sum::<u64>(), count.load(Relaxed));
    }
}
