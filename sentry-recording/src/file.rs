//! The file of a recording.
//!
//! ```text
//! "SENTRYRC", version (u32)
//! chunks, each: kind (u8), bytes (u32), checksum (u64: XXH3 of kind and content), content
//!
//! 1 head     JSON: the version of the sensor that wrote it
//! 2 item     an encoded v1::Item: first the run, then its findings, decisions and outcomes in the
//!            order in which they were written, and Gaps between events
//! 3 events   a text, the life that they are of, and an encoded v1::Block
//! 4 part     a text, its life; its number; a part of a tape, compressed
//! 5 end      number of chunks before, XXH3 of their checksums
//! ```
//!
//! Numbers are little-endian, in contents varints. Reading is total: any bytes are a recording or
//! an error; what an intact recording says is checked when it is replayed.

use std::ops::Range;

use prost::Message as _;
use sentry_proto::{
    block::{Checked, Events, Packable as _, Packer},
    v1::{self, item::Item},
};
use twox_hash::XxHash3_64;

use crate::{
    code::{Rest, put, put_text},
    error::RecordingError,
    part::Packed,
};

const MAGIC: &[u8; 8] = b"SENTRYRC";
const VERSION: u32 = 1;
/// Most bytes of a chunk.
const CHUNK_BYTES: usize = 2 << 20;
/// Most bytes of a recording.
pub const MOST_FILE_BYTES: u64 = 4 << 30;

const HEAD: u8 = 1;
const ITEM: u8 = 2;
const EVENTS: u8 = 3;
const PART: u8 = 4;
const END: u8 = 5;

/// The sensor's life that an event is of: what its id begins with.
#[must_use]
pub fn life_of(event_id: &str) -> &str {
    let ring = ["-c-", "-b-"].into_iter().filter_map(|letter| event_id.rfind(letter)).max();
    ring.map_or(event_id, |ring| &event_id[..ring])
}

/// Makes the bytes of a recording, a chunk at a time.
pub struct Encoder {
    packer: Packer,
    chunks: u64,
    checksums: u64,
}

impl Encoder {
    /// # Errors
    ///
    /// There is no memory for a compressor.
    pub fn new() -> Result<Self, RecordingError> {
        Ok(Self { packer: Packer::new()?, chunks: 0, checksums: 0 })
    }

    /// How the file begins. `version`: of the sensor.
    #[must_use]
    pub fn begin(&mut self, version: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        let head = serde_json::json!({ "version": version }).to_string();
        bytes.extend(self.chunk(HEAD, head.as_bytes()));
        bytes
    }

    /// A run, finding, decision, outcome or Gap.
    #[must_use]
    pub fn item(&mut self, item: &v1::Item) -> Vec<u8> {
        self.chunk(ITEM, &item.encode_to_vec())
    }

    /// Events of one run, which have followed each other.
    ///
    /// # Errors
    ///
    /// They cannot be packed.
    pub fn events(&mut self, events: &[v1::Event]) -> Result<Vec<u8>, RecordingError> {
        let (mut bytes, mut rest) = (Vec::new(), events);
        while let Some(first) = rest.first() {
            let life = life_of(first.id());
            let of_life = rest.iter().take_while(|event| life_of(event.id()) == life);
            let packed = self.packer.pack(of_life)?;
            let Some(block) = packed.block.filter(|_| packed.events > 0) else {
                return Err(RecordingError::Limit { what: "size of an event" });
            };
            let mut content = Vec::new();
            put_text(life.as_bytes(), &mut content);
            content.extend(block.encode_to_vec());
            bytes.extend(self.chunk(EVENTS, &content));
            rest = &rest[packed.events..];
        }
        Ok(bytes)
    }

    #[must_use]
    pub fn part(&mut self, part: &Packed) -> Vec<u8> {
        let Packed { life, number, body } = part;
        let mut content = Vec::new();
        put_text(life.as_bytes(), &mut content);
        put(*number, &mut content);
        content.extend_from_slice(body);
        self.chunk(PART, &content)
    }

    /// How the file ends.
    #[must_use]
    pub fn end(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        put(self.chunks, &mut content);
        put(self.checksums, &mut content);
        self.chunk(END, &content)
    }

    fn chunk(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let checksum = checksum(kind, content);
        self.chunks += 1;
        self.checksums = next(self.checksums, checksum);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(content);
        bytes
    }
}

fn checksum(kind: u8, content: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(kind.into(), content)
}

/// The checksum of all checksums, one more taken in.
fn next(all: u64, checksum: u64) -> u64 {
    XxHash3_64::oneshot_with_seed(all, &checksum.to_le_bytes())
}

/// A recording whose bytes are as they were written.
#[derive(Clone, Debug)]
pub struct Recording {
    bytes: Vec<u8>,
    version: String,
    run: v1::Run,
    pub(crate) stretches: Vec<Stretch>,
    pub(crate) parts: Vec<Packed>,
    findings: Vec<v1::Finding>,
    decisions: Vec<v1::Decision>,
}

/// Events, or that some are missing.
#[derive(Clone, Debug)]
pub(crate) enum Stretch {
    Events { life: String, count: u64, block: Range<usize> },
    Missing(u64),
}

impl Recording {
    /// Reads a whole file.
    ///
    /// # Errors
    ///
    /// It is no recording, of a newer version, cut or changed.
    pub fn read(bytes: Vec<u8>) -> Result<Self, RecordingError> {
        let mut rest = Rest(&bytes);
        if rest.bytes(8).ok() != Some(MAGIC.as_slice()) {
            return Err(RecordingError::Foreign);
        }
        let found = u32::from_le_bytes(array(&mut rest)?);
        if found != VERSION {
            return Err(RecordingError::Format { found, known: VERSION });
        }
        let mut read = Reading::default();
        let (mut chunks, mut checksums) = (0_usize, 0);
        loop {
            let kind = rest.byte().ok_or(RecordingError::Cut)?;
            let length = u32::from_le_bytes(array(&mut rest)?) as usize;
            let stated = u64::from_le_bytes(array(&mut rest)?);
            if length > CHUNK_BYTES {
                return Err(RecordingError::Limit { what: "size of a chunk" });
            }
            let from = bytes.len() - rest.0.len();
            let content = rest.bytes(length as u64)?;
            if checksum(kind, content) != stated {
                return Err(RecordingError::Checksum { number: chunks });
            }
            if kind == END {
                let mut end = Rest(content);
                if (end.number()?, end.number()?) != (chunks as u64, checksums) {
                    return Err(RecordingError::Cut);
                }
                if !rest.0.is_empty() {
                    return Err(RecordingError::Layout { what: "something stands behind its end" });
                }
                break;
            }
            read.chunk(kind, content, from)?;
            chunks += 1;
            checksums = next(checksums, stated);
        }
        let Reading { version, run, stretches, parts, findings, decisions } = read;
        let version = version.ok_or(RecordingError::Layout { what: "it has no head" })?;
        let run = run.ok_or(RecordingError::Layout { what: "it names no run" })?;
        Ok(Self { bytes, version, run, stretches, parts, findings, decisions })
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Of the sensor that wrote it.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The run, as it was when the recording was made.
    #[must_use]
    pub fn run(&self) -> &v1::Run {
        &self.run
    }

    /// What was found.
    #[must_use]
    pub fn findings(&self) -> &[v1::Finding] {
        &self.findings
    }

    /// What was decided.
    #[must_use]
    pub fn decisions(&self) -> &[v1::Decision] {
        &self.decisions
    }

    /// Events in it.
    #[must_use]
    pub fn events(&self) -> u64 {
        let count = |stretch: &Stretch| match stretch {
            Stretch::Events { count, .. } => *count,
            Stretch::Missing(_) => 0,
        };
        self.stretches.iter().map(count).sum()
    }

    /// Bytes of the tape in it, as they are kept.
    #[must_use]
    pub fn tape_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.body.len() as u64).sum()
    }

    /// Opens a stretch of events.
    pub(crate) fn open(&self, block: &Range<usize>) -> Result<Events, RecordingError> {
        Ok(checked(&self.bytes[block.clone()])?.open()?)
    }

    /// The events, stretch by stretch.
    pub fn blocks(&self) -> impl Iterator<Item = Result<Events, RecordingError>> + '_ {
        let blocks = self.stretches.iter().filter_map(|stretch| match stretch {
            Stretch::Events { block, .. } => Some(block),
            Stretch::Missing(_) => None,
        });
        blocks.map(|block| self.open(block))
    }
}

fn checked(block: &[u8]) -> Result<Checked, RecordingError> {
    let block = v1::Block::decode(block).map_err(|source| RecordingError::Item { source })?;
    Ok(Checked::new(block)?)
}

fn array<const COUNT: usize>(rest: &mut Rest<'_>) -> Result<[u8; COUNT], RecordingError> {
    rest.bytes(COUNT as u64)?.try_into().map_err(|_cut: std::array::TryFromSliceError| RecordingError::Cut)
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    version: Option<String>,
    run: Option<v1::Run>,
    stretches: Vec<Stretch>,
    parts: Vec<Packed>,
    findings: Vec<v1::Finding>,
    decisions: Vec<v1::Decision>,
}

impl Reading {
    fn chunk(&mut self, kind: u8, content: &[u8], from: usize) -> Result<(), RecordingError> {
        match kind {
            HEAD => {
                let head: serde_json::Value =
                    serde_json::from_slice(content).map_err(|source| RecordingError::Step { source })?;
                self.version = head["version"].as_str().map(str::to_owned);
            }
            ITEM => {
                let item = v1::Item::decode(content).map_err(|source| RecordingError::Item { source })?;
                self.item(item.item)?;
            }
            EVENTS => {
                let mut rest = Rest(content);
                let life = text(&mut rest)?;
                let count = checked(rest.0)?.count();
                let block = from + content.len() - rest.0.len()..from + content.len();
                self.stretches.push(Stretch::Events { life, count, block });
            }
            PART => {
                let mut rest = Rest(content);
                let (life, number) = (text(&mut rest)?, rest.number()?);
                self.parts.push(Packed { life, number, body: rest.0.to_vec() });
            }
            _ => return Err(RecordingError::Layout { what: "an unknown chunk" }),
        }
        Ok(())
    }

    fn item(&mut self, item: Option<Item>) -> Result<(), RecordingError> {
        match item {
            Some(Item::Run(run)) => self.run = Some(run),
            Some(Item::Finding(finding)) => self.findings.push(finding),
            Some(Item::Decision(decision)) => self.decisions.push(decision),
            // A replay takes them off the tape.
            Some(Item::Outcome(_)) => {}
            Some(Item::Gap(gap)) => {
                let of_run = self.run.as_ref().and_then(|run| gap.items_by_run.get(&run.id));
                self.stretches.extend(of_run.map(|items| Stretch::Missing(*items)));
            }
            Some(Item::Event(_) | Item::Block(_)) | None => {
                return Err(RecordingError::Layout { what: "an item that stands by itself" });
            }
        }
        Ok(())
    }
}

fn text(rest: &mut Rest<'_>) -> Result<String, RecordingError> {
    let text = rest.text()?.to_vec();
    String::from_utf8(text)
        .map_err(|_not: std::string::FromUtf8Error| RecordingError::Layout { what: "a name" })
}
