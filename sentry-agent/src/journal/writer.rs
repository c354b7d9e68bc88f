//! The writer: one thread that owns the journal and commits in batches.
//!
//! A batch is at most [`BATCH_ITEMS`] items or what comes in [`BATCH_TIME`], whichever is first. What cannot be
//! written is counted, and a Gap stands for it as soon as writing works again.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use sentry_proto::v1;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    CommandState, Journal, JournalError, JournalHandle, Limits,
    gap::Lost,
    handle::{Acked, Shared, lock},
    schema,
};

/// Requests that may wait for the writer.
pub const QUEUE_CAPACITY: usize = 16_384;
/// Most items of one commit.
const BATCH_ITEMS: usize = 1_000;
/// Longest time that an item waits for others to share its commit.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How often writing is tried again while a loss waits to be told.
const RETRY: Duration = Duration::from_secs(1);

/// Where the journal stands, in positions of the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub epoch: Arc<str>,
    /// Newest committed position; 0 = none yet.
    pub last: u64,
    /// Newest position that nobody waits for: acknowledged, or released where there is no
    /// collector.
    pub acked: u64,
    /// Newest position that the collector has acknowledged.
    pub confirmed: u64,
    /// Position 1 of the epoch is the one behind this in the file.
    pub base: u64,
}

/// Owns the writer's thread.
#[derive(Debug)]
pub struct JournalWriter {
    thread: thread::JoinHandle<()>,
    handle: JournalHandle,
}

impl JournalWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has no room for another thread.
    pub fn start(journal: Journal, queue_capacity: usize) -> Result<(Self, JournalHandle), JournalError> {
        let thread =
            |source| JournalError::Io { act: "start the journal's thread for", path: PathBuf::new(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(thread)?;
        let (requests, inbox) = mpsc::channel(queue_capacity.max(1));
        let (position, watched) = watch::channel(position_of(&journal));
        let handle = JournalHandle::new(journal.path().to_owned(), requests, watched);
        let worker = Worker {
            path: journal.path().to_owned(),
            limits: journal.limits(),
            journal: Some(journal),
            inbox,
            position,
            shared: handle.shared(),
            lost: Lost::default(),
        };
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || runtime.block_on(worker.run()))
            .map_err(thread)?;
        Ok((Self { thread, handle: handle.clone() }, handle))
    }

    /// Commits what was submitted and ends the thread.
    ///
    /// # Errors
    ///
    /// The thread had ended before.
    pub async fn close(self) -> Result<(), JournalError> {
        const ACT: &str = "close the journal";
        self.handle.ask(ACT, Control::Close).await??;
        match tokio::task::spawn_blocking(move || self.thread.join()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(JournalError::Closed { act: ACT }),
        }
    }

    /// True once the thread has ended, for whatever reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

#[derive(Debug)]
pub(super) enum Request {
    Item(Box<v1::Item>),
    /// Look for acknowledgements.
    Wake,
    /// A reader met damage.
    Suspect,
    Control(Control),
}

/// Done after all that was submitted before is committed.
#[derive(Debug)]
pub(super) enum Control {
    Flush(oneshot::Sender<Position>),
    BeginEpoch(Arc<str>, String, oneshot::Sender<Result<(), JournalError>>),
    GiveUp(u64, oneshot::Sender<Result<(), JournalError>>),
    BeginCommand(String, oneshot::Sender<Result<CommandState, JournalError>>),
    FinishCommand(v1::CommandResult, oneshot::Sender<Result<(), JournalError>>),
    Close(oneshot::Sender<Result<(), JournalError>>),
}

struct Worker {
    path: PathBuf,
    limits: Limits,
    /// Absent while a new file could not be made yet.
    journal: Option<Journal>,
    inbox: mpsc::Receiver<Request>,
    position: watch::Sender<Position>,
    shared: Arc<Shared>,
    /// Waits to be told by a Gap.
    lost: Lost,
}

impl Worker {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let (items, control) = self.gather(first).await;
            self.commit(&items);
            self.acknowledge();
            match control {
                Some(Control::Close(reply)) => {
                    let result = self.journal.take().map_or(Ok(()), Journal::close);
                    drop(reply.send(result));
                    return;
                }
                Some(control) => self.control(control),
                None => {}
            }
        }
        // All handles are gone: the same orderly end, with nobody to tell.
        if let Some(Err(error)) = self.journal.take().map(Journal::close) {
            tracing::warn!(error = &error as &dyn std::error::Error, "journal not marked as closed");
        }
    }

    /// The next request; a [`Request::Wake`] when it is time to try again.
    async fn next(&mut self) -> Option<Request> {
        if self.lost.is_empty() && self.journal.is_some() {
            return self.inbox.recv().await;
        }
        timeout(RETRY, self.inbox.recv()).await.unwrap_or(Some(Request::Wake))
    }

    async fn gather(&mut self, first: Request) -> (Vec<v1::Item>, Option<Control>) {
        let deadline = Instant::now() + BATCH_TIME;
        let mut items = Vec::new();
        let mut request = first;
        loop {
            match request {
                Request::Item(item) => items.push(*item),
                Request::Wake => {}
                Request::Suspect => self.inspect(),
                Request::Control(control) => return (items, Some(control)),
            }
            if items.len() >= BATCH_ITEMS {
                return (items, None);
            }
            match timeout_at(deadline, self.inbox.recv()).await {
                Ok(Some(next)) => request = next,
                Ok(None) | Err(_) => return (items, None),
            }
        }
    }

    fn commit(&mut self, items: &[v1::Item]) {
        self.lost.merge(std::mem::take(&mut *lock(&self.shared.overflow)));
        if items.is_empty() && self.lost.is_empty() && self.journal.is_some() {
            return;
        }
        let result = match self.write(items) {
            Err(error @ JournalError::Corrupt { .. }) => {
                self.replace(&error);
                self.write(items)
            }
            result => result,
        };
        match result {
            Ok(()) => {
                self.lost = Lost::default();
                self.shared.counters.appended.fetch_add(items.len() as u64, Relaxed);
            }
            Err(error) => self.lose(items, &error),
        }
        self.publish();
    }

    fn write(&mut self, items: &[v1::Item]) -> Result<(), JournalError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            slot @ None => slot.insert(Journal::open(&self.path, self.limits)?),
        };
        let before = journal.dropped_spool_full;
        journal.append_after(&self.lost, items)?;
        let dropped = journal.dropped_spool_full - before;
        if dropped > 0 && self.shared.counters.dropped_spool_full.fetch_add(dropped, Relaxed) == 0 {
            tracing::warn!(
                journal.dropped = dropped,
                "journal spool full, oldest unacknowledged items dropped"
            );
        }
        Ok(())
    }

    fn lose(&mut self, items: &[v1::Item], error: &JournalError) {
        let reason = match error {
            JournalError::NoSpace { .. } => "disk-full",
            JournalError::Disk { .. } => "disk-failed",
            _ => "write-failed",
        };
        if self.lost.is_empty() {
            tracing::error!(error = error as &dyn std::error::Error, "journal cannot be written");
        }
        for item in items {
            self.lost.count(item, reason);
        }
        self.shared.counters.dropped_disk_full.fetch_add(items.len() as u64, Relaxed);
    }

    fn acknowledge(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let Some(Acked { epoch, seq, confirmed }) = lock(&self.shared.acked).take() else { return };
        // An answer from before the file was replaced says nothing about this one.
        if *epoch != *journal.epoch() {
            return;
        }
        let at = journal.base_seq().saturating_add(seq);
        match if confirmed { journal.acked(at) } else { journal.release(at) } {
            Ok(()) => self.publish(),
            Err(error @ JournalError::Corrupt { .. }) => self.replace(&error),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "acknowledgement not written");
                lock(&self.shared.acked).get_or_insert(Acked { epoch, seq, confirmed });
            }
        }
    }

    fn control(&mut self, control: Control) {
        const ACT: &str = "write to the journal";
        let missing = || JournalError::Closed { act: ACT };
        let journal = self.journal.as_mut().ok_or_else(missing);
        // Where the asker is gone nobody wants the answer.
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

    fn publish(&self) {
        if let Some(journal) = &self.journal {
            let now = position_of(journal);
            self.position.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
        }
    }
}

fn position_of(journal: &Journal) -> Position {
    let base = journal.base_seq();
    Position {
        epoch: journal.epoch().into(),
        last: journal.last_seq() - base,
        acked: journal.acked_seq() - base,
        confirmed: journal.confirmed_seq() - base,
        base,
    }
}
