//! Events → block.

use std::collections::HashMap;

use prost::{
    Message as _,
    encoding::{encode_varint, encoded_len_varint},
};
use twox_hash::XxHash3_64;
use zstd::bulk::Compressor;

use super::{
    EVENTS, LAYOUT, LEVEL, NAME_BYTES, PLAIN_BYTES, Packable, UNPACKED_BYTES, checksum,
    fact::{Facts, kind_bit},
    filter, lane, letter,
};
use crate::v1;

/// Why events were not packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    #[error("compress a block of events")]
    Compress { source: std::io::Error },
}

/// The first of some events as a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// `None`: the first event is too large for any block.
    pub block: Option<v1::Block>,
    /// So many events it holds.
    pub events: usize,
}

/// Packs events. What it needs for that it keeps for the next block.
pub struct Packer {
    compressor: Compressor<'static>,
    processes: Table,
    /// By the address that the events of one call have them at.
    processes_at: HashMap<usize, usize>,
    kinds: Table,
    columns: Columns,
    facts: Facts,
    scratch: Vec<u8>,
    plain: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// Texts, each once.
#[derive(Debug, Default)]
struct Table {
    /// Each with its length before it.
    bytes: Vec<u8>,
    /// Where each begins and ends.
    places: Vec<(usize, usize)>,
    by_hash: HashMap<u64, usize>,
}

/// What each event has of its own.
#[derive(Debug, Default)]
struct Columns {
    rings: Vec<u8>,
    times: Vec<u8>,
    sequences: Vec<u8>,
    processes: Vec<u8>,
    kinds: Vec<u8>,
    ids: Vec<u8>,
    ids_count: u64,
}

impl Packer {
    /// # Errors
    ///
    /// There is no memory for the compressor.
    pub fn new() -> Result<Self, PackError> {
        let compressor = Compressor::new(LEVEL).map_err(|source| PackError::Compress { source })?;
        Ok(Self {
            compressor,
            processes: Table::default(),
            processes_at: HashMap::new(),
            kinds: Table::default(),
            columns: Columns::default(),
            facts: Facts::default(),
            scratch: Vec::new(),
            plain: Vec::new(),
        })
    }

    /// Packs as many of the first events as are of one run and agent and fit into one block.
    ///
    /// # Errors
    ///
    /// The compressor failed.
    pub fn pack<'a, E: Packable + 'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a E>,
    ) -> Result<Packed, PackError> {
        self.clear();
        let mut head = v1::BlockHead { layout: LAYOUT, ..v1::BlockHead::default() };
        let mut before: Option<&E> = None;
        let (mut prefix, mut nexts, mut process, mut since_id) = ("", [0; 4], 0, 0);
        let (mut count, mut unpacked) = (0, 0);
        let mut recent = Recent::default();
        for event in events {
            let same =
                before.is_none_or(|before| before.run() == event.run() && before.agent() == event.agent());
            if count == EVENTS || !same {
                break;
            }
            if before.is_none() {
                prefix = prefix_of(event);
            }
            let (tables, last_process) = (self.lengths(), process);
            // Most events have the process of the one before.
            if !before.is_some_and(|before| event.shares_process_of(before)) {
                process = self.process(event);
            }
            let (kind, bit) = recent.kind(event, || self.kind(event));
            let own = process.checked_sub(1).map_or(0, |place| self.processes.length(place))
                + self.kinds.length(kind)
                + event.id().len();
            let names = event.run().len() + event.agent().map_or(0, |(id, name)| id.len() + name.len());
            // Each column takes at most ten bytes of an event.
            if unpacked + own > UNPACKED_BYTES
                || self.size() + event.id().len() + prefix.len() + 60 > PLAIN_BYTES
                || names > NAME_BYTES
            {
                self.cut_back(tables);
                break;
            }
            unpacked += own;
            count += 1;

            let columns = &mut self.columns;
            let (time, sequence) = (event.time_unix_ns(), event.sequence());
            encode_varint(i64::from(event.ring()).cast_unsigned(), &mut columns.rings);
            put_signed(time.wrapping_sub(before.map_or(0, E::time_unix_ns)), &mut columns.times);
            let next = &mut nexts[lane(event.ring())];
            put_signed(sequence.wrapping_sub(*next), &mut columns.sequences);
            *next = sequence.wrapping_add(1);
            put_signed((process as u64).wrapping_sub(last_process as u64), &mut columns.processes);
            encode_varint(kind as u64, &mut columns.kinds);
            if is_derived(event, prefix) {
                since_id += 1;
            } else {
                encode_varint(since_id, &mut columns.ids);
                put_text(event.id().as_bytes(), &mut columns.ids);
                (since_id, columns.ids_count) = (0, columns.ids_count + 1);
            }

            head.kinds |= bit;
            head.earliest_unix_ns = if before.is_none() { time } else { head.earliest_unix_ns.min(time) };
            head.latest_unix_ns = head.latest_unix_ns.max(time);
            before = Some(event);
        }
        let Some(last) = before else { return Ok(Packed { block: None, events: 0 }) };
        last.run().clone_into(&mut head.run);
        head.agent = last.agent().map(|(id, name)| v1::Agent { id: id.to_owned(), name: name.to_owned() });
        head.count = u32::try_from(count).unwrap_or(u32::MAX);
        let block = self.seal(head, prefix)?;
        Ok(Packed { block: Some(block), events: count })
    }

    fn clear(&mut self) {
        self.processes.clear();
        self.processes_at.clear();
        self.kinds.clear();
        self.columns.clear();
        self.facts.hashes.clear();
    }

    fn lengths(&self) -> [usize; 3] {
        [self.processes.places.len(), self.kinds.places.len(), self.facts.hashes.len()]
    }

    /// Takes out what came after tables and facts had these lengths.
    fn cut_back(&mut self, [processes, kinds, facts]: [usize; 3]) {
        self.processes.truncate(processes);
        self.processes_at.retain(|_, place| *place <= processes);
        self.kinds.truncate(kinds);
        self.facts.hashes.truncate(facts);
    }

    /// Bytes of the body so far.
    fn size(&self) -> usize {
        self.processes.bytes.len() + self.kinds.bytes.len() + self.columns.size()
    }

    /// One more than its process's place in the table; 0 for none.
    fn process(&mut self, event: &impl Packable) -> usize {
        let address = event.process_address();
        if let Some(place) = address.and_then(|address| self.processes_at.get(&address)) {
            return *place;
        }
        let Some(process) = event.process() else { return 0 };
        self.scratch.clear();
        // A vector has room for everything.
        process.encode_raw(&mut self.scratch);
        let (place, is_new) = self.processes.place(&self.scratch);
        if is_new {
            self.facts.process(&process);
        }
        if let Some(address) = address {
            self.processes_at.insert(address, place + 1);
        }
        place + 1
    }

    /// The kind's place in the table, and its bit in the head; an event without one has an empty
    /// text.
    fn kind(&mut self, event: &impl Packable) -> (usize, u64) {
        let kind = event.kind();
        self.scratch.clear();
        if let Some(kind) = &kind {
            kind.encode(&mut self.scratch);
        }
        let (place, is_new) = self.kinds.place(&self.scratch);
        if let Some(kind) = kind.as_deref().filter(|_| is_new) {
            self.facts.kind(kind);
        }
        (place, kind.as_deref().map_or(0, kind_bit))
    }

    fn seal(&mut self, head: v1::BlockHead, prefix: &str) -> Result<v1::Block, PackError> {
        let plain = &mut self.plain;
        plain.clear();
        put_text(prefix.as_bytes(), plain);
        for table in [&self.processes, &self.kinds] {
            encode_varint(table.places.len() as u64, plain);
            plain.extend_from_slice(&table.bytes);
        }
        let Columns { rings, times, sequences, processes, kinds, ids, ids_count } = &self.columns;
        for column in [rings, times, sequences, processes, kinds] {
            plain.extend_from_slice(column);
        }
        encode_varint(*ids_count, plain);
        plain.extend_from_slice(ids);

        let head = v1::BlockHead { filter: filter::of(&mut self.facts.hashes), ..head };
        block_of(&mut self.compressor, head, plain)
    }
}

/// A block with this body, whatever that is: for who tests readers. The head's size is set.
///
/// # Errors
///
/// The compressor failed.
pub fn with_body(head: v1::BlockHead, plain: &[u8]) -> Result<v1::Block, PackError> {
    block_of(&mut Packer::new()?.compressor, head, plain)
}

fn block_of(
    compressor: &mut Compressor<'_>,
    mut head: v1::BlockHead,
    plain: &[u8],
) -> Result<v1::Block, PackError> {
    head.plain_bytes = u32::try_from(plain.len()).unwrap_or(u32::MAX);
    let head = head.encode_to_vec();
    let mut body = compressor.compress(plain).map_err(|source| PackError::Compress { source })?;
    // It was made for the worst case.
    body.shrink_to_fit();
    let checksum = checksum(&head, &body);
    Ok(v1::Block { head, body, checksum })
}

/// How many kinds are kept as [`Recent`].
const RECENT: usize = 512;

/// Events whose kind is in the table, by [`Packable::kind_hash`]: its place there, and its bit.
struct Recent<'a, E>(Vec<Option<(&'a E, usize, u64)>>);

impl<E> Default for Recent<'_, E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, E: Packable> Recent<'a, E> {
    /// The kind's place and bit, which are made where they are not known.
    fn kind(&mut self, event: &'a E, make: impl FnOnce() -> (usize, u64)) -> (usize, u64) {
        let Some(hash) = event.kind_hash() else { return make() };
        if self.0.is_empty() {
            self.0.resize(RECENT, None);
        }
        let slot = &mut self.0[hash as usize % RECENT];
        if let Some((other, place, bit)) = *slot
            && event.has_kind_of(other)
        {
            return (place, bit);
        }
        let (place, bit) = make();
        *slot = Some((event, place, bit));
        (place, bit)
    }
}

impl Table {
    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.by_hash.clear();
    }

    /// Cut back, so that the texts behind are not found any more.
    fn truncate(&mut self, length: usize) {
        if length < self.places.len() {
            self.places.truncate(length);
            self.bytes.truncate(self.places.last().map_or(0, |(_, end)| *end));
            self.by_hash.retain(|_, place| *place < length);
        }
    }

    fn length(&self, place: usize) -> usize {
        self.places.get(place).map_or(0, |(begin, end)| end - begin)
    }

    /// Where the text stands, and whether it is new.
    fn place(&mut self, text: &[u8]) -> (usize, bool) {
        let hash = XxHash3_64::oneshot(text);
        let known = self.by_hash.get(&hash).copied();
        if let Some(place) = known
            && let Some((begin, end)) = self.places.get(place)
            && self.bytes[*begin..*end] == *text
        {
            return (place, false);
        }
        put_text(text, &mut self.bytes);
        let (place, end) = (self.places.len(), self.bytes.len());
        self.places.push((end - text.len(), end));
        // Where two texts have one hash the later one is not found again: it stands there twice.
        self.by_hash.entry(hash).or_insert(place);
        (place, true)
    }
}

impl Columns {
    fn clear(&mut self) {
        let Self { rings, times, sequences, processes, kinds, ids, ids_count } = self;
        [rings, times, sequences, processes, kinds, ids].into_iter().for_each(Vec::clear);
        *ids_count = 0;
    }

    fn size(&self) -> usize {
        let Self { rings, times, sequences, processes, kinds, ids, ids_count: _ } = self;
        [rings, times, sequences, processes, kinds, ids].into_iter().map(Vec::len).sum()
    }
}

fn put_signed(difference: u64, buf: &mut Vec<u8>) {
    let signed = difference.cast_signed();
    encode_varint((difference << 1) ^ (signed >> 63).cast_unsigned(), buf);
}

fn put_text(text: &[u8], buf: &mut Vec<u8>) {
    buf.reserve(encoded_len_varint(text.len() as u64) + text.len());
    encode_varint(text.len() as u64, buf);
    buf.extend_from_slice(text);
}

/// What the ids of the run's events begin with, if this one's is of the known form.
fn prefix_of(event: &impl Packable) -> &str {
    let before = |letter| event.id().rsplit_once(letter).map(|(prefix, _)| prefix);
    letter(event.ring()).and_then(before).unwrap_or_default()
}

/// Whether the id is what the reader makes of prefix, ring and sequence.
fn is_derived(event: &impl Packable, prefix: &str) -> bool {
    let number = letter(event.ring())
        .and_then(|letter| event.id().strip_prefix(prefix)?.strip_prefix(letter))
        .filter(|number| !number.starts_with(['0', '+']) || *number == "0");
    number.is_some_and(|number| number.parse() == Ok(event.sequence()))
}
