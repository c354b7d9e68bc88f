//! `sentry sensor`: configuration and logging, then the sensor itself.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sentry_kernel::bpf::LoadError;
use sentry_private::PrivateError;
use sentry_service::log;

use super::{args::SensorArgs, error::CliError, exit::Exit};
use sentry_agent::{
    app::AppError, config::Config, control::socket::SocketError, journal::JournalError,
    learn::shelf::ShelfError, ledger::LedgerError,
};

pub(super) fn run(args: SensorArgs) -> Result<Exit, CliError> {
    let format = if args.log_json { log::Format::Json } else { args.log_format };
    let flags = args.into_flags();
    let config = Config::load(&flags)?;
    log::start(format);
    allow_descriptors();
    sentry_agent::app::run_sensor(config, flags).map_err(|error| CliError::Other {
        what: sentry_service::error_chain(&error),
        exit: exit_of(&error),
    })?;
    Ok(Exit::Ok)
}

/// Takes as many descriptors as it may: every run needs one for its control group, and the usual
/// limit, 1024, is for programs that use select(2).
fn allow_descriptors() {
    let resource = Resource::RLIMIT_NOFILE;
    let raised = getrlimit(resource).and_then(|(_soft, hard)| setrlimit(resource, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

fn exit_of(error: &AppError) -> Exit {
    match error {
        AppError::Load(error) => of_load(error),
        AppError::Ledger(LedgerError::Tampered { .. }) => Exit::Bad,
        AppError::Ledger(LedgerError::InUse { .. }) | AppError::Socket(SocketError::Taken { .. }) => {
            Exit::Temporary
        }
        AppError::State(error) => of_private(error, Exit::CannotCreate),
        AppError::Ledger(LedgerError::Private(error))
        | AppError::Journal(JournalError::Private(error))
        | AppError::Baselines(ShelfError::Private(error)) => of_private(error, Exit::Io),
        AppError::Ledger(_) | AppError::Journal(_) | AppError::Baselines(_) => Exit::Io,
        AppError::Socket(SocketError::Io { source, .. }) => match source.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NoPermission,
            _ => Exit::CannotCreate,
        },
        AppError::Cgroup(_) | AppError::Start { .. } | AppError::Serve { .. } => Exit::Failure,
        AppError::DeadStage { .. } | AppError::StuckStage { .. } => Exit::Internal,
    }
}

/// `refused` is for what the file system refused.
fn of_private(error: &PrivateError, refused: Exit) -> Exit {
    match error {
        PrivateError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::NoPermission
        }
        PrivateError::Io { .. } => refused,
        PrivateError::Foreign { .. }
        | PrivateError::Writable { .. }
        | PrivateError::Kind { .. }
        | PrivateError::Newer { .. }
        | PrivateError::NoFormat { .. } => Exit::Config,
    }
}

/// Not allowed, or not possible on this kernel.
pub(super) fn of_load(error: &LoadError) -> Exit {
    if matches!(error, LoadError::Permission) || error.is_permission() {
        Exit::NoPermission
    } else {
        Exit::Failure
    }
}
