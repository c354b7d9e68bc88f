//! Errors of the store. Causes are opaque: callers do not need to know which database it is.

use std::{error::Error, io, path::PathBuf};

use sentry_private::PrivateError;

use crate::exit::Exit;

/// An error of the database.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why the store cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "cannot create the data directory {}; choose another with --data-dir or `data_dir`",
        path.display()
    )]
    Create { path: PathBuf, source: io::Error },
    /// The data directory, or something in it.
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error(
        "the data directory {} is in use by another collector; stop it or choose another directory",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error("cannot open the database {}", path.display())]
    Open { path: PathBuf, source: Cause },
    #[error(
        "the database {} has schema {found}, this collector knows up to {known}; run the newer collector",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the store failed for good while {what}")]
    Broken { what: &'static str, source: Cause },
    #[error("the store had uncommitted items when it was stopped; sensors will send them again")]
    Abandoned { source: Cause },
}

/// The writer has ended: the process is going down.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store takes nothing any more")]
pub(crate) struct StoreGone;

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the query took over {seconds} s; narrow it with filters")]
    TooSlow { seconds: u64 },
    #[error("the store cannot be read")]
    Failed { source: Cause },
    #[error("{relation}.{column} is not of the type that it is read as")]
    Column { relation: &'static str, column: &'static str },
    #[error("{blocks} blocks of the store are corrupt and are taken out of it; ask again")]
    Corrupt { blocks: usize },
    #[error("the reader is gone")]
    Gone,
}

/// Why nothing can be committed at the moment; `None` while all is well.
pub(crate) type Trouble = Option<String>;

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
