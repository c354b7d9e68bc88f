//! The ledger: an append-only proof of what the sensor decided and of the outcomes.
//!
//! # Files
//!
//! ```text
//! ledger.key               32 bytes, Ed25519 secret, mode 0600, made on first use
//! ledger.pub               its public key: 64 hex digits and a newline
//! ledger.lock              held by the one process that appends
//! segment-00000001.jsonl   entries, one line each; the chain goes on across segments
//! HEAD                     signed position of the newest entry
//! ```
//!
//! A line is the RFC 8785 (JCS) serialisation of one entry, ended by a newline:
//!
//! ```text
//! {"body":…,"chain_uid":"…","fingerprint":"…","kind":"decision","prev":"…","seq":7,"time":"1760000000123456789"}
//! ```
//!
//! `fingerprint` is the SHA-256 (hex) of the same serialisation without `fingerprint`; `prev` is
//! the fingerprint of the entry before (64 zeros for the first); `seq` starts at 1; `time` is Unix
//! nanoseconds. This is the shape of an OCSF 1.9 attestation (`fingerprint`, `prev_event`,
//! `chain_uid`). HEAD is such an object too: `chain_uid`, `fingerprint`, `segment`, `seq`, and
//! `signature`, Ed25519 over the serialisation without `signature`. The chain proves that nothing
//! inside was changed, HEAD that nothing at the end was removed or added.
//!
//! JSON numbers are doubles in RFC 8785: integers beyond 2^53 in a body are written as decimal
//! strings.
//!
//! # Limits
//!
//! A line holds at most [`LINE_LIMIT`] bytes, a segment [`SEGMENT_LIMIT`] unless
//! [`Ledger::open_with`] says otherwise. Whoever holds the secret key can write another history;
//! what defeats that is a copy of HEAD elsewhere.
//!
//! # Order of an append
//!
//! Line written and synced, then HEAD replaced and synced, then the caller goes on. After a crash a
//! line may be torn (cut at the next open) or be one ahead of HEAD (kept); both are recorded by an
//! entry of kind `recovered`. Where the disk lost what it had said was written, the torn line may
//! be the one that HEAD signs for: the entry records that, too. Whole lines that are missing are
//! never the work of a crash. A write that fails, for a full disk for example, is taken back: the
//! ledger stays as it was.

mod error;

mod entry;

mod key;

mod head;

pub(crate) mod lock;

mod store;

mod verify;

mod recover;

mod record;

mod note;

pub mod pending;

pub mod start;

mod open_runs;

mod part;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

pub use entry::Entry;
pub use error::{Flaw, LINE_LIMIT, LedgerError, VerifyError};
pub use note::Note;
pub use open_runs::{OpenRuns, open_runs};
pub use part::{Begins, Ends, Part, PartProof};
pub use record::EXPORTED;
pub use start::kept_beside;
pub use verify::{SetAside, Verified, verify};

use head::Head;
use recover::Recovered;
use store::Segment;

/// Bytes at which a segment is followed by the next, unless asked otherwise.
pub const SEGMENT_LIMIT: u64 = 16 << 20;

/// The ledger, open for appending. One process has it at a time.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    key: SigningKey,
    segment_limit: u64,
    chain_uid: String,
    /// Newest entry: number and fingerprint.
    seq: u64,
    fingerprint: String,
    segment: Segment,
    recovered: Recovered,
    /// Keeps other writers out as long as it is open.
    _owner: File,
}

impl Ledger {
    /// Opens the ledger in `dir`, or begins one there.
    ///
    /// The newest segments are verified against HEAD; [`verify()`] proves the whole. What a crash
    /// left behind is repaired and recorded by an entry.
    ///
    /// # Errors
    ///
    /// The directory cannot be used, another process has it open, or the tail is not what was
    /// written.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        Self::open_with(dir, SEGMENT_LIMIT)
    }

    /// As [`Ledger::open`], with another size for new segments.
    ///
    /// # Errors
    ///
    /// See [`Ledger::open`].
    pub fn open_with(dir: &Path, segment_limit: u64) -> Result<Self, LedgerError> {
        store::make_dir(dir)?;
        let owner = store::own(dir)?;
        let key = key::load_or_make(dir)?;
        let tail = recover::tail(dir, &key)?;
        let mut ledger = Self {
            dir: dir.to_owned(),
            key,
            segment_limit,
            chain_uid: tail.chain_uid,
            seq: tail.seq,
            fingerprint: tail.fingerprint,
            segment: tail.segment,
            recovered: tail.recovered,
            _owner: owner,
        };
        if ledger.seq == 0 {
            ledger.begin()?;
        }
        ledger.tell()?;
        Ok(ledger)
    }

    /// Appends an entry. When this returns, the entry is on disk and signed for.
    ///
    /// # Errors
    ///
    /// The entry was not written, except when syncing the directory failed after HEAD was replaced:
    /// then it may stand there twice after a second try, which is harmless.
    pub fn append(&mut self, kind: &str, body: Value, time_unix_ns: u64) -> Result<Entry, LedgerError> {
        let (entry, line) = Entry::next(
            &entry::Link { chain_uid: &self.chain_uid, seq: self.seq, fingerprint: &self.fingerprint },
            kind,
            body,
            time_unix_ns,
        )?;
        let full = self.segment.bytes() > 0 && self.segment.bytes() + line.len() as u64 > self.segment_limit;
        let mut next = full.then(|| Segment::create(&self.dir, self.segment.number() + 1)).transpose()?;
        let segment = next.as_mut().unwrap_or(&mut self.segment);
        let before = segment.bytes();
        segment.append(&line)?;
        let head = Head {
            chain_uid: self.chain_uid.clone(),
            fingerprint: entry.fingerprint.clone(),
            segment: segment.name(),
            seq: entry.seq,
        };
        if let Err(error) = store::replace(&self.dir, head::FILE, &head.signed(&self.key)) {
            segment.take_back(before);
            return Err(error);
        }
        self.seq = entry.seq;
        self.fingerprint.clone_from(&entry.fingerprint);
        if let Some(next) = next {
            self.segment = next;
        }
        store::sync_dir(&self.dir)?;
        Ok(entry)
    }

    /// Number and fingerprint of the newest entry.
    #[must_use]
    pub fn head(&self) -> (u64, &str) {
        (self.seq, &self.fingerprint)
    }

    /// Identifier of the chain; a new one begins only with a new ledger.
    #[must_use]
    pub fn chain_uid(&self) -> &str {
        &self.chain_uid
    }

    /// How many entries HEAD had signed for that a crash tore; `None` for none.
    #[must_use]
    pub fn torn_entries(&self) -> Option<u64> {
        Some(self.recovered.lost_entries).filter(|count| *count > 0)
    }

    fn begin(&mut self) -> Result<(), LedgerError> {
        let body = json!({ "public_key": key::public_hex(&self.key.verifying_key()) });
        self.append(entry::GENESIS, body, now_unix_ns()).map(drop)
    }

    fn tell(&mut self) -> Result<(), LedgerError> {
        let recovered = self.recovered;
        if !recovered.anything() {
            return Ok(());
        }
        tracing::warn!(
            ledger.dir = %self.dir.display(),
            ledger.cut_bytes = recovered.cut_bytes,
            ledger.unsigned_entries = recovered.unsigned_entries,
            ledger.lost_entries = recovered.lost_entries,
            "ledger repaired after a crash"
        );
        let body = json!({
            "cut_bytes": recovered.cut_bytes,
            "unsigned_entries": recovered.unsigned_entries,
            "lost_entries": recovered.lost_entries,
            "head_rebuilt": recovered.head_missing,
        });
        self.append(entry::RECOVERED, body, now_unix_ns()).map(drop)
    }
}

/// The ledger's own entries are stamped when they are made; all others get their time from the
/// caller.
fn now_unix_ns() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
