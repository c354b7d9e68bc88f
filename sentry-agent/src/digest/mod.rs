//! SHA-256 of executed files: of the content that was executed, or none.
//!
//! - `find`: the file that a record names, by the process that runs it or by its name.
//! - `proof`: whether the content that is read now is the content that was executed then.
//! - `content`: reads and remembers contents, each once.
//! - `readers`: the thread that does it, and those that a file system did not give back.
//!
//! The time of the file's last change has to lie before the execution. Where it is too close, the
//! process has to run the file still: the kernel lets nobody write to it then (`ETXTBSY`, seen on
//! 6.1.176, 6.12.117, 6.18.15 and 7.2.12).

mod content;

mod find;

mod proof;

mod readers;

use sentry_detect::{event::File, run::ProcessKey};

pub use readers::Readers;

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

/// What keeps the sensor from reading all of them, in words.
#[must_use]
pub fn limits() -> Vec<String> {
    /// <linux/capability.h>: without it procfs does not show what another program runs.
    const CAP_SYS_PTRACE: u32 = 19;
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    let may_look = status.is_ok_and(|status| status.capeff & (1 << CAP_SYS_PTRACE) != 0);
    let lacks = |has: bool, what: &str| (!has).then(|| format!("contents of executed files: {what}"));
    let limits = [
        lacks(may_look, "without CAP_SYS_PTRACE those that are not under the same name for the sensor"),
        lacks(
            find::writes_are_denied(),
            "this kernel lets programs be written to while they run; those changed lately",
        ),
    ];
    limits.into_iter().flatten().collect()
}
