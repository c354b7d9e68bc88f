//! A part of a ledger: from some entry up to HEAD. It is read beside a running sensor, and proven
//! without the entries before.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use sentry_archive::{ID_BYTES, IDS, LedgerProof, ProvenLedger};

use super::{
    Flaw, LINE_LIMIT, VerifyError,
    entry::Entry,
    head::{self, Head},
    key,
    record::{DECISION, EXPORTED, FINDING, GIVEN_UP, OUTCOME, RUN_START},
    store,
    verify::Chain,
};

/// The entry that a part begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begins {
    /// The first one that names this run.
    Run(String),
    /// The one that has this SHA-256 of an archive's manifest.
    Export(String),
}

impl Begins {
    /// Whether it is this line. An entry is read only where the text is in it at all.
    fn at(&self, line: &str) -> bool {
        let (Self::Run(text) | Self::Export(text)) = self;
        line.contains(text.as_str())
            && Entry::parse(line.trim_end().as_bytes()).is_ok_and(|entry| self.is(&entry))
    }

    fn is(&self, entry: &Entry) -> bool {
        match self {
            Self::Run(run) => entry.body["run"] == run.as_str(),
            Self::Export(digest) => {
                entry.kind == EXPORTED && entry.body["manifest_sha256"] == digest.as_str()
            }
        }
    }
}

/// The files that prove the end of a part, as they were when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    pub head: Vec<u8>,
    pub public_key: Vec<u8>,
}

/// The lines of a ledger from the entry that is asked for up to HEAD; where there is none, the last
/// one alone. Nothing is open between two reads.
///
/// What is handed out is not proven: that is for [`PartProof`].
#[derive(Debug)]
pub struct Part {
    dir: PathBuf,
    begins: Begins,
    ends: Ends,
    head: Head,
    /// Segments that are not read to their end yet.
    segments: VecDeque<u32>,
    /// How far the first of them is read.
    offset: u64,
    line: u64,
    begun: bool,
    ended: bool,
}

impl Part {
    /// # Errors
    /// When there is no ledger in `dir`, or its HEAD cannot be read.
    pub fn open(dir: &Path, begins: Begins) -> Result<Self, VerifyError> {
        let flaw = |file: &str, what| VerifyError { segment: file.to_owned(), line: 0, what };
        let read = |file: &str| fs::read(dir.join(file)).map_err(|source| flaw(file, of_io(source)));
        // HEAD before the segments: what is appended meanwhile is behind it.
        let ends = Ends { head: read(head::FILE)?, public_key: read(key::PUBLIC_FILE)? };
        let key =
            key::parse_public(&ends.public_key).ok_or_else(|| flaw(key::PUBLIC_FILE, Flaw::PublicKey))?;
        let head = Head::parse(&ends.head, &key).map_err(|what| flaw(head::FILE, what))?;
        let segments = store::segments(dir).map_err(|source| flaw(".", of_io(source)))?;
        Ok(Self {
            dir: dir.to_owned(),
            begins,
            ends,
            head,
            segments: segments.into(),
            offset: 0,
            line: 0,
            begun: false,
            ended: false,
        })
    }

    /// The next lines, with their newlines: until they have so many bytes, or their segment ends;
    /// there may be none. `None` behind the last one.
    ///
    /// # Errors
    /// When a segment cannot be read, or the ledger ends before its HEAD.
    pub fn next(&mut self, bytes: usize) -> Result<Option<Vec<u8>>, VerifyError> {
        if self.ended {
            return Ok(None);
        }
        let Some(&segment) = self.segments.front() else {
            let what = Flaw::EndsEarly { expected: self.head.seq, found: self.line };
            return Err(VerifyError { segment: head::FILE.to_owned(), line: 0, what });
        };
        let name = store::name(segment);
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        let input = self.reader(&name).map_err(of_io);
        let mut input = input.map_err(|what| VerifyError { segment: name.clone(), line: 0, what })?;
        while lines.len() < bytes && !self.ended {
            self.line += 1;
            let flaw = |what| VerifyError { segment: name.clone(), line: self.line, what };
            line.clear();
            let read = input.by_ref().take(LINE_LIMIT + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|source| flaw(of_io(source)))?;
            if read == 0 {
                self.segments.pop_front();
                (self.offset, self.line) = (0, 0);
                break;
            }
            let text = std::str::from_utf8(&line).map_err(|_not_text| flaw(Flaw::NotCanonical))?;
            self.offset += read as u64;
            self.begun = self.begun || self.begins.at(text);
            // The entry behind it has it too.
            self.ended = text.contains(&self.head.fingerprint);
            if self.begun || self.ended {
                lines.extend_from_slice(&line);
            }
        }
        Ok(Some(lines))
    }

    /// What proves the end.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    fn reader(&self, name: &str) -> io::Result<BufReader<File>> {
        let mut file = File::open(self.dir.join(name))?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(BufReader::new(file))
    }
}

fn of_io(source: io::Error) -> Flaw {
    match source.kind() {
        io::ErrorKind::NotFound => Flaw::Absent,
        _ => Flaw::Unreadable { source },
    }
}

/// Proves a part of a ledger, line by line.
#[derive(Clone, Debug, Default)]
pub struct PartProof {
    chain: Option<Chain>,
    proven: ProvenLedger,
    has_start: bool,
    given_up: bool,
}

impl LedgerProof for PartProof {
    type Flaw = Flaw;

    fn entry(&mut self, run: &str, line: &[u8]) -> Result<(), Flaw> {
        let entry = Entry::parse(line)?;
        let chain = self.chain.get_or_insert_with(|| {
            self.proven.part.first_seq = entry.seq;
            Chain::before(&entry)
        });
        chain.entry(&entry)?;
        self.remember(run, &entry);
        Ok(())
    }

    fn finish(mut self, head: &[u8], public_key: &[u8]) -> Result<ProvenLedger, Flaw> {
        let key = key::parse_public(public_key).ok_or(Flaw::PublicKey)?;
        let head = Head::parse(head, &key)?;
        let (expected, found) = (head.seq, self.chain.as_ref().map_or(0, |chain| chain.seq));
        let chain = self.chain.filter(|_| found >= expected).ok_or(Flaw::EndsEarly { expected, found })?;
        if found > expected {
            return Err(Flaw::Unsigned { expected, found });
        }
        let of_part = chain.chain_uid.unwrap_or_default();
        if of_part != head.chain_uid {
            return Err(Flaw::Chain { expected: head.chain_uid, found: of_part });
        }
        if chain.fingerprint != head.fingerprint {
            return Err(Flaw::Fingerprint);
        }
        self.proven.part.chain_uid = of_part;
        self.proven.part.public_key = key::public_hex(&key);
        self.proven.part.head_seq = head.seq;
        self.proven.part.head_fingerprint = head.fingerprint;
        self.proven.whole = self.has_start && !self.given_up;
        Ok(self.proven)
    }
}

impl PartProof {
    /// What an entry says of the run.
    fn remember(&mut self, run: &str, entry: &Entry) {
        let text = |key: &str| entry.body[key].as_str();
        let is_of_run = text("run") == Some(run);
        // Without a run it stands for entries of any.
        self.given_up |= entry.kind == GIVEN_UP && (is_of_run || entry.body["run"].is_null());
        if !is_of_run {
            return;
        }
        self.proven.part.of_run += 1;
        let (ids, id) = match entry.kind.as_str() {
            FINDING => (&mut self.proven.findings, text("id")),
            DECISION => (&mut self.proven.decisions, text("id")),
            OUTCOME => (&mut self.proven.outcomes, text("decision")),
            kind => {
                self.has_start |= kind == RUN_START;
                return;
            }
        };
        if let Some(id) = id.filter(|id| ids.len() < IDS && id.len() <= ID_BYTES) {
            ids.insert(id.to_owned());
        }
    }
}
