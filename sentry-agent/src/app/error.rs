//! Why the sensor does not run (any more).

use std::{convert::Infallible, io, time::Duration};

use sentry_kernel::{bpf::LoadError, cgroup::CgroupError};
use sentry_private::PrivateError;
use sentry_service::stages::Fault;

use crate::{
    control::socket::SocketError, journal::JournalError, learn::shelf::ShelfError, ledger::LedgerError,
};

/// Why the sensor does not run (any more).
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The state directory, or something in it.
    #[error(transparent)]
    State(#[from] PrivateError),
    #[error(transparent)]
    Baselines(#[from] ShelfError),
    #[error("cannot start {what}")]
    Start {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("the control socket failed")]
    Serve {
        #[source]
        source: tonic::transport::Error,
    },
    #[error("stage {stage} ended by itself; the log says why")]
    DeadStage { stage: &'static str },
    #[error("stage {stage} did not end within {} s; what it had not written is missing", within.as_secs())]
    StuckStage { stage: &'static str, within: Duration },
}

// === impl AppError ===

impl From<Fault<tonic::transport::Error>> for AppError {
    fn from(fault: Fault<tonic::transport::Error>) -> Self {
        match fault {
            Fault::Failed { source, .. } => Self::Serve { source },
            Fault::Panicked { stage } | Fault::Ended { stage } => Self::DeadStage { stage },
            Fault::Stuck { stage, within } => Self::StuckStage { stage, within },
        }
    }
}

impl From<Fault<Infallible>> for AppError {
    fn from(fault: Fault<Infallible>) -> Self {
        match fault {
            Fault::Failed { source, .. } => match source {},
            Fault::Panicked { stage } | Fault::Ended { stage } => Self::DeadStage { stage },
            Fault::Stuck { stage, within } => Self::StuckStage { stage, within },
        }
    }
}
