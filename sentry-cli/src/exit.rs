//! What the process says with its exit code. The numbers follow `sysexits.h` and are a promise to
//! scripts.
//!
//! `sentry run` passes the command's own code through: `128 + signal` where a signal ended it, 125
//! where `sentry` itself failed before or after it, 126 where the command cannot be executed, 127
//! where there is none.

use std::process::ExitCode;

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Ok = 0,
    /// Something that has no code of its own.
    Failure = 1,
    /// The answer itself is bad: a ledger or an archive that was changed, an act that was refused,
    /// a demo that did not show it all.
    Bad = 2,
    /// The command line is wrong.
    Usage = 64,
    /// What was named does not exist or cannot be read.
    NoInput = 66,
    /// The sensor cannot be reached.
    Unavailable = 69,
    /// The two sides do not understand each other.
    Internal = 70,
    /// Something cannot be made.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// It may work later.
    Temporary = 75,
    /// Not allowed.
    NoPermission = 77,
    /// The configuration is invalid.
    Config = 78,
    /// `sentry run`: sentry itself failed.
    RunFailed = 125,
    /// `sentry run`: the command cannot be executed.
    NotExecutable = 126,
    /// `sentry run`: there is no such command.
    NotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// For `--help`.
pub(super) const TABLE: &str = "\
Exit codes:
  0  done                              70  sensor and client do not understand each other
  1  failure                           73  cannot create
  2  the answer is bad: a changed      74  reading or writing failed
     ledger or archive, an act         75  try again later
     without effect
  64 the command line is wrong         77  no permission
  66 no such input                     78  the configuration or the state
                                           directory is not fit
  69 the sensor cannot be reached
`run` ends with the command's code, or 125 (sentry failed), 126 (cannot be executed), 127 (no such command).";
