//! The writer: one thread that owns the journal and commits in batches.
//!
//! An event waits for others of its run, at most as long as [`Pending`] says; findings, decisions,
//! outcomes and states of runs wait for nothing. What cannot be written waits in memory or is
//! counted, see [`Waiting`]; a Gap stands for what was counted as soon as writing works again.
//! While there is nothing else to do, small blocks of the history are merged.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use sentry_kernel::{clock::Clock, ring::lanes::TURN_RECORDS};
use sentry_proto::block::EVENTS;
use sentry_recording::Part;
use sentry_service::error_chain;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    Journal, JournalError, Limits,
    entry::{Entry, Written},
    gap::Lost,
    lag::Lag,
    pending::{self, Pending},
    schema,
    shared::{Acked, Control, Position, Refused, Request, Shared},
    waiting::Waiting,
};

/// Requests that are taken out of the queue at once.
const TAKEN: usize = 1_024;
/// Turns among the requests that wait: where they are full, enough for the next block while one is
/// written.
pub(super) const TURNS_WAITING: usize = EVENTS / TURN_RECORDS;
/// How often writing is tried again while items wait, or a loss that no Gap stands for yet.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    path: PathBuf,
    limits: Limits,
    /// Absent while a new file could not be made yet.
    journal: Option<Journal>,
    inbox: mpsc::Receiver<Request>,
    taken_places: mpsc::Receiver<()>,
    position: watch::Sender<Position>,
    shared: Arc<Shared>,
    /// Waits for its commit.
    pending: Pending,
    /// Losses that the next Gap reports.
    lost: Lost,
    /// Goes before whatever is newer.
    waiting: Waiting,
    /// When writing is tried again.
    retry_at: Option<Instant>,
    /// When an acknowledgement is written that no commit has taken along.
    acknowledge_at: Option<Instant>,
    /// Whether the history may have small blocks that can be merged.
    may_merge: bool,
    /// What the collector has not acknowledged.
    lag: Lag,
    clock: Clock,
}

impl Worker {
    pub(super) fn new(
        journal: Journal,
        inbox: mpsc::Receiver<Request>,
        taken_places: mpsc::Receiver<()>,
        position: watch::Sender<Position>,
        shared: Arc<Shared>,
    ) -> Self {
        let clock = Clock::real();
        let lag = Lag::of(&journal, clock.unix_ns());
        let mut worker = Self {
            path: journal.path().to_owned(),
            limits: journal.limits(),
            journal: Some(journal),
            inbox,
            taken_places,
            position,
            shared,
            pending: Pending::default(),
            lost: Lost::default(),
            waiting: Waiting::default(),
            retry_at: None,
            acknowledge_at: None,
            may_merge: true,
            lag,
            clock,
        };
        worker.publish();
        worker
    }

    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(TAKEN);
        while self.receive(&mut requests).await {
            self.shared.progress.begin();
            for request in requests.drain(..) {
                if let Some(Control::Close(reply)) = self.take(request) {
                    drop(reply.send(self.end()));
                    return;
                }
            }
            self.commit_due();
            self.shared.progress.rest();
        }
        self.shared.progress.begin();
        // All handles are gone: the same orderly end, but no one waits for the result.
        let pending = self.pending.take_all();
        self.commit(pending);
        if let Err(error) = self.end() {
            tracing::warn!(error = &error as &dyn std::error::Error, "journal not marked as closed");
        }
    }

    /// Waits for requests, or until something is due; false: there will be no more.
    async fn receive(&mut self, requests: &mut Vec<Request>) -> bool {
        while self.may_merge && self.inbox.is_empty() && self.due().is_none_or(|due| due > Instant::now()) {
            self.shared.progress.begin();
            self.merge();
            self.shared.progress.rest();
        }
        match self.due() {
            Some(due) => {
                timeout_at(due, self.inbox.recv_many(requests, TAKEN)).await.map_or(true, |taken| taken > 0)
            }
            None => self.inbox.recv_many(requests, TAKEN).await > 0,
        }
    }

    fn due(&self) -> Option<Instant> {
        [self.pending.due(), self.retry_at, self.acknowledge_at].into_iter().flatten().min()
    }

    /// Takes a request; gives [`Control::Close`] back, after all before it is done.
    fn take(&mut self, request: Request) -> Option<Control> {
        match request {
            Request::Item(item) => self.pending.push(vec![Entry::Item(item)], Instant::now()),
            Request::Events(events) => {
                // Taken before they were sent, so there is one.
                let _place = self.taken_places.try_recv();
                self.pending.push(events.into_iter().map(Entry::Event).collect(), Instant::now());
            }
            Request::Tapes(parts) => self.keep_tapes(&parts),
            Request::Wake => self.note_acknowledgement(),
            Request::Suspect => self.inspect(),
            Request::Control(control) => {
                self.note_acknowledgement();
                let pending = self.pending.take_all();
                self.commit(pending);
                self.acknowledge();
                match control {
                    Control::Close(_) => return Some(control),
                    control => self.control(control),
                }
            }
        }
        None
    }

    fn commit_due(&mut self) {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.pending.due()) || due(self.retry_at) {
            let items = self.pending.take(now);
            self.commit(items);
        }
        if due(self.acknowledge_at) {
            self.acknowledge();
        }
    }

    fn end(&mut self) -> Result<(), JournalError> {
        if !self.waiting.is_empty() || !self.lost.is_empty() {
            tracing::error!(
                waiting = self.waiting.len(),
                counted = self.lost.items,
                "the journal ends without items that the disk refused to the end"
            );
        }
        self.journal.take().map_or(Ok(()), Journal::close)
    }

    fn commit(&mut self, items: Vec<Entry>) {
        self.lost.merge(std::mem::take(&mut *self.shared.overflow.lock()));
        let idle = items.is_empty() && self.lost.is_empty() && self.waiting.is_empty();
        if idle && self.journal.is_some() {
            self.retry_at = None;
            return;
        }
        let refusal = match self.write_waiting() {
            Ok(()) => self.append(&items).err().and_then(|error| {
                self.refused(items, &error);
                // Without the events it may fit.
                self.write_waiting().err()
            }),
            Err(error) => {
                self.refused(items, &error);
                Some(error)
            }
        };
        let waiting = self.waiting.len() as u64;
        *self.shared.refused.lock() =
            refusal.filter(|_| waiting > 0).map(|error| Refused { waiting, why: error_chain(&error) });
        let tries_again = waiting > 0 || !self.lost.is_empty() || self.journal.is_none();
        self.retry_at = tries_again.then(|| Instant::now() + RETRY);
        self.publish();
    }

    /// Writes what waits, oldest first, until nothing does or the disk refuses.
    fn write_waiting(&mut self) -> Result<(), JournalError> {
        while !self.waiting.is_empty() {
            let items = self.waiting.next();
            self.append(&items)?;
            self.waiting.written(items.len());
            if self.waiting.is_empty() {
                tracing::info!("the journal is written again; nothing waits any more");
            }
        }
        Ok(())
    }

    /// Writes items, and before them a Gap for what was counted.
    fn append(&mut self, items: &[impl Written]) -> Result<(), JournalError> {
        if items.is_empty() && self.lost.is_empty() && self.journal.is_some() {
            return Ok(());
        }
        match self.write(items) {
            Err(error @ JournalError::Corrupt { .. }) => {
                self.replace(&error);
                self.write(items)
            }
            result => result,
        }?;
        self.lost = Lost::default();
        self.shared.counters.appended.fetch_add(items.len() as u64, Relaxed);
        Ok(())
    }

    fn write(&mut self, items: &[impl Written]) -> Result<(), JournalError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            slot @ None => slot.insert(Journal::open(&self.path, self.limits)?),
        };
        let (before, large_before) = (journal.dropped_spool_full, journal.too_large);
        journal.append_after(&self.lost, items)?;
        let dropped = journal.dropped_spool_full - before;
        let too_large = journal.too_large - large_before;
        if too_large > 0 {
            self.shared.counters.too_large.fetch_add(too_large, Relaxed);
            tracing::error!(journal.too_large = too_large, "items are too large for the journal");
        }
        if dropped > 0 && self.shared.counters.dropped_spool_full.fetch_add(dropped, Relaxed) == 0 {
            tracing::warn!(
                journal.dropped = dropped,
                "journal spool full, oldest unacknowledged items dropped"
            );
        }
        Ok(())
    }

    fn refused(&mut self, items: Vec<Entry>, error: &JournalError) {
        let reason = match error {
            JournalError::NoSpace { .. } => "disk-full",
            JournalError::Disk { .. } => "disk-failed",
            _ => "write-failed",
        };
        if self.lost.is_empty() && self.waiting.is_empty() {
            tracing::error!(error = error as &dyn std::error::Error, "journal cannot be written");
        }
        let keep = |entry| match entry {
            Entry::Event(_) => {
                self.lost.count(&entry, reason);
                1
            }
            Entry::Item(item) => self.waiting.keep(*item, reason, &mut self.lost),
        };
        let mut counted: u64 = items.into_iter().map(keep).sum();
        // What no disk will ever take must not keep the rest waiting.
        if error.is_for_good() {
            counted += self.waiting.count_all(reason, &mut self.lost);
        }
        self.shared.counters.dropped_disk_full.fetch_add(counted, Relaxed);
    }

    /// The next transaction takes it along; without one it is written by itself after a while.
    fn note_acknowledgement(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let Some(Acked { epoch, seq, confirmed }) = self.shared.acked.lock().take() else { return };
        // An answer from before the file was replaced says nothing about this one.
        if *epoch == *journal.epoch() {
            journal.note_acked(journal.base_seq().saturating_add(seq), confirmed);
            self.acknowledge_at.get_or_insert(Instant::now() + pending::BULK);
        }
    }

    /// Writes an acknowledgement that waits.
    fn acknowledge(&mut self) {
        self.acknowledge_at = None;
        let Some(journal) = &mut self.journal else { return };
        match journal.settle() {
            Ok(()) => self.publish(),
            Err(error @ JournalError::Corrupt { .. }) => self.replace(&error),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "acknowledgement not written");
                self.acknowledge_at = Some(Instant::now() + RETRY);
            }
        }
    }

    fn keep_tapes(&mut self, parts: &[(String, Part)]) {
        let kept = self.journal.as_mut().is_some_and(|journal| journal.keep_tapes(parts).is_ok());
        if !kept && self.shared.counters.lost_tapes.fetch_add(parts.len() as u64, Relaxed) == 0 {
            tracing::warn!("what runs were judged by is not kept; they cannot be replayed");
        }
    }

    fn merge(&mut self) {
        let Some(journal) = &mut self.journal else { return self.may_merge = false };
        match journal.merge() {
            Ok(more) => self.may_merge = more,
            Err(error) => {
                self.may_merge = false;
                tracing::warn!(error = &error as &dyn std::error::Error, "blocks of the journal not merged");
            }
        }
    }

    fn control(&mut self, control: Control) {
        const ACT: &str = "write to the journal";
        let missing = || JournalError::Closed { act: ACT };
        let journal = self.journal.as_mut().ok_or_else(missing);
        // If the asker has gone, no one waits for the answer.
        match control {
            Control::Flush(reply) => drop(reply.send(self.position.borrow().clone())),
            Control::BeginEpoch(of, why, reply) => {
                // Another one has begun already where the epoch is not the one that was asked
                // about.
                let result = journal.and_then(|journal| {
                    if *of == *journal.epoch() { journal.begin_epoch(&why) } else { Ok(()) }
                });
                self.publish();
                drop(reply.send(result));
            }
            Control::GiveUp(seq, reply) => {
                let result =
                    journal.and_then(|journal| journal.give_up(journal.base_seq().saturating_add(seq)));
                if result.is_ok() {
                    self.shared.counters.refused.fetch_add(1, Relaxed);
                }
                drop(reply.send(result));
            }
            Control::BeginCommand(key, reply) => {
                drop(reply.send(journal.and_then(|journal| journal.begin_command(&key))));
            }
            Control::FinishCommand(result, reply) => {
                drop(reply.send(journal.and_then(|journal| journal.finish_command(&result))));
            }
            Control::Close(reply) => drop(reply.send(Ok(()))),
        }
    }

    /// A reader met damage: look at the whole file, and replace it if it is so.
    fn inspect(&mut self) {
        let Some(journal) = &self.journal else { return };
        if let Err(error @ JournalError::Corrupt { .. }) = schema::quick_check(&journal.connection) {
            self.replace(&error);
        }
    }

    fn replace(&mut self, error: &JournalError) {
        self.journal = None;
        self.lag = Lag::default();
        self.shared.counters.files_replaced.fetch_add(1, Relaxed);
        tracing::error!(
            error = error as &dyn std::error::Error,
            journal.path = %self.path.display(),
            "journal corrupt, moved aside, a new epoch begins"
        );
        let renewed =
            schema::move_aside(&self.path).and_then(|_aside| Journal::open(&self.path, self.limits));
        match renewed {
            Ok(journal) => self.journal = Some(journal),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no new journal yet");
            }
        }
        self.publish();
    }

    fn publish(&mut self) {
        if let Some(journal) = &self.journal {
            let now = journal.position();
            *self.shared.stored.lock() = self.lag.look(journal, self.clock.unix_ns());
            self.may_merge |= self.position.borrow().acked != now.acked;
            self.position.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
        }
    }
}
