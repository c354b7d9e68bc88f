//! One entry: its canonical line and fingerprint, and how it is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Flaw, LINE_LIMIT, LedgerError};

/// Kind of the first entry of every chain.
pub(super) const GENESIS: &str = "chain-start";
/// Kind of the entry that records a repair.
pub(super) const RECOVERED: &str = "recovered";
/// Kind of the entry that records a ledger that was changed and is kept beside this one.
pub(super) const SET_ASIDE: &str = "predecessor-tampered";
/// Kind of the entry that records a ledger that was not there any more.
pub(super) const MISSING: &str = "predecessor-missing";
/// `prev` of the first entry.
pub(super) const NO_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An entry as it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub seq: u64,
    /// Unix nanoseconds, decimal.
    pub time: String,
    pub kind: String,
    pub body: Value,
    /// Fingerprint of the entry before.
    pub prev: String,
    pub chain_uid: String,
    /// SHA-256 over all the others, hex.
    pub fingerprint: String,
}

/// What the fingerprint covers.
#[derive(Serialize)]
struct Content<'a> {
    seq: u64,
    time: &'a str,
    kind: &'a str,
    body: &'a Value,
    prev: &'a str,
    chain_uid: &'a str,
}

/// The entry that the next one follows.
pub(super) struct Link<'a> {
    pub(super) chain_uid: &'a str,
    pub(super) seq: u64,
    pub(super) fingerprint: &'a str,
}

impl Entry {
    /// The entry behind `link` and its line, newline included.
    pub(super) fn next(
        link: &Link<'_>,
        kind: &str,
        body: Value,
        time_unix_ns: u64,
    ) -> Result<(Self, Vec<u8>), LedgerError> {
        let no_form = || LedgerError::Body { kind: kind.to_owned() };
        let mut entry = Self {
            seq: link.seq + 1,
            time: time_unix_ns.to_string(),
            kind: kind.to_owned(),
            body: exact_numbers(body),
            prev: link.fingerprint.to_owned(),
            chain_uid: link.chain_uid.to_owned(),
            fingerprint: String::new(),
        };
        entry.fingerprint = entry.own_fingerprint().ok_or_else(no_form)?;
        let mut line = canonical(&entry).ok_or_else(no_form)?;
        // What the verifier would refuse must not be written, however it came about.
        let Ok(entry) = Self::parse(&line) else { return Err(no_form()) };
        line.push(b'\n');
        if line.len() as u64 > LINE_LIMIT {
            return Err(LedgerError::TooLarge { kind: kind.to_owned(), bytes: line.len() });
        }
        Ok((entry, line))
    }

    /// Reads a line (without its newline) and proves it against its own fingerprint.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Flaw> {
        let entry: Self = serde_json::from_slice(line).map_err(|source| Flaw::NotJson { source })?;
        if canonical(&entry).as_deref() != Some(line) {
            return Err(Flaw::NotCanonical);
        }
        if entry.own_fingerprint().as_deref() != Some(entry.fingerprint.as_str()) {
            return Err(Flaw::Fingerprint);
        }
        Ok(entry)
    }

    fn own_fingerprint(&self) -> Option<String> {
        let content = Content {
            seq: self.seq,
            time: &self.time,
            kind: &self.kind,
            body: &self.body,
            prev: &self.prev,
            chain_uid: &self.chain_uid,
        };
        canonical(&content).map(|bytes| hex(&Sha256::digest(bytes)))
    }
}

/// RFC 8785. `None` for what has no JSON form.
pub(super) fn canonical(value: &impl Serialize) -> Option<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).ok()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Lower-case digits only: one value has one form.
pub(super) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

/// A double holds integers up to 2^53; larger ones would come back changed, so they become text.
fn exact_numbers(value: Value) -> Value {
    const LIMIT: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let large = match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => value > LIMIT,
                (None, Some(value)) => value.unsigned_abs() > LIMIT,
                (None, None) => false,
            };
            if large { Value::String(number.to_string()) } else { Value::Number(number) }
        }
        Value::Array(items) => items.into_iter().map(exact_numbers).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, exact_numbers(value))).collect()
        }
        other => other,
    }
}
