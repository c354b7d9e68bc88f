//! The one writer: gathers jobs into groups, commits each group, and only then reports the results.
//!
//! A group ends at 65,536 items (each event of a block counts), at 64 items if the queue is empty,
//! or 10 ms after its first job. Between two groups, while no job waits, it removes old events and
//! merges small blocks, step by step.
//!
//! If a commit fails for lack of space or another temporary reason, the same group is repeated
//! until it succeeds. Meanwhile nothing is acknowledged, the queue fills, and streams are not read.

use std::{
    fs::File,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use sentry_proto::block::Packer;
use sentry_service::progress::Progress;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    apply::{Done, Stored, apply},
    intake::Intake,
    job::{Answered, Job},
    keys, marks,
    merge::{self, Merged},
    retention,
};
use crate::{
    feed::kind::ItemKind,
    metrics::Metrics,
    store::{
        command::CommandReply,
        error::{StoreError, Trouble},
        key::NewKey,
        marks::Marks,
    },
};

const GROUP_ITEMS: u64 = 65_536;
const GROUP_ENOUGH: u64 = 64;
/// Number of new small blocks after which to look for some to merge.
const SMALL_ENOUGH: u64 = 64;
const GROUP_WAIT: Duration = Duration::from_millis(10);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Writer {
    database: Database,
    queue: mpsc::Receiver<Job>,
    trouble: watch::Sender<Trouble>,
    marks: watch::Sender<Marks>,
    metrics: Arc<Metrics>,
    retention_bytes: Option<u64>,
    stop: Stop,
    progress: Arc<Progress>,
    /// New small blocks since the last look that found nothing to merge.
    small: u64,
}

/// The writer's connection and packer.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) packer: Packer,
    /// Held for its lock on the data directory.
    pub(super) _claim: File,
}

/// Requests for the writer to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// Take no new jobs, commit the queued ones, end.
    pub(crate) finish: CancellationToken,
    /// Do not repeat a failing commit.
    pub(crate) abandon: CancellationToken,
}

impl Writer {
    pub(super) fn new(
        database: Database,
        queue: mpsc::Receiver<Job>,
        (trouble, marks): (watch::Sender<Trouble>, watch::Sender<Marks>),
        metrics: Arc<Metrics>,
        retention_bytes: Option<u64>,
        stop: Stop,
    ) -> Self {
        // An earlier life that was killed may have left blocks to merge.
        let small = SMALL_ENOUGH;
        let progress = Arc::default();
        Self { database, queue, trouble, marks, metrics, retention_bytes, stop, progress, small }
    }

    /// Whether there has ever been a key.
    pub(crate) fn had_keys(&self) -> Result<bool, StoreError> {
        let broken =
            |source: rusqlite::Error| StoreError::Broken { what: "reading keys", source: source.into() };
        keys::had_some(&self.database.connection).map_err(broken)
    }

    /// Stores a key before it runs.
    pub(crate) fn add_key(&mut self, key: &NewKey) -> Result<(), StoreError> {
        let broken =
            |source: rusqlite::Error| StoreError::Broken { what: "storing a key", source: source.into() };
        let tx = self.database.connection.transaction().map_err(broken)?;
        keys::insert(&tx, key).map_err(broken)?;
        tx.commit().map_err(broken)
    }

    /// Its progress, for the watchdog. A commit that fails and is repeated counts as progress.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Blocks until it is asked to finish, or every handle is gone, and the queue is empty. Call it
    /// on a thread that may block and belongs to a runtime.
    ///
    /// # Errors
    /// Where the database fails permanently, or the last group was given up.
    pub(crate) fn run(mut self) -> Result<(), StoreError> {
        let runtime = Handle::current();
        self.measure();
        while let Some(first) = self.next(&runtime) {
            self.progress.begin();
            let group = self.gather(&runtime, first);
            let done = self.persist(&runtime, &group)?;
            for (job, done) in group.into_iter().zip(done) {
                tell(&self.metrics, job, done);
            }
            self.mark();
            self.measure();
            self.keep_size()?;
            self.merge()?;
            self.progress.rest();
        }
        // A clean end leaves one file; if it fails, the next start replays the log.
        self.checkpoint();
        Ok(())
    }

    fn next(&mut self, runtime: &Handle) -> Option<Job> {
        let Self { queue, stop, .. } = self;
        runtime.block_on(async {
            let open = tokio::select! {
                biased;
                () = stop.finish.cancelled() => None,
                job = queue.recv() => Some(job),
            };
            match open {
                Some(job) => job,
                None => {
                    queue.close();
                    queue.recv().await
                }
            }
        })
    }

    fn gather(&mut self, runtime: &Handle, first: Job) -> Vec<Job> {
        let deadline = Instant::now() + GROUP_WAIT;
        let mut items = size(&first);
        let mut group = vec![first];
        while items < GROUP_ITEMS {
            let next = if items >= GROUP_ENOUGH {
                self.queue.try_recv().ok()
            } else {
                runtime.block_on(timeout_at(deadline, self.queue.recv())).ok().flatten()
            };
            let Some(job) = next else { break };
            items += size(&job);
            group.push(job);
        }
        group
    }

    /// Commits the group and repeats the commit as long as necessary.
    fn persist(&mut self, runtime: &Handle, group: &[Job]) -> Result<Vec<Done>, StoreError> {
        let mut pause = RETRY_FIRST;
        loop {
            self.progress.begin();
            let source = match self.commit(group) {
                Ok(done) => {
                    if self.trouble.send_if_modified(|trouble| trouble.take().is_some()) {
                        tracing::info!("commits work again");
                    }
                    self.metrics.committed(group.iter().map(size).sum());
                    return Ok(done);
                }
                Err(source) => source,
            };
            self.metrics.commit_failures_total.fetch_add(1, Relaxed);
            if !passing(&source) {
                return Err(StoreError::Broken { what: "committing", source: source.into() });
            }
            let why = format!("the store cannot commit: {source}; make room in the data directory");
            if self.trouble.borrow().as_ref() != Some(&why) {
                tracing::error!(error = %source, "commit failed, trying again");
                self.trouble.send_replace(Some(why));
            }
            let given_up = runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.stop.abandon.cancelled() => true,
                    () = sleep(pause) => false,
                }
            });
            if given_up {
                return Err(StoreError::Abandoned { source: source.into() });
            }
            pause = (pause * 2).min(RETRY_MAX);
            // Moves committed pages from the log into free pages of the database, which can make
            // the missing room.
            self.checkpoint();
        }
    }

    fn commit(&mut self, group: &[Job]) -> rusqlite::Result<Vec<Done>> {
        let Database { connection, packer, .. } = &mut self.database;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut intake = Intake::begin(&tx, packer)?;
        let done = group.iter().map(|job| apply(&tx, &mut intake, job)).collect::<Result<_, _>>()?;
        let small = intake.finish()?;
        tx.commit()?;
        self.small += small;
        Ok(done)
    }

    /// Removes old rows while there are too many and no job waits.
    fn keep_size(&mut self) -> Result<(), StoreError> {
        let Some(limit) = self.retention_bytes else { return Ok(()) };
        while let Some(excess) = self.metrics.stored_bytes.load(Relaxed).checked_sub(limit)
            && excess > 0
        {
            self.progress.begin();
            match retention::prune(&mut self.database.connection, excess) {
                Ok(0) => break,
                Ok(removed) => {
                    self.metrics.pruned_items_total.fetch_add(removed, Relaxed);
                    self.measure();
                }
                Err(error) if passing(&error) => {
                    tracing::warn!(%error, "old rows cannot be removed now");
                    break;
                }
                Err(source) => {
                    return Err(StoreError::Broken { what: "removing old rows", source: source.into() });
                }
            }
            if !self.queue.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Merges small blocks while there are some and no job waits.
    fn merge(&mut self) -> Result<(), StoreError> {
        while self.small >= SMALL_ENOUGH && self.queue.is_empty() {
            self.progress.begin();
            match merge::step(&mut self.database.connection, &mut self.database.packer) {
                Ok(Merged { blocks, corrupt, lost }) => {
                    self.metrics.written_off(corrupt, lost);
                    if blocks + corrupt == 0 {
                        self.small = 0;
                    }
                }
                Err(error) if passing(&error) => {
                    tracing::warn!(%error, "small blocks cannot be merged now");
                    break;
                }
                Err(source) => {
                    return Err(StoreError::Broken { what: "merging small blocks", source: source.into() });
                }
            }
        }
        Ok(())
    }

    /// Wakes those who follow the store, if there is something for them.
    fn mark(&self) {
        match marks::read(&self.database.connection) {
            Ok(here) => {
                self.marks.send_if_modified(|marks| std::mem::replace(marks, here) != here);
            }
            Err(error) => tracing::warn!(%error, "how far the store is cannot be read"),
        }
    }

    fn measure(&self) {
        match retention::used_bytes(&self.database.connection) {
            Ok(bytes) => self.metrics.stored_bytes.store(bytes, Relaxed),
            Err(error) => tracing::warn!(%error, "the size of the store cannot be read"),
        }
    }

    fn checkpoint(&self) {
        let connection = &self.database.connection;
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        if let Err(error) = done {
            tracing::debug!(%error, "no checkpoint");
        }
    }
}

/// Counts the result of a job and reports it to the one that waits for it, if still there.
fn tell(metrics: &Metrics, job: Job, done: Done) {
    match (job, done) {
        (Job::Open { reply, .. }, Done::Opened(opened)) => {
            reply.send(opened).ok();
        }
        (Job::Put { batch, progress, held, .. }, Done::Stored(stored)) => {
            count(metrics, &stored);
            // Another stream of the sensor may have stored more. Each stream is acknowledged only
            // what it sent.
            let acked = stored.acked.min(batch.last);
            progress.send_modify(|progress| progress.acked = progress.acked.max(acked));
            drop(held);
        }
        (Job::Put { progress, held, .. }, Done::Hole(hole)) => {
            progress.send_modify(|progress| {
                progress.refused.get_or_insert(hole);
            });
            drop(held);
        }
        (Job::Command { reply, .. }, Done::Command(answer)) => {
            if matches!(answer, CommandReply::Created(_)) {
                metrics.commands_total.fetch_add(1, Relaxed);
            }
            reply.send(answer).ok();
        }
        (Job::Keys { reply, .. }, Done::Keys(answer)) => {
            reply.send(answer).ok();
        }
        (Job::Triage { reply, .. }, Done::Triage(answer)) => drop(reply.send(answer)),
        (Job::Suppression { reply, .. }, Done::Suppression(answer)) => drop(reply.send(answer)),
        (Job::KeyUsed { .. } | Job::Audit { .. }, Done::Noted) => {}
        (Job::Result { sensor, key, .. }, Done::Result(answered)) => match answered {
            Answered::First => {
                metrics.command_results_total.fetch_add(1, Relaxed);
                tracing::info!(sensor, key, "command answered");
            }
            Answered::Again => tracing::debug!(sensor, key, "repeated command result"),
            Answered::Unasked => {
                metrics.refused_results_total.fetch_add(1, Relaxed);
                tracing::warn!(sensor, key, "result refused, no such command was delivered to this sensor");
            }
        },
        (Job::WriteOff { .. }, Done::WrittenOff(lost)) => {
            metrics.written_off(lost.is_some().into(), lost.unwrap_or(0));
        }
        (Job::Delivered { .. }, Done::Delivered) => {}
        (job, done) => tracing::error!(?job, ?done, "a job was answered out of kind"),
    }
}

fn count(metrics: &Metrics, stored: &Stored) {
    for (kind, count) in ItemKind::ALL.into_iter().zip(stored.kinds) {
        metrics.stored(kind, count);
    }
    metrics.duplicate_items_total.fetch_add(stored.duplicates, Relaxed);
    metrics.lost_items_total.fetch_add(stored.lost, Relaxed);
}

fn size(job: &Job) -> u64 {
    match job {
        Job::Put { batch, .. } => batch.items(),
        Job::Open { .. }
        | Job::Command { .. }
        | Job::Keys { .. }
        | Job::Triage { .. }
        | Job::Suppression { .. }
        | Job::KeyUsed { .. }
        | Job::Audit { .. }
        | Job::Delivered { .. }
        | Job::Result { .. }
        | Job::WriteOff { .. } => 0,
    }
}

/// Whether a repetition may succeed without a change of the data.
fn passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    )
}
