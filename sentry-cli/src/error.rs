//! Errors of commands: their text for people, and their exit code.

use std::{io, path::PathBuf};

use tonic::{Code, Status};

use super::exit::Exit;
use sentry_agent::{
    config::{ConfigError, check::CheckError},
    ledger::{Flaw, VerifyError},
};
use sentry_archive::ArchiveError;
use sentry_recording::RecordingError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(
        "permission denied on {}: you are not in group agentsentry; ask an administrator for `usermod -aG \
        agentsentry {user}`, then log in again", socket.display()
    )]
    SocketDenied { socket: PathBuf, user: String },
    #[error(
        "no sensor is listening on {}; start it with `sentry sensor` or `systemctl start agentsentry`",
        socket.display()
    )]
    NoSensor { socket: PathBuf },
    #[error("cannot connect to {}; --socket or AGENTSENTRY_SOCKET names the sensor's socket", socket.display())]
    Connect {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    /// An answer of the sensor; its text says what to do.
    #[error("{}", answer(.0))]
    Sensor(Box<Status>),
    #[error(
        "the sensor's answer has no `{field}`; sensor and command have different versions, update the older \
        one"
    )]
    Incomplete { field: &'static str },
    #[error("there is no {what} `{id}`: {next}")]
    Unknown { what: &'static str, id: String, next: &'static str },
    #[error("{what} `{id}` is not kept any more: {why}")]
    Gone { what: &'static str, id: String, why: &'static str },
    #[error("`{id}` is the beginning of more than one {what}, such as {one} and {other}; give more of it")]
    Ambiguous { what: &'static str, id: String, one: String, other: String },
    #[error("there is no {what}: {next}")]
    Nothing { what: &'static str, next: &'static str },
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data file inside of the program is broken.
    #[error(transparent)]
    Knowledge(#[from] sentry_story::DataError),
    #[error(transparent)]
    Search(#[from] sentry_story::SearchError),
    #[error("cannot make the archive")]
    Archive {
        #[source]
        source: ArchiveError,
    },
    #[error("cannot replay {}", path.display())]
    Recording {
        path: PathBuf,
        #[source]
        source: RecordingError,
    },
    #[error("{} is there already; give another name, or --force to replace it", path.display())]
    Exists { path: PathBuf },
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Ledger(#[from] VerifyError),
    #[error("what the sensor hands out of its ledger is not as it was written")]
    LedgerPart(#[from] Flaw),
    #[error("cannot write to standard output")]
    Output {
        #[source]
        source: io::Error,
    },
    #[error("cannot write {}; name a place in a directory that is yours", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {what}")]
    System {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot execute {command:?}; {}", before_execution(source))]
    Exec {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("{what}")]
    Other { what: String, exit: Exit },
}

impl CliError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::SocketDenied { .. } => Exit::NoPermission,
            Self::NoSensor { .. } | Self::Connect { .. } => Exit::Unavailable,
            Self::Sensor(status) => of_code(status.code()),
            Self::Incomplete { .. } | Self::Knowledge(_) => Exit::Internal,
            Self::Search(_) => Exit::Usage,
            Self::Unknown { .. } | Self::Gone { .. } | Self::Ambiguous { .. } | Self::Nothing { .. } => {
                Exit::NoInput
            }
            Self::Archive { source: ArchiveError::Ledger { .. } } | Self::LedgerPart(_) => Exit::Bad,
            Self::Archive { .. } => Exit::Io,
            Self::Recording { .. } => Exit::NoInput,
            Self::Exists { .. } => Exit::CannotCreate,
            Self::Ledger(error) => of_flaw(&error.what),
            Self::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Exit::NoInput,
                io::ErrorKind::PermissionDenied => Exit::NoPermission,
                _ => Exit::Io,
            },
            Self::Config(error) => of_config(error),
            // The reader has gone, as `| head` does: nothing is wrong.
            Self::Output { source } if source.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
            Self::Output { .. } => Exit::Io,
            Self::Write { .. } => Exit::CannotCreate,
            Self::System { .. } => Exit::Failure,
            Self::Exec { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Exit::NotFound,
                _ => Exit::NotExecutable,
            },
            Self::Other { exit, .. } => *exit,
        }
    }

    /// Whether the error is printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.exit() == Exit::Ok
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        Self::Sensor(Box::new(status))
    }
}

pub(crate) fn of_config(error: &ConfigError) -> Exit {
    match error {
        ConfigError::Unreadable { .. } | ConfigError::Rules { .. } => Exit::NoInput,
        ConfigError::Flag { .. } => Exit::Usage,
        ConfigError::TooLarge { .. } | ConfigError::Invalid { .. } | ConfigError::Several(_) => Exit::Config,
    }
}

pub(crate) fn of_check(error: &CheckError) -> Exit {
    if error.is_about_reading() { Exit::NoInput } else { Exit::Config }
}

/// What a command ends with that was to prove a ledger.
pub(crate) fn of_flaw(flaw: &Flaw) -> Exit {
    match flaw {
        Flaw::Absent => Exit::NoInput,
        Flaw::Unreadable { source } if source.kind() == io::ErrorKind::PermissionDenied => Exit::NoPermission,
        Flaw::Unreadable { .. } => Exit::Io,
        _ => Exit::Bad,
    }
}

fn of_code(code: Code) -> Exit {
    match code {
        Code::PermissionDenied | Code::Unauthenticated => Exit::NoPermission,
        Code::NotFound => Exit::NoInput,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::Unavailable => Exit::Unavailable,
        Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled => Exit::Temporary,
        Code::Unimplemented | Code::Internal | Code::DataLoss => Exit::Internal,
        Code::Ok | Code::Unknown | Code::AlreadyExists | Code::FailedPrecondition => Exit::Failure,
    }
}

/// What a person can do about a command that was not executed.
fn before_execution(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "look at its name, its interpreter and PATH",
        io::ErrorKind::PermissionDenied => "it has to be a program that you may execute",
        _ => "it has to be a program for this machine, or a script that begins with `#!`",
    }
}

/// The sensor's words, or a hint where the connection broke off without any.
fn answer(status: &Status) -> String {
    match (status.code(), status.message()) {
        (Code::Unavailable | Code::Unknown, "") | (Code::Unavailable, "transport error") => {
            "the sensor closed the connection; see its log (`journalctl -u agentsentry`)".into()
        }
        (code, "") => {
            format!("the sensor answered {code:?} and no more; see its log (`journalctl -u agentsentry`)")
        }
        (_, message) => message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_code() {
        let socket = PathBuf::from("/run/x.sock");
        let cases = [
            (CliError::SocketDenied { socket: socket.clone(), user: "ada".into() }, 77),
            (CliError::NoSensor { socket: socket.clone() }, 69),
            (CliError::from(Status::permission_denied("a tagged run may not")), 77),
            (CliError::from(Status::not_found("no such run")), 66),
            (CliError::from(Status::failed_precondition("no")), 1),
            (CliError::from(Status::unavailable("")), 69),
            (CliError::Exec { command: "x".into(), source: io::ErrorKind::NotFound.into() }, 127),
            (CliError::Exec { command: "x".into(), source: io::ErrorKind::PermissionDenied.into() }, 126),
            (CliError::Output { source: io::ErrorKind::BrokenPipe.into() }, 0),
            (CliError::Output { source: io::ErrorKind::StorageFull.into() }, 74),
            (CliError::Read { path: "x".into(), source: io::ErrorKind::NotFound.into() }, 66),
            (CliError::Archive { source: ArchiveError::Cut }, 74),
            (CliError::LedgerPart(Flaw::Link), 2),
        ];
        for (error, code) in cases {
            assert_eq!(error.exit() as u8, code, "{error}");
        }
    }

    #[test]
    fn golden_texts() {
        let (socket, path) = (PathBuf::from("/run/s.sock"), PathBuf::from("/x/y"));
        let (what, id) = ("event", "r-c-7".to_owned());
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let errors = [
            CliError::SocketDenied { socket: socket.clone(), user: "ada".into() },
            CliError::NoSensor { socket: socket.clone() },
            CliError::Connect { socket, source: io::ErrorKind::NotADirectory.into() },
            CliError::from(Status::permission_denied("the words of the sensor")),
            CliError::from(Status::unavailable("")),
            CliError::from(Status::aborted("")),
            CliError::Incomplete { field: "run" },
            CliError::Unknown { what, id: id.clone(), next: "NEXT" },
            CliError::Gone { what, id: id.clone(), why: "WHY" },
            CliError::Ambiguous { what, id, one: "r-c-70".into(), other: "r-c-71".into() },
            CliError::Nothing { what: "run", next: "NEXT" },
            CliError::Archive { source: ArchiveError::Cut },
            CliError::Read { path: path.clone(), source: denied() },
            CliError::Write { path, source: denied() },
            CliError::LedgerPart(Flaw::Link),
            CliError::Output { source: io::ErrorKind::StorageFull.into() },
            CliError::System { what: "start the runtime", source: denied() },
            CliError::Exec { command: "claud".into(), source: io::ErrorKind::NotFound.into() },
            CliError::Exec { command: "/etc/passwd".into(), source: denied() },
        ];
        let texts: String =
            errors.iter().map(|error| format!("{}\n", sentry_service::error_chain(error))).collect();
        assert_eq!(
            texts,
            "\
permission denied on /run/s.sock: you are not in group agentsentry; ask an administrator for `usermod -aG \
agentsentry ada`, then log in again
no sensor is listening on /run/s.sock; start it with `sentry sensor` or `systemctl start agentsentry`
cannot connect to /run/s.sock; --socket or AGENTSENTRY_SOCKET names the sensor's socket: not a directory
the words of the sensor
the sensor closed the connection; see its log (`journalctl -u agentsentry`)
the sensor answered Aborted and no more; see its log (`journalctl -u agentsentry`)
the sensor's answer has no `run`; sensor and command have different versions, update the older one
there is no event `r-c-7`: NEXT
event `r-c-7` is not kept any more: WHY
`r-c-7` is the beginning of more than one event, such as r-c-70 and r-c-71; give more of it
there is no run: NEXT
cannot make the archive: it ends too early: it was cut
cannot read /x/y: permission denied
cannot write /x/y; name a place in a directory that is yours: permission denied
what the sensor hands out of its ledger is not as it was written: does not follow the entry before it: the \
chain was cut or spliced
cannot write to standard output: no storage space
cannot start the runtime: permission denied
cannot execute \"claud\"; look at its name, its interpreter and PATH: entity not found
cannot execute \"/etc/passwd\"; it has to be a program that you may execute: permission denied
"
        );
    }
}
