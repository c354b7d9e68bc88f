//! Why a stream cannot be opened, or ends.

use std::{io, path::PathBuf};

use sentry_proto::proof::KeyError;

use crate::journal::JournalError;

/// Why a stream could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    #[error("read {path} for TLS; check the collector section of the configuration")]
    TlsFile { path: PathBuf, source: io::Error },
    #[error("{act} {uri}; the items stay in the spool meanwhile")]
    Connect { act: &'static str, uri: String, source: tonic::transport::Error },
    #[error(
        "stream to the collector: it answered {code}: {message}",
        code = .status.code(),
        message = .status.message()
    )]
    Refused { status: Box<tonic::Status> },
    #[error("stream to the collector: {what}")]
    Protocol { what: &'static str },
    #[error("the collector has not proven who it is: {what}; nothing but the hello was sent to it")]
    Unproven { what: &'static str },
    #[error("cannot prove this sensor to the collector")]
    Key(#[from] Box<KeyError>),
    #[error("the kernel gave no random bytes for the collector")]
    Random { source: io::Error },
    #[error("read for the collector")]
    Journal(#[from] JournalError),
}

impl ExportError {
    pub(super) fn refused(status: tonic::Status) -> Self {
        Self::Refused { status: Box::new(status) }
    }

    /// Whether the collector found the content wrong, not the moment.
    pub(super) fn refuses_content(&self) -> bool {
        matches!(self, Self::Refused { status } if status.code() == tonic::Code::InvalidArgument)
    }
}
