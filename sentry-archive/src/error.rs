//! What can be wrong with an archive, and why one could not be written.

use std::{error::Error, io};

use crate::{EXPANSION, FORMAT, LINE_BYTES};

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    #[error("cannot read it")]
    Read { source: io::Error },
    #[error("cannot write it")]
    Write { source: io::Error },
    #[error("it ends too early: it was cut")]
    Cut,
    #[error("not an archive of a run, or its bytes were changed")]
    NotPacked { source: io::Error },
    #[error("the seal does not fit: bytes were changed")]
    Seal,
    #[error("something stands behind its end: bytes were added")]
    Behind,
    #[error("a file in it has a head that no export writes: it was packed by something else")]
    Header,
    #[error("`{path}` in it is no file of an export")]
    Name { path: String },
    #[error("{name} is in it out of order, or more than once")]
    Order { name: String },
    #[error("{name} is filled up with something else than zeros")]
    Padding { name: String },
    #[error("{name} has {bytes} bytes, more than the {most} that an export writes there")]
    TooLarge { name: String, bytes: u64, most: u64 },
    #[error("more than {most} {what} are in it")]
    TooMany { what: &'static str, most: usize },
    #[error("it grows to more than {EXPANSION} times its size: it was made to fill a disk or a memory")]
    Bomb,
    #[error("{name}, line {line}: longer than a line may be ({LINE_BYTES} bytes)")]
    LongLine { name: String, line: u64 },
    #[error("{name}, line {line}: not ended by a newline")]
    OpenLine { name: String, line: u64 },
    #[error("{name}, line {line}: not what this list holds")]
    Line { name: String, line: u64, source: serde_json::Error },
    #[error("{place}: of run `{found}`, the archive is of run {run}")]
    OtherRun { place: String, run: String, found: String },
    #[error("{name} does not name run {run}: it is of another run")]
    OtherReport { name: &'static str, run: String },
    #[error("{name} is not the JSON that an export writes there")]
    Content { name: &'static str, source: serde_json::Error },
    #[error("format {found} is another one than {FORMAT}: read it with the version that wrote it")]
    Format { found: u32 },
    #[error("the manifest says otherwise: {what}")]
    Manifest { what: &'static str },
    #[error("{name} is missing")]
    Missing { name: String },
    #[error("{name} is not in the manifest: it was added")]
    Extra { name: String },
    #[error("{name} is not as it was exported: its content has another SHA-256, or another size")]
    Digest { name: String },
    #[error("the part of the ledger is not as it was written")]
    Ledger { source: Box<dyn Error + Send + Sync> },
    #[error("{place}: an id longer than any")]
    Id { place: String },
    #[error("{name} has {id}, which the ledger does not have: it was added")]
    NotInLedger { name: &'static str, id: String },
    #[error("the run's id `{run}` cannot be the name of a folder")]
    Run { run: String },
    #[error("{name} cannot be written there: {why}")]
    Misplaced { name: &'static str, why: &'static str },
}

impl ArchiveError {
    /// Whether the archive could not be read at all, so that nothing is known of it.
    #[must_use]
    pub fn is_about_reading(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}
