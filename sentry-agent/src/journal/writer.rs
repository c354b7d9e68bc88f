//! The writer: one thread that owns the journal and commits in batches.
//!
//! A batch is at most [`BATCH_ITEMS`] items or what comes in [`BATCH_TIME`], whichever is first.
//! What cannot be written waits in memory or is counted, see [`Waiting`]; a Gap stands for what was
//! counted as soon as writing works again.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use sentry_proto::v1;
use sentry_service::error_chain;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    CommandState, Journal, JournalError, JournalHandle, Limits,
    gap::Lost,
    handle::{Acked, Refused, Shared},
    schema,
    waiting::Waiting,
};

/// Requests that may wait for the writer.
pub const QUEUE_CAPACITY: usize = 16_384;
/// Most items of one commit.
const BATCH_ITEMS: usize = 1_000;
/// Events among the requests that wait: enough for the next commit while one is made.
pub(super) const EVENTS_WAITING: usize = 2 * BATCH_ITEMS;
/// Longest time that an item waits for others to share its commit.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How often writing is tried again while items wait, or a loss that no Gap stands for yet.
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
        let (places, taken_places) = mpsc::channel(EVENTS_WAITING);
        let (position, watched) = watch::channel(position_of(&journal));
        let handle = JournalHandle::new(journal.path().to_owned(), requests, places, watched);
        let worker = Worker {
            path: journal.path().to_owned(),
            limits: journal.limits(),
            journal: Some(journal),
            inbox,
            taken_places,
            position,
            shared: handle.shared(),
            lost: Lost::default(),
            waiting: Waiting::default(),
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
    /// An item that holds a place.
    Event(Box<v1::Item>),
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
    taken_places: mpsc::Receiver<()>,
    position: watch::Sender<Position>,
    shared: Arc<Shared>,
    /// Waits to be told by a Gap.
    lost: Lost,
    /// Goes before whatever is newer.
    waiting: Waiting,
}

impl Worker {
    async fn run(mut self) {
        while let Some(first) = self.next().await {
            let (items, control) = self.gather(first).await;
            self.shared.progress.begin();
            self.commit(items);
            self.acknowledge();
            match control {
                Some(Control::Close(reply)) => {
                    drop(reply.send(self.end()));
                    return;
                }
                Some(control) => self.control(control),
                None => {}
            }
            self.shared.progress.rest();
        }
        // All handles are gone: the same orderly end, with nobody to tell.
        if let Err(error) = self.end() {
            tracing::warn!(error = &error as &dyn std::error::Error, "journal not marked as closed");
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

    /// The next request; a [`Request::Wake`] when it is time to try again.
    async fn next(&mut self) -> Option<Request> {
        if self.lost.is_empty() && self.waiting.is_empty() && self.journal.is_some() {
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
                Request::Event(item) => {
                    // Taken before the event was sent, so there is one.
                    let _place = self.taken_places.try_recv();
                    items.push(*item);
                }
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

    fn commit(&mut self, items: Vec<v1::Item>) {
        self.lost.merge(std::mem::take(&mut *self.shared.overflow.lock()));
        let idle = items.is_empty() && self.lost.is_empty() && self.waiting.is_empty();
        if idle && self.journal.is_some() {
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
    fn append(&mut self, items: &[v1::Item]) -> Result<(), JournalError> {
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

    fn write(&mut self, items: &[v1::Item]) -> Result<(), JournalError> {
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

    fn refused(&mut self, items: Vec<v1::Item>, error: &JournalError) {
        let reason = match error {
            JournalError::NoSpace { .. } => "disk-full",
            JournalError::Disk { .. } => "disk-failed",
            _ => "write-failed",
        };
        if self.lost.is_empty() && self.waiting.is_empty() {
            tracing::error!(error = error as &dyn std::error::Error, "journal cannot be written");
        }
        let mut counted: u64 =
            items.into_iter().map(|item| self.waiting.keep(item, reason, &mut self.lost)).sum();
        // What no disk will ever take must not keep the rest waiting.
        if error.is_for_good() {
            counted += self.waiting.count_all(reason, &mut self.lost);
        }
        self.shared.counters.dropped_disk_full.fetch_add(counted, Relaxed);
    }

    fn acknowledge(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let Some(Acked { epoch, seq, confirmed }) = self.shared.acked.lock().take() else { return };
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
                self.shared.acked.lock().get_or_insert(Acked { epoch, seq, confirmed });
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
