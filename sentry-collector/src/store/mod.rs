//! The store: one SQLite database, one writer, a few readers.
//!
//! Limits: 256 jobs and 64 MiB of items wait for the writer at most; beyond that streams are not
//! read, so the sensors keep what they have. Readers have connections of their own (five at once)
//! and see only what is committed.

pub(crate) mod job;

pub(crate) mod schema;

pub(crate) mod writer;

mod apply;

mod commands;

pub(crate) mod query;

pub(crate) mod filter;

pub(crate) mod pool;

mod retention;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use sentry_private::PrivateError;
use sentry_proto::v1;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::{
    job::{CommandReply, CommandRequest, Job, NotOpened, Opened, Progress},
    pool::{Pool, ReadError},
    writer::{Stop, Writer},
};
use crate::{
    exit::Exit,
    ingest::{gate::Way, item::Batch},
    metrics::Metrics,
};

/// Format of the data directory as a whole: that of the database, as long as nothing else in it changes.
pub const FORMAT: u32 = schema::FORMAT;
const JOBS: usize = 256;
const IN_FLIGHT_BYTES: usize = 64 << 20;
const DATABASE: &str = "collector.db";
const LOCK: &str = "collector.lock";

/// Why the store cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot create the data directory {}; choose another with --data-dir or `data_dir`", path.display())]
    Create { path: PathBuf, source: io::Error },
    /// The data directory, or something in it.
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("the data directory {} is in use by another collector; stop it or choose another directory", path.display())]
    InUse { path: PathBuf },
    #[error("cannot open the database {}", path.display())]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the database {} has schema {found}, this collector knows up to {known}; run the newer collector", path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the store failed for good while {what}")]
    Broken { what: &'static str, source: rusqlite::Error },
    #[error("the store had uncommitted items when it was told to stop; sensors will send them again")]
    Abandoned { source: rusqlite::Error },
}

/// The writer has ended: the process is going down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store takes nothing any more")]
pub(crate) struct StoreGone;

/// Why nothing can be committed at the moment; `None` while all is well.
pub(crate) type Trouble = Option<String>;

/// Handle for everybody but the writer.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    in_flight: Arc<Semaphore>,
    pool: Pool,
    trouble: watch::Receiver<Trouble>,
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
        let connection = schema::open(&path)?;
        let (jobs, queue) = mpsc::channel(JOBS);
        let (trouble_sender, trouble) = watch::channel(None);
        let store = Self {
            jobs,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES)),
            pool: Pool::new(path),
            trouble,
        };
        let writer = Writer::new(connection, lock, queue, trouble_sender, metrics, retention_bytes, stop);
        Ok((store, writer))
    }

    /// Makes or finds the feed of a proven hello; says what of it is stored.
    pub(crate) async fn open_feed(
        &self,
        hello: v1::Hello,
        way: Way,
    ) -> Result<Result<Opened, NotOpened>, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Open { hello, way, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Hands a batch over; its commit shows in `progress`.
    pub(crate) async fn put(
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

    /// Stores a command, once per key.
    pub(crate) async fn command(&self, request: CommandRequest) -> Result<CommandReply, StoreGone> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Command { request, reply }).await?;
        answer.await.map_err(|_dropped| StoreGone)
    }

    /// Notes that a command goes out; before it does, since a result counts only behind the note.
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
        self.pool.read_reserved(move |connection| commands::open(connection, &sensor)).await
    }

    pub(crate) async fn find_command(&self, key: String) -> Result<Option<job::CommandRow>, ReadError> {
        self.pool.read_reserved(move |connection| commands::find(connection, &key)).await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.clone()
    }

    async fn send(&self, job: Job) -> Result<(), StoreGone> {
        self.jobs.send(job).await.map_err(|_closed| StoreGone)
    }
}

/// Forgets how a sensor proved who it is; the next proof that holds decides. `false`: no such
/// sensor.
///
/// # Errors
/// Where the store cannot be opened: a collector that runs has it.
pub fn forget_way(data_dir: &Path, sensor: &str) -> Result<bool, StoreError> {
    let _lock = claim(data_dir)?;
    let connection = schema::open(&data_dir.join(DATABASE))?;
    let changed = connection
        .execute("UPDATE sensors SET way = NULL WHERE sensor = ?1", [sensor])
        .map_err(|source| StoreError::Broken { what: "forgetting a sensor's proof", source })?;
    Ok(changed == 1)
}

// === impl StoreError ===

impl StoreError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Create { .. } | Self::InUse { .. } => Exit::CannotCreate,
            Self::Open { .. } | Self::Broken { .. } | Self::Abandoned { .. } => Exit::Io,
            Self::Private(_) => Exit::Config,
            Self::Newer { .. } => Exit::Other,
        }
    }
}

/// What cannot be made has an exit code of its own.
fn of_private(error: PrivateError) -> StoreError {
    match error {
        PrivateError::Io { path, source, .. } => StoreError::Create { path, source },
        refused => refused.into(),
    }
}

/// Takes the directory for this process; the lock lasts as long as the file is open.
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

/// Unix time in ms; a clock before 1970 counts as 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
