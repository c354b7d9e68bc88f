//! Jobs that the streams and the API send to the writer.

use std::sync::Arc;

use sentry_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::{
    feed::{item::Batch, way::Way},
    store::{
        command::{CommandReply, CommandRequest},
        feed::{NotOpened, Opened, Progress},
        key::{AuditEntry, KeyChange, KeyReply},
        triage::{SuppressionChange, SuppressionReply, Triage, TriageReply},
    },
};

/// A job, done within a transaction.
#[derive(Debug)]
pub(crate) enum Job {
    Open {
        hello: v1::Hello,
        way: Way,
        reply: oneshot::Sender<Result<Opened, NotOpened>>,
    },
    Put {
        feed: Opened,
        batch: Batch,
        progress: Arc<watch::Sender<Progress>>,
        held: OwnedSemaphorePermit,
    },
    Command {
        request: CommandRequest,
        /// Without its result.
        audit: AuditEntry,
        reply: oneshot::Sender<CommandReply>,
    },
    Delivered {
        key: String,
    },
    Result {
        sensor: String,
        key: String,
        outcome: Vec<u8>,
    },
    Keys {
        change: KeyChange,
        /// Without its result.
        audit: AuditEntry,
        reply: oneshot::Sender<KeyReply>,
    },
    Triage {
        triage: Triage,
        /// Without its result.
        audit: AuditEntry,
        reply: oneshot::Sender<TriageReply>,
    },
    Suppression {
        change: SuppressionChange,
        /// Without its result.
        audit: AuditEntry,
        reply: oneshot::Sender<SuppressionReply>,
    },
    /// The hour of a key's last use.
    KeyUsed {
        prefix: String,
        used_ms: i64,
    },
    Audit {
        entry: AuditEntry,
    },
    /// A reader could not open this block.
    WriteOff {
        block: i64,
    },
}

/// How a command's result was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    First,
    /// The command has a result already.
    Again,
    /// No such command was delivered to this sensor.
    Unasked,
}
