//! Commands as the store keeps them.

use sentry_proto::v1;

/// A command to deliver.
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
    /// The same command was stored before under this key.
    Existing(CommandRow),
    /// The key belongs to another command.
    Conflict(CommandRow),
    UnknownRun,
    /// Several sensors report a run of this id.
    AmbiguousRun,
    /// The sensor has as many unanswered commands as it may have.
    TooMany,
}

impl CommandReply {
    /// As the audit says it.
    pub(crate) fn result(&self) -> &'static str {
        match self {
            Self::Created(_) => "accepted",
            Self::Existing(_) => "accepted before",
            Self::Conflict(_) => "refused: the key belongs to another command",
            Self::UnknownRun => "refused: no such run",
            Self::AmbiguousRun => "refused: several sensors report the run",
            Self::TooMany => "refused: too many unanswered commands",
        }
    }
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
