//! Blocks of events: checked when they arrive, opened again for a query.
//!
//! A block is taken as a whole. The check decodes each process and each kind of act in it once,
//! however many events share it, but not the events themselves.
//!
//! The stored form is an encoded `v1::Item`: a block, or a single event that is too large for a
//! block.

use prost::Message as _;
use sentry_proto::{
    block::{BlockError, Checked, Events, Question},
    ocsf,
    v1::{self, item::Item},
};

use super::check::{self, BadItem};

const NS_PER_MS: u64 = 1_000_000;

/// The OCSF classes of a block's events, one bit per class. Two classes can share a bit, so a set
/// bit is only a hint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(i64);

/// Checked events of one run, with the columns for queries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) run: String,
    pub(crate) agent: String,
    pub(crate) events: u64,
    pub(crate) earliest_ms: i64,
    pub(crate) latest_ms: i64,
    pub(crate) classes: Classes,
    /// The encoded form, for [`Opened::open`].
    pub(crate) body: Vec<u8>,
}

/// Events of an opened block, by place from 0 on.
#[derive(Debug)]
pub(crate) enum Opened {
    Block(Box<Events>),
    Single(Box<v1::Event>),
}

/// Why stored bytes are not a block.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBlock {
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error("it does not decode")]
    Item(#[from] prost::DecodeError),
    #[error("it is neither a block nor an event")]
    Kind,
}

// === impl Classes ===

impl Classes {
    pub(crate) fn of(class_uid: u32) -> Self {
        // 63 bits, so that the stored number is never negative.
        Self(1 << (class_uid % 63))
    }

    fn add(&mut self, class_uid: u32) {
        self.0 |= Self::of(class_uid).0;
    }

    /// The stored number.
    pub(crate) fn bits(self) -> i64 {
        self.0
    }
}

// === impl Block ===

impl Block {
    /// Checks a received block as strictly as single events. `room` is how many bytes the blocks of
    /// its message may still have, uncompressed.
    pub(crate) fn check(block: v1::Block, room: &mut usize) -> Result<Self, BadItem> {
        let checked = Checked::new(block.clone())?;
        let size = checked.head().plain_bytes as usize;
        *room = room.checked_sub(size).ok_or("the blocks of one message are larger than 32 MiB")?;
        check::run_id(&checked.head().run)?;
        let agent = check::agent(checked.head().agent.as_ref())?.id.clone();
        let events = checked.open()?;
        for process in events.processes() {
            check::process(Some(&process?))?;
        }
        let mut classes = Classes::default();
        for kind in events.kinds() {
            classes.add(ocsf::class_uid(check::kind(kind?.as_ref())?));
        }
        for place in 0..events.len() {
            check::event_id(&events.id(place)?)?;
            if events.process_place(place).is_none() {
                check::process(None)?;
            }
        }
        let head = events.head();
        Ok(Self {
            run: head.run.clone(),
            agent,
            events: events.len() as u64,
            earliest_ms: ms(head.earliest_unix_ns),
            latest_ms: ms(head.latest_unix_ns),
            classes,
            body: keep(Item::Block(block)),
        })
    }

    /// A block of checked events of one run and agent, and the events it was packed from.
    pub(crate) fn packed(events: &[&v1::Event], block: v1::Block) -> Option<Self> {
        Self::made(events, Item::Block(block))
    }

    /// An event that is too large for any block.
    pub(crate) fn single(event: &v1::Event) -> Option<Self> {
        Self::made(&[event], Item::Event(event.clone()))
    }

    /// `None` for no events.
    fn made(events: &[&v1::Event], item: Item) -> Option<Self> {
        let first = events.first()?;
        let mut classes = Classes::default();
        let (mut earliest, mut latest) = (u64::MAX, 0);
        for event in events {
            classes.add(event.kind.as_ref().map_or(0, ocsf::class_uid));
            (earliest, latest) = (earliest.min(event.time_unix_ns), latest.max(event.time_unix_ns));
        }
        Some(Self {
            run: first.run.clone(),
            agent: first.agent.as_ref().map_or_else(String::new, |agent| agent.id.clone()),
            events: events.len() as u64,
            earliest_ms: ms(earliest),
            latest_ms: ms(latest),
            classes,
            body: keep(item),
        })
    }
}

// === impl Opened ===

impl Opened {
    /// `None`: by its summary, the block has no event that the question looks for.
    pub(crate) fn open(body: &[u8], question: Option<&Question>) -> Result<Option<Self>, BadBlock> {
        match v1::Item::decode(body)?.item {
            Some(Item::Block(block)) => {
                let block = Checked::new(block)?;
                if question.is_some_and(|question| !question.may_be_in(&block)) {
                    return Ok(None);
                }
                Ok(Some(Self::Block(Box::new(block.open()?))))
            }
            Some(Item::Event(event)) => Ok(Some(Self::Single(Box::new(event)))),
            Some(Item::Finding(_) | Item::Decision(_) | Item::Outcome(_) | Item::Run(_) | Item::Gap(_))
            | None => Err(BadBlock::Kind),
        }
    }

    pub(crate) fn run(&self) -> &str {
        match self {
            Self::Block(events) => &events.head().run,
            Self::Single(event) => &event.run,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Block(events) => events.len(),
            Self::Single(_) => 1,
        }
    }

    pub(crate) fn time_ms(&self, place: usize) -> i64 {
        ms(match self {
            Self::Block(events) => events.time_unix_ns(place),
            Self::Single(event) => event.time_unix_ns,
        })
    }

    /// For each place whether its event is of this class.
    pub(crate) fn of_class(&self, class_uid: u32) -> Result<Vec<bool>, BadBlock> {
        let is = |kind: Option<v1::event::Kind>| kind.as_ref().map_or(0, ocsf::class_uid) == class_uid;
        match self {
            Self::Block(events) => {
                let kinds: Vec<bool> =
                    events.kinds().map(|kind| kind.map(is)).collect::<Result<_, BlockError>>()?;
                let place = |place| events.kind_place(place).and_then(|kind| kinds.get(kind).copied());
                Ok((0..events.len()).map(|at| place(at).unwrap_or(false)).collect())
            }
            Self::Single(event) => Ok(vec![is(event.kind.clone())]),
        }
    }

    /// The id of the event there, without the rest of it.
    pub(crate) fn id(&self, place: usize) -> Result<String, BadBlock> {
        match self {
            Self::Block(events) => Ok(events.id(place)?),
            Self::Single(event) => Ok(event.id.clone()),
        }
    }

    pub(crate) fn event(&self, place: usize) -> Result<v1::Event, BadBlock> {
        match self {
            Self::Block(events) => Ok(events.event(place)?),
            Self::Single(event) => Ok(v1::Event::clone(event)),
        }
    }
}

fn keep(item: Item) -> Vec<u8> {
    v1::Item { item: Some(item) }.encode_to_vec()
}

/// Rounded down, as a filter by milliseconds expects. Always fits.
pub(crate) fn ms(unix_ns: u64) -> i64 {
    (unix_ns / NS_PER_MS) as i64
}
