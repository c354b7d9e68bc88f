//! Walks the chain and proves it.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    Flaw, LINE_LIMIT, VerifyError,
    entry::{Entry, GENESIS, MISSING, NO_PREVIOUS, SET_ASIDE},
    head::{self, Head},
    key, store,
};

/// A ledger that holds what was written, all of it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub entries: u64,
    pub segments: usize,
    pub chain_uid: String,
    /// Number and fingerprint of the newest entry: compare it with a copy kept elsewhere.
    pub head_seq: u64,
    pub head_fingerprint: String,
    /// Public key that HEAD is signed with, hex.
    pub public_key: String,
    /// Ledgers that this one took the place of, oldest first; the newest `SET_ASIDE_KEPT` of
    /// them.
    pub set_aside: Vec<SetAside>,
}

/// A ledger that another one took the place of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it was kept; `None`: it was not there any more.
    pub kept: Option<PathBuf>,
    pub why: String,
}

/// Most that are named.
const SET_ASIDE_KEPT: usize = 64;

impl SetAside {
    fn of(entry: &Entry) -> Option<Self> {
        let text = |key: &str| entry.body[key].as_str();
        match entry.kind.as_str() {
            SET_ASIDE => Some(Self {
                kept: text("kept").map(PathBuf::from),
                why: text("why").unwrap_or_default().to_owned(),
            }),
            MISSING => {
                let chain = text("chain_uid").unwrap_or("unknown");
                Some(Self { kept: None, why: format!("the ledger of chain {chain} was missing") })
            }
            _ => None,
        }
    }
}

/// Proves the whole ledger in `dir`, reading it once from start to end. Works beside a running
/// sensor.
///
/// # Errors
///
/// The first place that is not as it was written.
pub fn verify(dir: &Path) -> Result<Verified, VerifyError> {
    /// Longest wait for an append that is under way.
    const TRIES: u32 = 5;
    let mut tried = 0;
    loop {
        match verify_once(dir) {
            // Between an entry's line and its HEAD a running sensor looks like this.
            Err(VerifyError {
                what: Flaw::Torn | Flaw::Unsigned { .. } | Flaw::EndsEarly { .. }, ..
            }) if tried < TRIES => {
                tried += 1;
                thread::sleep(Duration::from_millis(100));
            }
            result => return result,
        }
    }
}

fn verify_once(dir: &Path) -> Result<Verified, VerifyError> {
    let unreadable = |file: &str| {
        let segment = file.to_owned();
        move |source| VerifyError { segment, line: 0, what: Flaw::Unreadable { source } }
    };
    let read = |file: &str| match fs::read(dir.join(file)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(VerifyError { segment: file.to_owned(), line: 0, what: Flaw::Absent })
        }
        result => result.map_err(unreadable(file)),
    };
    // HEAD before the segments: what is appended meanwhile is behind it, never missing.
    let head = read(head::FILE)?;
    let public = read(key::PUBLIC_FILE)?;
    let numbers = store::segments(dir).map_err(unreadable("."))?;
    let mut proof = Proof::new(&head, &public)?;
    for number in numbers {
        let name = store::name(number);
        let file = File::open(dir.join(&name)).map_err(unreadable(&name))?;
        proof.segment(&name, &mut BufReader::new(file))?;
    }
    proof.finish()
}

/// [`verify`] on contents in memory: segments in order, HEAD, the public key's file.
#[cfg(test)]
pub(super) fn verify_bytes(
    segments: &[(&str, &[u8])],
    head: &[u8],
    public: &[u8],
) -> Result<Verified, VerifyError> {
    let mut proof = Proof::new(head, public)?;
    for (name, bytes) in segments {
        proof.segment(name, &mut &**bytes)?;
    }
    proof.finish()
}

/// A chain as far as it was walked.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// `None` until the first entry, where nothing else says it.
    pub(super) chain_uid: Option<String>,
    pub(super) seq: u64,
    pub(super) fingerprint: String,
    set_aside: VecDeque<SetAside>,
}

impl Chain {
    pub(super) fn start(chain_uid: Option<String>) -> Self {
        let fingerprint = NO_PREVIOUS.to_owned();
        Self { chain_uid, seq: 0, fingerprint, set_aside: VecDeque::new() }
    }

    /// The chain as it stood before this entry, wherever that is.
    pub(super) fn before(entry: &Entry) -> Self {
        let mut chain = Self::start(Some(entry.chain_uid.clone()));
        chain.seq = entry.seq.saturating_sub(1);
        chain.fingerprint.clone_from(&entry.prev);
        chain
    }

    /// Takes the next line, without its newline.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<(), Flaw> {
        self.entry(&Entry::parse(line)?)
    }

    /// Takes the next entry.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<(), Flaw> {
        let expected = self.chain_uid.get_or_insert_with(|| entry.chain_uid.clone());
        if *expected != entry.chain_uid {
            return Err(Flaw::Chain { expected: expected.clone(), found: entry.chain_uid.clone() });
        }
        if entry.seq != self.seq + 1 {
            return Err(Flaw::Order { expected: self.seq + 1, found: entry.seq });
        }
        if entry.prev != self.fingerprint {
            return Err(Flaw::Link);
        }
        if (entry.kind == GENESIS) != (entry.seq == 1) {
            return Err(Flaw::Beginning);
        }
        if let Some(set_aside) = SetAside::of(entry) {
            if self.set_aside.len() == SET_ASIDE_KEPT {
                self.set_aside.pop_front();
            }
            self.set_aside.push_back(set_aside);
        }
        self.seq = entry.seq;
        self.fingerprint.clone_from(&entry.fingerprint);
        Ok(())
    }

    /// Takes all lines of a segment; calls `seen` after each. Returns the bytes of whole lines;
    /// with a torn last line that is an error unless `torn` allows it.
    pub(super) fn lines(
        &mut self,
        name: &str,
        input: &mut impl BufRead,
        torn: Tail,
        mut seen: impl FnMut(&Self),
    ) -> Result<u64, VerifyError> {
        let mut bytes = 0;
        let mut number = 0;
        let mut line = Vec::new();
        loop {
            number += 1;
            let flaw = |what| VerifyError { segment: name.to_owned(), line: number, what };
            line.clear();
            let length = input
                .by_ref()
                .take(LINE_LIMIT + 1)
                .read_until(b'\n', &mut line)
                .map_err(|source| flaw(Flaw::Unreadable { source }))?;
            if length == 0 {
                return Ok(bytes);
            }
            match line.strip_suffix(b"\n") {
                Some(line) => self.line(line).map_err(flaw)?,
                None if length as u64 > LINE_LIMIT => return Err(flaw(Flaw::TooLong)),
                None if torn == Tail::MayBeTorn => return Ok(bytes),
                None => return Err(flaw(Flaw::Torn)),
            }
            bytes += length as u64;
            seen(self);
        }
    }
}

/// What the end of a segment may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    Whole,
    MayBeTorn,
}

/// The walk over all segments, with HEAD at the end.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) chain: Chain,
    head: Head,
    public_key: String,
    segments: usize,
    /// Segment and line of the newest entry.
    last: (String, u64),
}

impl Proof {
    pub(super) fn new(head: &[u8], public: &[u8]) -> Result<Self, VerifyError> {
        let flaw = |file: &str, what| VerifyError { segment: file.to_owned(), line: 0, what };
        let key = key::parse_public(public).ok_or_else(|| flaw(key::PUBLIC_FILE, Flaw::PublicKey))?;
        let head = Head::parse(head, &key).map_err(|what| flaw(head::FILE, what))?;
        Ok(Self {
            chain: Chain::start(Some(head.chain_uid.clone())),
            public_key: key::public_hex(&key),
            head,
            segments: 0,
            last: (String::new(), 0),
        })
    }

    pub(super) fn segment(&mut self, name: &str, input: &mut impl BufRead) -> Result<(), VerifyError> {
        self.segments += 1;
        let expected = u32::try_from(self.segments).map(store::name).unwrap_or_default();
        if name != expected {
            let what = Flaw::SegmentMissing { found: name.to_owned() };
            return Err(VerifyError { segment: expected, line: 0, what });
        }
        let before = self.chain.seq;
        self.chain.lines(name, input, Tail::Whole, |_| {})?;
        if self.chain.seq > before {
            self.last = (name.to_owned(), self.chain.seq - before);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Verified, VerifyError> {
        let Self { chain, head, public_key, segments, last } = self;
        let (expected, found) = (head.seq, chain.seq);
        let what = if found < expected {
            Some(Flaw::EndsEarly { expected, found })
        } else if found > expected {
            Some(Flaw::Unsigned { expected, found })
        } else if head.fingerprint != chain.fingerprint {
            Some(Flaw::Fingerprint)
        } else if head.segment != last.0 {
            Some(Flaw::SegmentOfHead { named: head.segment.clone() })
        } else {
            None
        };
        if let Some(what) = what {
            let (segment, line) = last;
            return Err(VerifyError { segment, line, what });
        }
        Ok(Verified {
            entries: chain.seq,
            segments,
            chain_uid: head.chain_uid,
            head_seq: chain.seq,
            head_fingerprint: chain.fingerprint,
            public_key,
            set_aside: chain.set_aside.into(),
        })
    }
}
