//! Block → events. Total: any bytes are events or an error.

use std::ops::Range;

use prost::{Message as _, encoding::decode_varint};
use zstd::bulk::Decompressor;

use super::{
    EVENTS, LAYOUT, NAME_BYTES, PLAIN_BYTES, UNPACKED_BYTES, checksum, fact::Fact, filter, lane, letter,
    sieve::Sieve,
};
use crate::v1;

/// Why a block is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    #[error("the block's checksum is wrong")]
    Checksum,
    #[error("the block's head does not decode")]
    Head { source: prost::DecodeError },
    #[error("the block has layout {found}, this version reads {LAYOUT}")]
    Layout { found: u32 },
    #[error("the block is over a limit: {what}")]
    Limit { what: &'static str },
    #[error("the block's body does not decompress")]
    Compressed { source: std::io::Error },
    #[error("the block's body is not laid out as its head says: {what}")]
    Body { what: &'static str },
    #[error("an event of the block does not decode")]
    Event { source: prost::DecodeError },
}

/// A block whose checksum is right and whose head is within the limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    head: v1::BlockHead,
    block: v1::Block,
}

/// The events of a block.
#[derive(Clone, Debug)]
pub struct Events {
    head: v1::BlockHead,
    plain: Vec<u8>,
    prefix: Range<usize>,
    processes: Vec<Range<usize>>,
    kinds: Vec<Range<usize>>,
    rows: Vec<Row>,
    /// Event and id, where that is not derived; ascending.
    ids: Vec<(usize, Range<usize>)>,
}

/// A decompressed body whose first columns were read.
struct Texts {
    head: v1::BlockHead,
    plain: Vec<u8>,
    prefix: Range<usize>,
    processes: Vec<Range<usize>>,
    kinds: Vec<Range<usize>>,
    /// Where the next column begins.
    end: usize,
}

/// An event, as the columns have it.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    ring: i32,
    time_unix_ns: u64,
    sequence: u64,
    /// 0 = none, else 1 + place.
    process: usize,
    kind: usize,
}

impl Checked {
    /// Checks everything but the body's content.
    ///
    /// # Errors
    ///
    /// The block is damaged, of another version, or over a limit.
    pub fn new(block: v1::Block) -> Result<Self, BlockError> {
        if checksum(&block.head, &block.body) != block.checksum {
            return Err(BlockError::Checksum);
        }
        let head = v1::BlockHead::decode(&*block.head).map_err(|source| BlockError::Head { source })?;
        let agent = head.agent.as_ref().map_or(0, |agent| agent.id.len() + agent.name.len());
        if head.layout != LAYOUT {
            return Err(BlockError::Layout { found: head.layout });
        }
        let limits = [
            (head.count == 0 || head.count as usize > EVENTS, "count of events"),
            (head.plain_bytes as usize > PLAIN_BYTES, "size of the body"),
            (head.run.len() + agent > NAME_BYTES, "length of the run's and agent's names"),
            (head.earliest_unix_ns > head.latest_unix_ns, "order of the times"),
        ];
        match limits.into_iter().find(|(over, _)| *over) {
            Some((_, what)) => Err(BlockError::Limit { what }),
            None => Ok(Self { head, block }),
        }
    }

    #[must_use]
    pub fn head(&self) -> &v1::BlockHead {
        &self.head
    }

    /// Positions that the block covers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.head.count.into()
    }

    /// False: no event of the block says this.
    #[must_use]
    pub fn may_hold(&self, fact: Fact<'_>) -> bool {
        filter::may_hold(&self.head.filter, fact.hash())
    }

    #[must_use]
    pub fn into_block(self) -> v1::Block {
        self.block
    }

    /// Decompresses the body and reads how it is laid out.
    ///
    /// # Errors
    ///
    /// It is not what the head says: somebody else made it, or the checksum fits by chance.
    pub fn open(self) -> Result<Events, BlockError> {
        Events::lay_out(self.texts()?)
    }

    /// As [`Self::open`], with the places of those events that the sieve lets through. `None`: there
    /// are none, and the rest of the body was not looked at.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn sift(self, sieve: &Sieve) -> Result<Option<(Events, Vec<usize>)>, BlockError> {
        let texts = self.texts()?;
        let of = |range: &Range<usize>| &texts.plain[range.clone()];
        if !sieve.may_be_in(&texts.plain[..texts.end]) {
            return Ok(None);
        }
        let kinds: Vec<bool> = texts.kinds.iter().map(|range| sieve.admits_kind(of(range))).collect();
        if !kinds.contains(&true) {
            return Ok(None);
        }
        // As rows have them: 0 is none.
        let mut processes = vec![sieve.admits_no_process()];
        processes.extend(texts.processes.iter().map(|range| sieve.admits_process(of(range))));
        if !processes.contains(&true) {
            return Ok(None);
        }
        let events = Events::lay_out(texts)?;
        let admitted =
            events.rows.iter().enumerate().filter(|(_, row)| kinds[row.kind] && processes[row.process]);
        let places = admitted.map(|(place, _)| place).collect();
        Ok(Some((events, places)))
    }

    fn texts(self) -> Result<Texts, BlockError> {
        let Self { head, block } = self;
        let compressed = |source| BlockError::Compressed { source };
        let mut decompressor = Decompressor::new().map_err(compressed)?;
        let plain = decompressor.decompress(&block.body, head.plain_bytes as usize).map_err(compressed)?;
        if plain.len() != head.plain_bytes as usize {
            return Err(BlockError::Body { what: "size" });
        }
        let mut cursor = Cursor { plain: &plain, at: 0 };
        let (prefix, processes, kinds) = (cursor.text()?, cursor.texts()?, cursor.texts()?);
        let end = cursor.at;
        Ok(Texts { head, plain, prefix, processes, kinds, end })
    }
}

impl Events {
    fn lay_out(texts: Texts) -> Result<Self, BlockError> {
        let Texts { head, plain, prefix, processes, kinds, end } = texts;
        let count = head.count as usize;
        let mut cursor = Cursor { plain: &plain, at: end };
        let mut rows = vec![Row::default(); count];
        for row in &mut rows {
            // An enum's number, also one that this version does not know.
            row.ring = i32::try_from(cursor.number()?.cast_signed())
                .map_err(|_outside| BlockError::Body { what: "ring" })?;
        }
        let mut time = 0_u64;
        for row in &mut rows {
            time = time.wrapping_add(cursor.signed()?);
            row.time_unix_ns = time;
        }
        let mut nexts = [0_u64; 4];
        for row in &mut rows {
            let next = &mut nexts[lane(row.ring)];
            row.sequence = next.wrapping_add(cursor.signed()?);
            *next = row.sequence.wrapping_add(1);
        }
        let (mut process, mut unpacked) = (0_u64, 0);
        for row in &mut rows {
            process = process.wrapping_add(cursor.signed()?);
            row.process = usize::try_from(process).unwrap_or(usize::MAX);
            if let Some(place) = row.process.checked_sub(1) {
                let text = processes.get(place).ok_or(BlockError::Body { what: "process of an event" })?;
                unpacked += text.len();
            }
        }
        for row in &mut rows {
            row.kind = usize::try_from(cursor.number()?).unwrap_or(usize::MAX);
            let text = kinds.get(row.kind).ok_or(BlockError::Body { what: "kind of an event" })?;
            unpacked += text.len();
        }
        let mut ids = Vec::new();
        let mut event = 0_usize;
        for _ in 0..cursor.number()? {
            // Ends with the last event, however large the number is.
            let between = usize::try_from(cursor.number()?).unwrap_or(usize::MAX);
            event = event.saturating_add(between);
            if event >= count {
                return Err(BlockError::Body { what: "event of an id" });
            }
            ids.push((event, cursor.text()?));
            event += 1;
        }
        if cursor.at != plain.len() {
            return Err(BlockError::Body { what: "something behind the end" });
        }
        if unpacked + (count - ids.len()) * prefix.len() > UNPACKED_BYTES {
            return Err(BlockError::Limit { what: "size of all events" });
        }
        let (earliest, latest) = (head.earliest_unix_ns, head.latest_unix_ns);
        if rows.iter().any(|row| !(earliest..=latest).contains(&row.time_unix_ns)) {
            return Err(BlockError::Body { what: "time of an event" });
        }
        Ok(Self { head, prefix, processes, kinds, rows, ids, plain })
    }

    #[must_use]
    pub fn head(&self) -> &v1::BlockHead {
        &self.head
    }

    /// At least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a block without events is refused")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Of the event at this place; 0 behind the last.
    #[must_use]
    pub fn time_unix_ns(&self, place: usize) -> u64 {
        self.rows.get(place).map_or(0, |row| row.time_unix_ns)
    }

    /// The id of the event at this place.
    ///
    /// # Errors
    ///
    /// It does not decode, or there is none.
    pub fn id(&self, place: usize) -> Result<String, BlockError> {
        self.id_of(place, self.rows.get(place).ok_or(BlockError::Body { what: "place of an event" })?)
    }

    /// Which of [`Self::processes`] the event at this place has.
    #[must_use]
    pub fn process_place(&self, place: usize) -> Option<usize> {
        self.rows.get(place)?.process.checked_sub(1)
    }

    /// Which of [`Self::kinds`] the event at this place has.
    #[must_use]
    pub fn kind_place(&self, place: usize) -> Option<usize> {
        self.rows.get(place).map(|row| row.kind)
    }

    /// The event at this place, from 0 on.
    ///
    /// # Errors
    ///
    /// It does not decode, or there is none.
    pub fn event(&self, place: usize) -> Result<v1::Event, BlockError> {
        let row = self.rows.get(place).ok_or(BlockError::Body { what: "place of an event" })?;
        let event = |source| BlockError::Event { source };
        let kind = v1::Event::decode(&self.plain[self.kinds[row.kind].clone()]).map_err(event)?.kind;
        let process = match row.process.checked_sub(1) {
            Some(place) => {
                Some(v1::Process::decode(&self.plain[self.processes[place].clone()]).map_err(event)?)
            }
            None => None,
        };
        Ok(v1::Event {
            id: self.id_of(place, row)?,
            run: self.head.run.clone(),
            agent: self.head.agent.clone(),
            ring: row.ring,
            sequence: row.sequence,
            time_unix_ns: row.time_unix_ns,
            process,
            kind,
        })
    }

    /// All events in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<v1::Event, BlockError>> + '_ {
        (0..self.rows.len()).map(|place| self.event(place))
    }

    /// Each process that an event has, once.
    pub fn processes(&self) -> impl Iterator<Item = Result<v1::Process, BlockError>> + '_ {
        let decode = |text: &Range<usize>| v1::Process::decode(&self.plain[text.clone()]);
        self.processes.iter().map(move |text| decode(text).map_err(|source| BlockError::Event { source }))
    }

    /// What events are, each once; `None` for one that this version does not know.
    pub fn kinds(&self) -> impl Iterator<Item = Result<Option<v1::event::Kind>, BlockError>> + '_ {
        let decode = |text: &Range<usize>| v1::Event::decode(&self.plain[text.clone()]);
        let kinds = self.kinds.iter().map(decode);
        kinds.map(|event| event.map(|event| event.kind).map_err(|source| BlockError::Event { source }))
    }

    fn id_of(&self, place: usize, row: &Row) -> Result<String, BlockError> {
        let text = |range: &Range<usize>| {
            str::from_utf8(&self.plain[range.clone()])
                .map_err(|_not| BlockError::Body { what: "text of an id" })
        };
        if let Ok(found) = self.ids.binary_search_by_key(&place, |(event, _)| *event) {
            return Ok(text(&self.ids[found].1)?.to_owned());
        }
        let letter = letter(row.ring).ok_or(BlockError::Body { what: "an id is missing" })?;
        Ok(format!("{}{letter}{}", text(&self.prefix)?, row.sequence))
    }
}

/// Reads on in a body.
struct Cursor<'a> {
    plain: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn number(&mut self) -> Result<u64, BlockError> {
        let mut rest = &self.plain[self.at..];
        let number = decode_varint(&mut rest).map_err(|_short| BlockError::Body { what: "a number" })?;
        self.at = self.plain.len() - rest.len();
        Ok(number)
    }

    /// What a signed number adds, as two's complement.
    fn signed(&mut self) -> Result<u64, BlockError> {
        self.number().map(|number| (number >> 1) ^ (number & 1).wrapping_neg())
    }

    fn text(&mut self) -> Result<Range<usize>, BlockError> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        if length > self.plain.len() - self.at {
            return Err(BlockError::Body { what: "length of a text" });
        }
        let begin = self.at;
        self.at += length;
        Ok(begin..self.at)
    }

    fn texts(&mut self) -> Result<Vec<Range<usize>>, BlockError> {
        let count = self.number()?;
        // More than there are events have no use.
        if count > EVENTS as u64 {
            return Err(BlockError::Limit { what: "count of texts" });
        }
        (0..count).map(|_| self.text()).collect()
    }
}
