//! What crosses from the streams and the API to the writer, and what comes back.

use std::sync::Arc;

use sentry_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tonic::Status;

use crate::ingest::{
    gate::Way,
    item::Batch,
    reach::{Leap, Reach},
};

/// One thing to do in a transaction.
#[derive(Debug)]
pub(crate) enum Job {
    Open { hello: v1::Hello, way: Way, reply: oneshot::Sender<Result<Opened, NotOpened>> },
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
    /// Where the sensor is.
    pub(crate) reach: Reach,
}

/// Why the store knows better than the proof.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    #[error(
        "sensor {sensor:?} has proven itself by {known} so far and does by {way} now: if that is \
         meant, stop the collector, run `sentry-collector feed-reset {sensor}` and start it again"
    )]
    Way { sensor: String, known: String, way: &'static str },
    #[error(
        "this socket speaks for sensor {holder:?}, which said hello first, not for {claimed:?}: \
         set `feed_sensor` to {claimed} in the collector's configuration if the sensor was renamed, or use one \
         listener per sensor"
    )]
    Holder { holder: String, claimed: String },
    #[error(transparent)]
    Leap(#[from] Leap),
}

impl From<&NotOpened> for Status {
    fn from(why: &NotOpened) -> Self {
        match why {
            NotOpened::Way { .. } | NotOpened::Holder { .. } => Self::permission_denied(why.to_string()),
            NotOpened::Leap(_) => Self::failed_precondition(why.to_string()),
        }
    }
}

/// What becomes of a command's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    First,
    /// The command has a result already.
    Again,
    /// No such command was delivered to this sensor.
    Unasked,
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
