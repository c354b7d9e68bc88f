//! What crosses from the streams and the API to the writer, and what comes back.

use std::sync::Arc;

use sentry_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::ingest::item::Batch;

/// One thing to do in a transaction.
#[derive(Debug)]
pub(crate) enum Job {
    Open { hello: v1::Hello, reply: oneshot::Sender<Opened> },
    Put { feed: Opened, batch: Batch, progress: Arc<watch::Sender<Progress>>, held: OwnedSemaphorePermit },
    Command { request: CommandRequest, reply: oneshot::Sender<CommandReply> },
    Delivered { key: String },
    Result { sensor: String, key: String, outcome: Vec<u8> },
}

/// A feed, that is one epoch of one sensor, by its row numbers.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) sensor: i64,
    pub(crate) feed: i64,
    pub(crate) session: i64,
    /// Everything up to this position is stored.
    pub(crate) acked: u64,
}

/// How far a stream's items are durable.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) acked: u64,
    pub(crate) refused: Option<Hole>,
}

/// Positions that never came.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "hole in the epoch: expected position {expected}, got {got}; resume at {expected} or send a gap for what is gone"
)]
pub(crate) struct Hole {
    pub(crate) expected: u64,
    pub(crate) got: u64,
}

/// A command somebody wants delivered.
#[derive(Clone, Debug)]
pub(crate) struct CommandRequest {
    pub(crate) key: String,
    pub(crate) run: String,
    pub(crate) action: v1::Action,
    pub(crate) reason: String,
}

#[derive(Debug)]
pub(crate) enum CommandReply {
    Created(CommandRow),
    /// The same command came before under this key.
    Existing(CommandRow),
    /// The key belongs to another command.
    Conflict(CommandRow),
    UnknownRun,
    /// Several sensors report a run of this id.
    AmbiguousRun,
    /// The sensor has as many unanswered commands as it may have.
    TooMany,
}

#[derive(Clone, Debug)]
pub(crate) struct CommandRow {
    pub(crate) key: String,
    pub(crate) sensor: String,
    pub(crate) run: String,
    pub(crate) action: i32,
    pub(crate) reason: String,
    pub(crate) created_ms: i64,
    pub(crate) delivered_ms: Option<i64>,
    pub(crate) done_ms: Option<i64>,
    /// An encoded `Outcome`.
    pub(crate) outcome: Option<Vec<u8>>,
}
