//! What the other stages hold of the journal: submit, acknowledge, read.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use sentry_detect::event::Event;
use sentry_proto::v1;
use sentry_recording::{Packed, Part};
use sentry_service::progress::Progress;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, CommandState, Filter, JournalError, Page, RunsCursor,
    entry::Entry,
    read::{self, Form},
    shared::{Acked, Control, Position, Purpose, Reader, Refused, Request, Shared, Stats, Stored},
    tapes,
};

/// Bytes of one page of a query.
const PAGE_BYTES: usize = 1 << 20;

/// A cheap, shared access to a running journal.
#[derive(Clone, Debug)]
pub struct JournalHandle {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    /// A place for each turn's events that may wait in the queue.
    places: mpsc::Sender<()>,
    position: watch::Receiver<Position>,
}

impl JournalHandle {
    pub(super) fn new(
        path: PathBuf,
        requests: mpsc::Sender<Request>,
        places: mpsc::Sender<()>,
        position: watch::Receiver<Position>,
    ) -> Self {
        Self { shared: Arc::new(Shared::new(path)), requests, places, position }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Hands an item to the writer; never waits. `false`: the queue was full, the item is counted
    /// and a Gap will stand for it.
    pub fn submit(&self, item: v1::Item) -> bool {
        match self.requests.try_send(Request::Item(Box::new(item))) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(request) | mpsc::error::TrySendError::Closed(request)) => {
                self.overflowed(request);
                false
            }
        }
    }

    /// Hands an item to the writer; waits while the queue is full. For threads that may wait, never
    /// for a task. `false`: the writer has ended, the item is counted.
    pub fn submit_waiting(&self, item: v1::Item) -> bool {
        match self.requests.blocking_send(Request::Item(Box::new(item))) {
            Ok(()) => true,
            Err(mpsc::error::SendError(request)) => {
                self.overflowed(request);
                false
            }
        }
    }

    /// The same for what happened in a run, of which a turn of the analysis goes together: also
    /// waits while `TURNS_WAITING` of them are in the queue. A flood waits where each run has a
    /// queue of its own, and leaves this one to what else has to be written.
    pub fn submit_events(&self, events: Vec<Arc<Event>>) -> bool {
        if events.is_empty() {
            return true;
        }
        let request = Request::Events(events);
        if self.places.blocking_send(()).is_err() {
            self.overflowed(request);
            return false;
        }
        match self.requests.blocking_send(request) {
            Ok(()) => true,
            Err(mpsc::error::SendError(request)) => {
                self.overflowed(request);
                false
            }
        }
    }

    /// Hands parts of tapes to the writer, each with its run; waits while the queue is full. For
    /// threads that may wait. What is lost is counted, and the tape has a hole.
    pub fn submit_tapes(&self, parts: Vec<(String, Part)>) {
        let count = parts.len() as u64;
        if count > 0 && self.requests.blocking_send(Request::Tapes(parts)).is_err() {
            self.shared.counters.lost_tapes.fetch_add(count, Relaxed);
        }
    }

    /// The parts of a run's tapes, in the order in which they were kept.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn tapes(&self, run: String) -> Result<Vec<Packed>, JournalError> {
        self.read(Purpose::Query, "read a run's tape", move |reader| tapes::of_run(&reader.connection, &run))
            .await
    }

    fn overflowed(&self, request: Request) {
        let entries = match request {
            Request::Item(item) => vec![Entry::Item(item)],
            Request::Events(events) => events.into_iter().map(Entry::Event).collect(),
            Request::Tapes(_) | Request::Wake | Request::Suspect | Request::Control(_) => return,
        };
        self.shared.counters.dropped_queue_full.fetch_add(entries.len() as u64, Relaxed);
        let mut overflow = self.shared.overflow.lock();
        entries.iter().for_each(|entry| overflow.count(entry, "queue-full"));
    }

    /// Waits until all that was submitted before is committed, or counted as lost.
    ///
    /// # Errors
    ///
    /// The writer has ended.
    pub async fn flush(&self) -> Result<Position, JournalError> {
        self.ask("flush the journal", Control::Flush).await
    }

    /// Everything of `epoch` up to `seq` is durable at the collector. Written with the next batch.
    pub fn ack(&self, epoch: &Arc<str>, seq: u64) {
        self.put_ack(Acked { epoch: Arc::clone(epoch), seq, confirmed: true });
    }

    /// Without a collector: nobody waits for what stands in `epoch` up to `seq`. Written with the
    /// next batch.
    pub fn release(&self, epoch: &Arc<str>, seq: u64) {
        self.put_ack(Acked { epoch: Arc::clone(epoch), seq, confirmed: false });
    }

    fn put_ack(&self, newer: Acked) {
        {
            let mut acked = self.shared.acked.lock();
            match acked.as_mut() {
                Some(known) if known.epoch == newer.epoch => known.seq = newer.seq.max(known.seq),
                _ => *acked = Some(newer),
            }
        }
        // A full queue will make the writer look without being woken.
        drop(self.requests.try_send(Request::Wake));
    }

    /// See [`super::Journal::begin_epoch`]. Nothing happens where `epoch` has ended already.
    ///
    /// # Errors
    ///
    /// The epoch goes on, or the writer has ended.
    pub async fn begin_epoch(&self, epoch: &Arc<str>, why: String) -> Result<(), JournalError> {
        let epoch = Arc::clone(epoch);
        self.ask("begin a new epoch", |reply| Control::BeginEpoch(epoch, why, reply)).await?
    }

    /// See [`super::Journal::give_up`]; `seq` is a position of the epoch.
    ///
    /// # Errors
    ///
    /// The item still stands there, or the writer has ended.
    pub async fn give_up(&self, seq: u64) -> Result<(), JournalError> {
        self.ask("give up an item of the journal", |reply| Control::GiveUp(seq, reply)).await?
    }

    /// See [`super::Journal::begin_command`].
    ///
    /// # Errors
    ///
    /// It could not be noted, or the writer has ended: do not act.
    pub async fn begin_command(&self, key: String) -> Result<CommandState, JournalError> {
        self.ask("note a command", |reply| Control::BeginCommand(key, reply)).await?
    }

    /// The noted result of a command, if it has one.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn command_result(&self, key: String) -> Result<Option<v1::CommandResult>, JournalError> {
        self.read(Purpose::Query, "look up a command", move |reader| {
            read::command_result(&reader.connection, &key)
        })
        .await
    }

    /// See [`super::Journal::finish_command`].
    ///
    /// # Errors
    ///
    /// It could not be noted, or the writer has ended.
    pub async fn finish_command(&self, result: v1::CommandResult) -> Result<(), JournalError> {
        self.ask("note a command's result", |reply| Control::FinishCommand(result, reply)).await?
    }

    /// Epoch, newest committed and newest acknowledged position.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// Changes with every commit.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Position> {
        self.position.clone()
    }

    /// Items from position `seq` of the epoch on: at least one if there is one, then as many as
    /// `max_bytes` hold.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn read_from(&self, seq: u64, max_bytes: usize) -> Result<Batch, JournalError> {
        self.read_as(Form::Single, seq, max_bytes).await
    }

    /// The same, with the events that are stored together as one item, or without that.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn read_as(&self, form: Form, seq: u64, max_bytes: usize) -> Result<Batch, JournalError> {
        let batch = self
            .read(Purpose::Export, "read the spool", move |reader| {
                let batch = read::read_from(&reader.connection, form, (reader.base, seq), max_bytes)?;
                Ok(Batch { epoch: reader.epoch.clone(), ..batch })
            })
            .await?;
        self.shared.counters.corrupt_rows.fetch_add(batch.corrupt, Relaxed);
        Ok(batch)
    }

    /// Where the newest `newest` items that match begin; 0 asks for all. Then read with
    /// [`JournalHandle::page`].
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn start_of(&self, filter: Filter, newest: u64) -> Result<u64, JournalError> {
        self.read(Purpose::Query, "query the journal", move |reader| {
            read::start_of(&reader.connection, &filter, newest)
        })
        .await
    }

    /// Items that match from position `from` on, ascending, about 1 MiB at a time.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn page(&self, filter: Filter, from: u64) -> Result<Page, JournalError> {
        let page = self
            .read(Purpose::Query, "query the journal", move |reader| {
                read::page(&reader.connection, &filter, from, PAGE_BYTES)
            })
            .await?;
        self.shared.counters.corrupt_rows.fetch_add(page.corrupt, Relaxed);
        Ok(page)
    }

    /// Last known state of the runs, oldest run first.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn runs(&self, include_ended: bool) -> Result<Vec<v1::Run>, JournalError> {
        self.read(Purpose::Query, "list the journal's runs", move |reader| {
            read::runs(&reader.connection, include_ended)
        })
        .await
    }

    /// Last known state of the runs behind `after`, oldest first and without what only a report
    /// shows, about 1 MiB at a time; and where to read on.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn runs_page(
        &self,
        after: RunsCursor,
    ) -> Result<(Vec<v1::Run>, Option<RunsCursor>), JournalError> {
        self.read(Purpose::Query, "list the journal's runs", move |reader| {
            read::runs_page(&reader.connection, &after, PAGE_BYTES)
        })
        .await
    }

    /// Id and agent of every run, oldest run first.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn run_names(&self) -> Result<Vec<(String, String)>, JournalError> {
        self.read(Purpose::Query, "list the journal's runs", |reader| read::run_names(&reader.connection))
            .await
    }

    /// Last known state of a run.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub async fn run(&self, id: String) -> Result<Option<v1::Run>, JournalError> {
        self.read(Purpose::Query, "look up a run", move |reader| read::run(&reader.connection, &id)).await
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What is kept at the moment.
    #[must_use]
    pub fn stored(&self) -> Stored {
        *self.shared.stored.lock()
    }

    /// Bytes of the file, its write-ahead log included.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.shared.file_bytes()
    }

    /// How many items wait for the disk, and why; `None` where none do.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.shared.refused.lock().clone()
    }

    /// How the writer gets on with what it does at the disk.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.shared.progress)
    }

    /// False once the writer's thread has ended, for whatever reason.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }

    pub(super) async fn ask<T>(
        &self,
        act: &'static str,
        control: impl FnOnce(oneshot::Sender<T>) -> Control,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let closed = || JournalError::Closed { act };
        if self.requests.send(Request::Control(control(reply))).await.is_err() {
            return Err(closed());
        }
        answer.await.map_err(|oneshot::error::RecvError { .. }| closed())
    }

    async fn read<T: Send + 'static>(
        &self,
        purpose: Purpose,
        act: &'static str,
        query: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let shared = self.shared();
        let epoch = self.position().epoch;
        let done = tokio::task::spawn_blocking(move || shared.with_reader(purpose, &epoch, act, query)).await;
        let result = done.unwrap_or(Err(JournalError::Closed { act }));
        if matches!(result, Err(JournalError::Corrupt { .. })) {
            // The writer has the say; a full queue means it will meet the damage by itself.
            drop(self.requests.try_send(Request::Suspect));
        }
        result
    }
}
