//! The journal: the bounded local store and the spool for the collector, in one SQLite file.
//!
//! # What is in it
//!
//! ```text
//! items(seq, last, kind, run, agent, time, bytes, body)   body = encoded v1::Item; last = seq except for a Gap
//!                                                         and for a block of a run's events, of kind Event
//! meta(key, value)                                        epoch, epoch_why, base, next, acked, confirmed, clean
//! runs(run, agent, state, first_seq, seq, body)           newest v1::Run of each run
//! commands(key, number, body)                             results of the collector's commands, by idempotency key
//! tapes(number, run, life, part, bytes, body)             what a run was judged by beside its events
//! ```
//!
//! Events are kept in blocks ([`sentry_proto::block`], ADR 31): what a run did until a commit
//! was due is one row. A commit holds the items of each run in their order, one run behind the
//! other. An event that stands alone is a row by itself, as it was in the first format of the file.
//! Small blocks that nobody waits for any more are merged while the writer has nothing else to do.
//! A block that is damaged, of another run or of another length than its row is read as a Gap that
//! names run and positions.
//!
//! Positions: `seq` is given at commit, starts at 1 and has no holes. What could not be kept is a
//! Gap that covers the positions it would have had. To the collector positions start at 1 in each
//! epoch: there they are `seq - base`. An epoch is one life of the file, or ends before that where
//! the collector claims to have what the file never had; then what is not acknowledged is sent
//! under a new epoch, and `epoch_why` says why. `acked` is what nobody waits for; `confirmed` is
//! what the collector has acknowledged.
//!
//! # Limits
//!
//! Unacknowledged items take at most [`Limits::spool_bytes`]; then events of the run that has most
//! make room, while it has more than an eighth, so that a flood costs the run that makes it; after
//! that the oldest. Gaps stand for them ("spool-full"). Acknowledged items stay for queries, at
//! most [`Limits::keep_bytes`], oldest go first. An item over [`ITEM_LIMIT`] becomes a Gap
//! ("too-large"), a run one without its lists and command. All live runs, [`RUNS_KEPT`] ended ones
//! and [`COMMANDS_KEPT`] command results are kept. Tapes have an eighth of
//! [`Limits::keep_bytes`] beside that, oldest go first. The file itself does not shrink: it stays
//! at its largest, about the sum of the limits. Its write-ahead log is emptied beyond 16 MiB.
//!
//! # A disk that refuses
//!
//! Runs, findings, decisions and outcomes that the disk refuses wait in memory, at most 16,384 of
//! them and 8 MiB, and are written in their order when it takes them again; beyond that the oldest
//! are counted. Events are counted at once. One Gap stands for what was counted ("disk-full",
//! "disk-failed", "write-failed"). What the disk refuses until the sensor has ended is lost here.
//!
//! # Durability
//!
//! A finding, decision, outcome or state of a run is committed at once, and what its run did before
//! with it. An event waits for others of its run: 20 ms where it is of the critical ring, 250 ms of
//! the bulk ring, less where they fill a block.
//!
//! WAL with `synchronous=FULL`: a commit is on disk before the exporter can see it. With NORMAL a
//! power cut may take back the last commits; positions that the collector had stored already would
//! be given to other items, and its deduplication would throw those away without a trace.
//!
//! A file that SQLite calls corrupt is moved aside (`<name>.corrupt-<n>`) and a new epoch begins.

mod tapes;

mod schema;

mod gap;

mod entry;

mod row;

mod share;

mod books;

mod append;

mod border;

mod prune;

mod merge;

mod store;

mod remember;

mod read;

mod shared;

mod handle;

mod waiting;

mod lag;

mod pending;

mod worker;

mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::{io, path::PathBuf};

pub use handle::JournalHandle;
pub use read::{Batch, Filter, Form, Page, RunsCursor, brief};
pub use remember::CommandState;
pub use schema::Origin;
pub use shared::{Position, Refused, Stats, Stored};
pub use store::Journal;
pub use writer::{JournalWriter, QUEUE_CAPACITY};

/// Most bytes of one encoded item: what fits into one message of the feed.
pub const ITEM_LIMIT: usize = 1 << 20;
/// Most runs whose last state is kept.
pub const RUNS_KEPT: u64 = 10_000;
/// Most command results that are repeated.
pub const COMMANDS_KEPT: u64 = 1_024;

/// How large the journal may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For items the collector has not acknowledged.
    pub spool_bytes: u64,
    /// For items it has.
    pub keep_bytes: u64,
}

/// Why the journal could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    #[error("{act} {path}: the file system refused")]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Private(#[from] sentry_private::PrivateError),
    #[error("open {path}: another process has it open; stop that sensor first")]
    InUse { path: PathBuf },
    #[error(
        "open {path}: it has format {found}, this version writes {known}; use the newer sensor or move it \
        away"
    )]
    Version { path: PathBuf, found: i64, known: i64 },
    #[error("{act}: no space left; nothing was written, free space")]
    NoSpace { act: &'static str, source: rusqlite::Error },
    #[error("{act}: the disk failed; nothing was written, check the device")]
    Disk { act: &'static str, source: rusqlite::Error },
    #[error("{act}: the file is corrupt; a new one takes its place")]
    Corrupt { act: &'static str, source: rusqlite::Error },
    #[error("{act}: the database refused")]
    Database { act: &'static str, source: rusqlite::Error },
    #[error(transparent)]
    Pack(#[from] sentry_proto::block::PackError),
    #[error(transparent)]
    Tape(#[from] sentry_recording::RecordingError),
    #[error("{act}: the journal's thread has ended; restart the sensor")]
    Closed { act: &'static str },
}

impl JournalError {
    /// Whether the database refuses what it was given, not the disk: the same will never be
    /// written.
    fn is_for_good(&self) -> bool {
        use rusqlite::ErrorCode;
        let Self::Database { source, .. } = self else { return false };
        matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        )
    }

    /// Sorts a database error; for `map_err`.
    fn of(act: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        move |source| match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoSpace { act, source },
            Some(ErrorCode::SystemIoFailure) => Self::Disk { act, source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { act, source },
            _ => Self::Database { act, source },
        }
    }
}
