//! The handle of the store: queries go to the readers, everything else to the one writer.
//!
//! Limits: at most 256 jobs and 64 MiB of items wait for the writer. Beyond that streams are not
//! read, and sensors keep their items.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
    sync::Arc,
};

use sentry_proto::v1;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{
    commands, events,
    job::Job,
    keys, legacy, marks, page,
    pool::Pool,
    schema::{self, FORMAT, of_private},
    writer::{Database, Stop, Writer},
};
use crate::{
    feed::{item::Batch, way::Way},
    metrics::Metrics,
    store::{
        command::{CommandReply, CommandRequest, CommandRow},
        error::{ReadError, StoreError, StoreGone, Trouble},
        feed::{NotOpened, Opened, Progress},
        key::{AuditEntry, KeyChange, KeyReply, KeyRow},
        marks::Marks,
        page::{Listed, Next, Query, Source},
        triage::{SuppressionChange, SuppressionReply, Triage, TriageReply},
    },
};

const JOBS: usize = 256;
const IN_FLIGHT_BYTES: usize = 64 << 20;
const DATABASE: &str = "collector.db";
const LOCK: &str = "collector.lock";

/// Handle for everybody but the writer.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    in_flight: Arc<Semaphore>,
    pool: Pool,
    trouble: watch::Receiver<Trouble>,
    marks: watch::Receiver<Marks>,
}

// === impl Store ===

impl Store {
    /// Opens or makes the database and brings its schema up to date.
    pub(crate) fn open(
        data_dir: &Path,
        retention_bytes: Option<u64>,
        metrics: Arc<Metrics>,
        stop: Stop,
    ) -> Result<(Self, Writer), StoreError> {
        let data_dir = &sentry_private::make_dir(data_dir).map_err(of_private)?;
        let lock = claim(data_dir)?;
        let path = data_dir.join(DATABASE);
        let (connection, packer) = legacy::open(&path)?;
        let (jobs, queue) = mpsc::channel(JOBS);
        let (trouble_sender, trouble) = watch::channel(None);
        let here = marks::read(&connection)
            .map_err(|source| StoreError::Broken { what: "reading how far it is", source: source.into() })?;
        let (marks_sender, marks) = watch::channel(here);
        let store = Self {
            jobs,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES)),
            pool: Pool::new(path),
            trouble,
            marks,
        };
        let database = Database { connection, packer, _claim: lock };
        let writer =
            Writer::new(database, queue, (trouble_sender, marks_sender), metrics, retention_bytes, stop);
        Ok((store, writer))
    }

    /// Makes or finds the feed of a proven hello. Returns how far it is stored.
    pub(crate) async fn open_feed(
        &self,
        hello: v1::Hello,
        way: Way,
    ) -> Result<Result<Opened, NotOpened>, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Open { hello, way, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Hands a batch to the writer. Its commit shows in `progress`.
    pub(crate) async fn apply(
        &self,
        feed: &Opened,
        batch: Batch,
        size: usize,
        progress: Arc<watch::Sender<Progress>>,
    ) -> Result<(), StoreGone> {
        let permits = u32::try_from(size.clamp(1, IN_FLIGHT_BYTES)).unwrap_or(u32::MAX);
        let held =
            Arc::clone(&self.in_flight).acquire_many_owned(permits).await.map_err(|_closed| StoreGone)?;
        self.send(Job::Put { feed: feed.clone(), batch, progress, held }).await
    }

    /// Stores a command, once per key, and that it was asked for.
    pub(crate) async fn command(
        &self,
        request: CommandRequest,
        audit: AuditEntry,
    ) -> Result<CommandReply, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Command { request, audit, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Changes keys, and notes that it was asked for.
    pub(crate) async fn change_keys(
        &self,
        change: KeyChange,
        audit: AuditEntry,
    ) -> Result<KeyReply, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Keys { change, audit, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Does something with a finding, and notes that it was asked for.
    pub(crate) async fn triage(&self, triage: Triage, audit: AuditEntry) -> Result<TriageReply, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Triage { triage, audit, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Makes or ends a suppression, and notes that it was asked for.
    pub(crate) async fn change_suppressions(
        &self,
        change: SuppressionChange,
        audit: AuditEntry,
    ) -> Result<SuppressionReply, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Suppression { change, audit, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// All keys, also those that work no more.
    pub(crate) async fn keys(&self) -> Result<Vec<KeyRow>, ReadError> {
        self.pool.read_reserved(|connection| Ok(keys::all(connection)?)).await
    }

    /// Notes the hour of a key's last use. If the writer is busy, a later use notes it.
    pub(crate) fn key_used(&self, prefix: String, used_ms: i64) {
        self.jobs.try_send(Job::KeyUsed { prefix, used_ms }).ok();
    }

    /// Adds an entry to the audit, after what was asked before.
    pub(crate) async fn audit(&self, entry: AuditEntry) -> Result<(), StoreGone> {
        self.send(Job::Audit { entry }).await
    }

    /// As [`Store::audit`], unless the writer is busy. `false`: it is lost.
    pub(crate) fn try_audit(&self, entry: AuditEntry) -> bool {
        self.jobs.try_send(Job::Audit { entry }).is_ok()
    }

    /// Notes that a command is delivered. Call it before sending: a result without the note does
    /// not count.
    pub(crate) async fn command_delivered(&self, key: String) -> Result<(), StoreGone> {
        self.send(Job::Delivered { key }).await
    }

    pub(crate) async fn command_result(
        &self,
        sensor: String,
        key: String,
        outcome: Vec<u8>,
    ) -> Result<(), StoreGone> {
        self.send(Job::Result { sensor, key, outcome }).await
    }

    /// Commands of the sensor that have no result yet, oldest first.
    pub(crate) async fn open_commands(&self, sensor: &str) -> Result<Vec<v1::Command>, ReadError> {
        let sensor = sensor.to_owned();
        self.pool.read_reserved(move |connection| Ok(commands::open(connection, &sensor)?)).await
    }

    pub(crate) async fn find_command(&self, key: String) -> Result<Option<CommandRow>, ReadError> {
        self.pool.read_reserved(move |connection| Ok(commands::find(connection, &key)?)).await
    }

    /// One page of a relation. `step` adds each row to `made` and returns its bytes so far. Both
    /// run on a thread that may block.
    pub(crate) async fn page<R: Listed, M: Send + 'static>(
        &self,
        query: Query,
        mut made: M,
        mut step: impl FnMut(&mut M, R) -> usize + Send + 'static,
    ) -> Result<(M, Next), ReadError> {
        self.pool
            .read(move |connection| {
                let next = page::page(connection, &query, |row| step(&mut made, row))?;
                Ok((made, next))
            })
            .await
    }

    /// One page of events, as [`Store::page`]. Unreadable blocks are left out and reported to the
    /// writer.
    pub(crate) async fn events<M: Send + 'static>(
        &self,
        query: Query,
        mut made: M,
        mut step: impl FnMut(&mut M, &Source, v1::Event) -> usize + Send + 'static,
    ) -> Result<(M, Next), ReadError> {
        let read = self.pool.read(move |connection| {
            let page = events::page(connection, &query, |source, event| step(&mut made, source, event))?;
            Ok((made, page))
        });
        let (made, page) = read.await?;
        for block in &page.corrupt {
            // If the writer is busy, the next reader reports the block again.
            self.jobs.try_send(Job::WriteOff { block: *block }).ok();
        }
        if page.given_up {
            Err(ReadError::Corrupt { blocks: page.corrupt.len() })
        } else {
            Ok((made, page.next))
        }
    }

    pub(crate) fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }

    /// How far the store has come, after each commit.
    pub(crate) fn marks(&self) -> watch::Receiver<Marks> {
        self.marks.clone()
    }

    async fn send(&self, job: Job) -> Result<(), StoreGone> {
        self.jobs.send(job).await.map_err(|_closed| StoreGone)
    }
}

/// Forgets how a sensor proved its identity: the next valid proof decides. `false`: no such sensor.
///
/// # Errors
/// Where the store cannot be opened, for example because a running collector holds it.
pub fn forget_way(data_dir: &Path, sensor: &str) -> Result<bool, StoreError> {
    let _lock = claim(data_dir)?;
    let connection = schema::open(&data_dir.join(DATABASE))?;
    let changed = connection.execute("UPDATE sensors SET way = NULL WHERE sensor = ?1", [sensor]).map_err(
        |source| StoreError::Broken { what: "forgetting a sensor's proof", source: source.into() },
    )?;
    Ok(changed == 1)
}

/// Locks the directory for this process, for as long as the file is open.
fn claim(data_dir: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::Create { path: data_dir.to_owned(), source };
    sentry_private::claim_format(data_dir, FORMAT).map_err(of_private)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let lock = sentry_private::open(&data_dir.join(LOCK), &mut options).map_err(of_private)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: data_dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}
