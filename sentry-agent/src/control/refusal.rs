//! Errors as the answers of a call.

use sentry_service::error_chain;
use tonic::{Code, Status};

use crate::{journal::JournalError, runs::RunError, stage::by_hand::Stopping};

pub(super) fn stopping() -> Status {
    Stopping.into()
}

/// Work that waits for the disk or the kernel.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Status::internal(format!("a worker failed: {error}")))
}

impl From<Stopping> for Status {
    fn from(error: Stopping) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl From<RunError> for Status {
    fn from(error: RunError) -> Self {
        let code = match &error {
            RunError::NoSlot | RunError::Share { .. } | RunError::Awaited { .. } | RunError::Reserved => {
                Code::ResourceExhausted
            }
            RunError::Tagged { .. } | RunError::Contains { .. } => Code::AlreadyExists,
            RunError::Unknown { .. } => Code::NotFound,
            RunError::Ambiguous { .. } => Code::InvalidArgument,
            RunError::Ended { .. }
            | RunError::Deserted { .. }
            | RunError::Enter { .. }
            | RunError::OfTheSensor { .. }
            | RunError::Protected { .. }
            | RunError::Cgroup(_) => Code::FailedPrecondition,
            RunError::Kernel(_) => Code::Internal,
        };
        Status::new(code, error_chain(&error))
    }
}

impl From<JournalError> for Status {
    fn from(error: JournalError) -> Self {
        Status::internal(error_chain(&error))
    }
}
