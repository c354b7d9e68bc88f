//! An executed file, and what is known of its content.

use sentry_detect::{event::File, run::ProcessKey};

/// Why it is not known what was in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    /// Neither the process nor the file under its name was there any more.
    Gone,
    /// It was changed after it was executed, or so shortly before that its times do not say.
    Changed,
    /// Its file system does not say when a file was changed.
    FileSystem,
    TooLarge,
    /// The file cannot be read, or its file system does not answer.
    Unreadable,
    /// Only its name is known, and that may name another file by now.
    NoObject,
    /// Its process has executed something since, or it is not known whether it has.
    Unconfirmed,
}

/// A file that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    pub file: File,
    pub process: ProcessKey,
    /// Its view of the file system is the next best where the process has ended.
    pub parent: Option<ProcessKey>,
    /// The image of the process; else the script that the image interprets.
    pub is_image: bool,
    /// `CLOCK_BOOTTIME`, ns.
    pub time_boot_ns: u64,
    /// The same by the wall clock when its record was read, which may have been set since.
    pub time_unix_ns: u64,
}

/// What was in it, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    pub content: Content,
    pub basis: Basis,
}

/// What the proof rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The file was last changed before it was executed.
    Time,
    /// The process ran the file before and after it was read: proven if it has executed nothing
    /// since, for between two executions of a file somebody may write to it.
    Process,
}

/// What was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub sha256: [u8; 32],
    pub size_bytes: u64,
}
