//! What can be wrong with a ledger.

use std::{error::Error, fmt, io, path::PathBuf};

use sentry_private::PrivateError;

/// Most bytes of one line.
pub const LINE_LIMIT: u64 = 1 << 20;

/// Why the ledger could not be opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    #[error("{act} {path}: the file system refused")]
    Io { act: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("append to {path}: no space left; the entry was not written, free space and try again")]
    NoSpace { path: PathBuf, source: io::Error },
    #[error("open the ledger in {dir}: another process has it open; stop that sensor first")]
    InUse { dir: PathBuf },
    #[error("read {path}: {why}; restore the file, or move the ledger away to begin a new one")]
    Key { path: PathBuf, why: &'static str },
    #[error(
        "open the ledger in {dir}: it was changed since it was written; keep it as evidence, move it away"
    )]
    Tampered {
        dir: PathBuf,
        #[source]
        source: VerifyError,
    },
    #[error(
        "append a {kind} entry: {bytes} bytes are more than a line may hold ({LINE_LIMIT}); shorten the body"
    )]
    TooLarge { kind: String, bytes: usize },
    #[error(
        "append a {kind} entry: its body has no canonical form; pass plain JSON, at most 100 levels deep"
    )]
    Body { kind: String },
}

/// Where the proof failed.
#[derive(Debug)]
pub struct VerifyError {
    /// File in the ledger's directory.
    pub segment: String,
    /// From 1; 0 = the file as a whole.
    pub line: u64,
    pub what: Flaw,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, line, what } = self;
        match line {
            0 => write!(f, "verify {segment}: {what}"),
            _ => write!(f, "verify {segment}, line {line}: {what}"),
        }
    }
}

impl Error for VerifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.what.source()
    }
}

/// What is wrong there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    #[error("the file cannot be read")]
    Unreadable { source: io::Error },
    #[error("there is no ledger here; name the directory that a sensor keeps its ledger in")]
    Absent,
    #[error("not a public key in hex")]
    PublicKey,
    #[error("not an entry")]
    NotJson { source: serde_json::Error },
    #[error("not in canonical form: bytes were changed, added or removed")]
    NotCanonical,
    #[error("the fingerprint does not fit the content: the entry was changed")]
    Fingerprint,
    #[error("the signature does not fit: HEAD or the public key was replaced")]
    Signature,
    #[error("belongs to chain {found}, not {expected}: it comes from another ledger")]
    Chain { expected: String, found: String },
    #[error("number {found} where {expected} belongs: entries were removed, added or moved")]
    Order { expected: u64, found: u64 },
    #[error("does not follow the entry before it: the chain was cut or spliced")]
    Link,
    #[error("the chain does not begin here: the first entries were removed")]
    Beginning,
    #[error("longer than a line may be ({LINE_LIMIT} bytes)")]
    TooLong,
    #[error(
        "not ended by a newline: it was cut, or a crash tore it (the sensor repairs that when it starts)"
    )]
    Torn,
    #[error("the ledger ends at {found}, its HEAD is {expected}: the last entries were removed")]
    EndsEarly { expected: u64, found: u64 },
    #[error(
        "entries go on to {found} behind HEAD {expected}: added, or a crash came before the signature (the \
        sensor repairs that when it starts)"
    )]
    Unsigned { expected: u64, found: u64 },
    #[error("segment is missing: the one before it is followed by {found}")]
    SegmentMissing { found: String },
    #[error("HEAD names {named} as the segment of the last entry")]
    SegmentOfHead { named: String },
}
