//! What the handles and the writer's thread share: requests, counters, and where the journal
//! stands.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use rusqlite::Connection;
use sentry_detect::event::Event;
use sentry_proto::v1;
use sentry_recording::Part;
use sentry_service::progress::Progress;
use tokio::sync::oneshot;

use super::{CommandState, Journal, JournalError, gap::Lost, schema};

/// The state of the journal, in positions of the epoch.
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

#[derive(Debug)]
pub(super) enum Request {
    Item(Box<v1::Item>),
    /// Of one run; they hold a place together.
    Events(Vec<Arc<Event>>),
    /// Parts of tapes, each with its run.
    Tapes(Vec<(String, Part)>),
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

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Items committed; Gaps of the journal's own are not among them.
    pub appended: u64,
    /// Items that found no room on the disk, or a disk that failed, and did not wait for another.
    pub dropped_disk_full: u64,
    /// Unacknowledged items that made room for newer ones.
    pub dropped_spool_full: u64,
    /// Items that found the writer's queue full.
    pub dropped_queue_full: u64,
    /// Items that were too large for the journal: a run without its lists stands for one, a Gap for
    /// any other.
    pub too_large: u64,
    /// Items that the collector refused for good.
    pub refused: u64,
    /// Rows read that did not decode.
    pub corrupt_rows: u64,
    /// Files moved aside because they were corrupt.
    pub files_replaced: u64,
    /// Parts of tapes that the disk refused.
    pub lost_tapes: u64,
}

/// What is kept at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes of what nobody waits for.
    pub history_bytes: u64,
    /// Bytes of what is to be sent.
    pub spool_bytes: u64,
    /// Since when the oldest item waits that the collector has not acknowledged, Unix time; `None`
    /// where it has all.
    pub oldest_unix_ns: Option<u64>,
}

/// Why the disk takes nothing at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Runs, findings, decisions and outcomes that wait in memory.
    pub waiting: u64,
    pub why: String,
}

/// What the handles and the writer's thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    /// Lost before the queue; the writer makes a Gap of it.
    pub(super) overflow: Mutex<Lost>,
    /// Newest acknowledgement that is not written yet.
    pub(super) acked: Mutex<Option<Acked>>,
    pub(super) refused: Mutex<Option<Refused>>,
    pub(super) stored: Mutex<Stored>,
    /// Marked by the writer while it is at the disk.
    pub(super) progress: Arc<Progress>,
    path: PathBuf,
    // One each, so that a long query does not hold up the exporter.
    export_reader: Mutex<Option<Reader>>,
    query_reader: Mutex<Option<Reader>>,
}

/// The position up to which no one waits for items any more.
#[derive(Debug)]
pub(super) struct Acked {
    pub(super) epoch: Arc<str>,
    pub(super) seq: u64,
    /// By the collector.
    pub(super) confirmed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) appended: AtomicU64,
    pub(super) dropped_disk_full: AtomicU64,
    pub(super) dropped_spool_full: AtomicU64,
    pub(super) dropped_queue_full: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) corrupt_rows: AtomicU64,
    pub(super) files_replaced: AtomicU64,
    pub(super) lost_tapes: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Reader {
    pub(super) epoch: String,
    pub(super) base: u64,
    pub(super) connection: Connection,
}

#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Export,
    Query,
}

impl Counters {
    fn read(&self) -> Stats {
        let Counters {
            appended,
            dropped_disk_full,
            dropped_spool_full,
            dropped_queue_full,
            too_large,
            refused,
            corrupt_rows,
            files_replaced,
            lost_tapes,
        } = self;
        Stats {
            appended: appended.load(Relaxed),
            dropped_disk_full: dropped_disk_full.load(Relaxed),
            dropped_spool_full: dropped_spool_full.load(Relaxed),
            dropped_queue_full: dropped_queue_full.load(Relaxed),
            too_large: too_large.load(Relaxed),
            refused: refused.load(Relaxed),
            corrupt_rows: corrupt_rows.load(Relaxed),
            files_replaced: files_replaced.load(Relaxed),
            lost_tapes: lost_tapes.load(Relaxed),
        }
    }
}

impl Journal {
    /// Where it stands, in positions of the epoch.
    pub(super) fn position(&self) -> Position {
        let base = self.base_seq();
        Position {
            epoch: self.epoch().into(),
            last: self.last_seq() - base,
            acked: self.acked_seq() - base,
            confirmed: self.confirmed_seq() - base,
            base,
        }
    }
}

impl Shared {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, ..Self::default() }
    }

    pub(super) fn stats(&self) -> Stats {
        self.counters.read()
    }

    pub(super) fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |about| about.len()) + schema::log_bytes(&self.path)
    }

    /// Runs a query on the connection of its purpose, which is opened anew where the epoch is not
    /// the one that it was opened for.
    pub(super) fn with_reader<T>(
        &self,
        purpose: Purpose,
        epoch: &str,
        act: &'static str,
        query: impl FnOnce(&Reader) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let reader = match purpose {
            Purpose::Export => &self.export_reader,
            Purpose::Query => &self.query_reader,
        };
        let mut slot = reader.lock();
        // After a corrupt file was replaced the old connection still reads the old one; a new epoch
        // has a new base.
        if slot.as_ref().is_none_or(|reader| reader.epoch != epoch) {
            *slot = None;
        }
        let reader = match slot.take() {
            Some(reader) => reader,
            None => {
                let connection = schema::open_reader(&self.path)?;
                let (epoch, base) = schema::epoch(&connection).map_err(JournalError::of(act))?;
                Reader { epoch, base, connection }
            }
        };
        let result = query(&reader).map_err(JournalError::of(act));
        if result.is_ok() {
            *slot = Some(reader);
        }
        result
    }
}
