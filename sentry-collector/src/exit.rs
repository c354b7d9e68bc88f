//! The exit codes. The numbers follow `sysexits.h`, and scripts can rely on them.

use std::process::ExitCode;

/// Why the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or drained after a signal.
    Ok = 0,
    /// A stage failed, or an error without a code of its own.
    Other = 1,
    /// The command line is wrong.
    Usage = 64,
    /// A file that was named does not exist or cannot be read.
    NoInput = 66,
    /// The data directory or a secret in it cannot be created, or it belongs to another
    /// collector.
    CannotCreate = 73,
    /// The store or a listener failed, a secret cannot be read, or no collector answers.
    Io = 74,
    /// The configuration or a secret is invalid.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
