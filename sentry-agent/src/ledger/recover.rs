//! Opening: finds the newest entry, proves the tail, repairs what a crash left.

use std::{
    fs::{File, OpenOptions},
    io::BufReader,
    path::Path,
};

use ed25519_dalek::SigningKey;
use uuid::Uuid;

use super::{
    Flaw, LedgerError, VerifyError,
    entry::{Entry, NO_PREVIOUS},
    head::{self, Head},
    store::{self, Segment},
    verify::{Chain, Tail as SegmentTail},
};
/// The end of the ledger, ready to go on.
pub(super) struct Tail {
    pub(super) chain_uid: String,
    /// 0 = nothing was ever appended.
    pub(super) seq: u64,
    pub(super) fingerprint: String,
    pub(super) segment: Segment,
    pub(super) recovered: Recovered,
}

/// What was repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recovered {
    /// Bytes of a torn last line, now cut.
    pub(super) cut_bytes: u64,
    /// Entries that HEAD did not know yet, now signed for. At most one.
    pub(super) unsigned_entries: u64,
    /// Entries that HEAD had signed for and that were torn. At most one.
    pub(super) lost_entries: u64,
    /// The first entry was there, HEAD was not.
    pub(super) head_missing: bool,
}

impl Recovered {
    pub(super) fn anything(self) -> bool {
        self != Self::default()
    }
}

pub(super) fn tail(dir: &Path, key: &SigningKey) -> Result<Tail, LedgerError> {
    let tampered = |source| LedgerError::Tampered { dir: dir.to_owned(), source };
    let head = read_head(dir, key)?;
    let numbers = store::segments(dir).map_err(|source| LedgerError::Io {
        act: "list",
        path: dir.to_owned(),
        source,
    })?;
    let Some(&newest) = numbers.last() else { return nothing_yet(dir, head.as_ref()) };

    // Only from HEAD's segment on: what stands before it was proven when HEAD moved on, and is for
    // `verify`.
    let signed_in = head.as_ref().map_or(1, |head| number_of(&head.segment, &numbers));
    let mut chain = before(dir, signed_in, head.as_ref().map(|head| head.chain_uid.clone()))?;
    let mut at_head = None;
    let mut kept_bytes = 0;
    for &number in numbers.iter().filter(|number| **number >= signed_in) {
        let torn = if number == newest { SegmentTail::MayBeTorn } else { SegmentTail::Whole };
        let mut input = BufReader::new(open(dir, number)?);
        kept_bytes = chain
            .lines(&store::name(number), &mut input, torn, |chain| {
                if head.as_ref().is_some_and(|head| head.seq == chain.seq) {
                    at_head = Some(chain.fingerprint.clone());
                }
            })
            .map_err(tampered)?;
    }
    let found_bytes = open(dir, newest)?.metadata().map_or(kept_bytes, |metadata| metadata.len());
    let cut_bytes = found_bytes.saturating_sub(kept_bytes);
    let torn = cut_bytes > 0;
    let (unsigned_entries, lost_entries) = agrees(head.as_ref(), &chain, at_head.as_deref(), torn)
        .map_err(|what| tampered(VerifyError { segment: store::name(newest), line: 0, what }))?;
    let recovered = Recovered {
        cut_bytes,
        unsigned_entries,
        lost_entries,
        head_missing: head.is_none() && chain.seq > 0,
    };
    Ok(Tail {
        chain_uid: chain.chain_uid.unwrap_or_else(new_chain_uid),
        seq: chain.seq,
        fingerprint: chain.fingerprint,
        segment: Segment::open(dir, newest, kept_bytes)?,
        recovered,
    })
}

/// How many entries stand behind HEAD, and how many are missing up to it. One behind is what a
/// crash between line and HEAD leaves; more is not ours. One missing is what a disk leaves that had
/// not written what it said it had: then the rest of its line is there.
fn agrees(head: Option<&Head>, chain: &Chain, at_head: Option<&str>, torn: bool) -> Result<(u64, u64), Flaw> {
    let expected = head.map_or(0, |head| head.seq);
    let found = chain.seq;
    if torn && found > 0 && found + 1 == expected {
        return Ok((0, 1));
    }
    if found < expected {
        return Err(Flaw::EndsEarly { expected, found });
    }
    if found > expected + 1 {
        return Err(Flaw::Unsigned { expected, found });
    }
    if head.is_some_and(|head| at_head != Some(head.fingerprint.as_str())) {
        return Err(Flaw::Fingerprint);
    }
    Ok((found - expected, 0))
}

/// The chain as it stood before segment `number`.
fn before(dir: &Path, number: u32, chain_uid: Option<String>) -> Result<Chain, LedgerError> {
    let mut chain = Chain::start(chain_uid);
    if number <= 1 {
        return Ok(chain);
    }
    let name = store::name(number - 1);
    let path = dir.join(&name);
    let content = sentry_private::read(&path)?;
    let last = content.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next());
    let entry = last.ok_or(Flaw::Torn).and_then(Entry::parse).map_err(|what| LedgerError::Tampered {
        dir: dir.to_owned(),
        source: VerifyError { segment: name, line: 0, what },
    })?;
    chain.seq = entry.seq;
    chain.fingerprint = entry.fingerprint;
    Ok(chain)
}

fn nothing_yet(dir: &Path, head: Option<&Head>) -> Result<Tail, LedgerError> {
    if let Some(head) = head {
        let what = Flaw::EndsEarly { expected: head.seq, found: 0 };
        let source = VerifyError { segment: head.segment.clone(), line: 0, what };
        return Err(LedgerError::Tampered { dir: dir.to_owned(), source });
    }
    Ok(Tail {
        chain_uid: new_chain_uid(),
        seq: 0,
        fingerprint: NO_PREVIOUS.to_owned(),
        segment: Segment::create(dir, 1)?,
        recovered: Recovered::default(),
    })
}

fn read_head(dir: &Path, key: &SigningKey) -> Result<Option<Head>, LedgerError> {
    let path = dir.join(head::FILE);
    let content = match sentry_private::read(&path) {
        Ok(content) => content,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Head::parse(&content, &key.verifying_key()).map(Some).map_err(|what| LedgerError::Tampered {
        dir: dir.to_owned(),
        source: VerifyError { segment: head::FILE.to_owned(), line: 0, what },
    })
}

/// Where HEAD's segment is gone, the walk begins at the first one that is left and then ends early.
fn number_of(segment: &str, numbers: &[u32]) -> u32 {
    numbers.iter().copied().find(|number| store::name(*number) == segment).unwrap_or(1)
}

fn open(dir: &Path, number: u32) -> Result<File, LedgerError> {
    Ok(sentry_private::open(&dir.join(store::name(number)), OpenOptions::new().read(true))?)
}

fn new_chain_uid() -> String {
    Uuid::now_v7().to_string()
}
