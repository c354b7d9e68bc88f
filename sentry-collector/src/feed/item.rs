//! Wire items → checked entries. Total: every input becomes an entry with a position or a named
//! fault.
//!
//! An entry keeps the item's own encoding as its body, beside the few columns that queries filter
//! by. Times are rounded down to Unix milliseconds.

use prost::Message as _;
use sentry_proto::v1::{self, item::Item};

use super::{
    block::{Block, ms},
    check::{self, BadItem, MAX_ID_BYTES},
    kind::ItemKind,
};

const MAX_HELLO_TEXT_BYTES: usize = 4096;
const MAX_HELLO_LIMITS: usize = 256;
/// Most uncompressed bytes of the blocks of one message: many times what a sensor sends at once.
const MAX_UNPACKED_BYTES: usize = 32 << 20;

/// Items of one message, in order, without a hole between them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Position of the last item.
    pub(crate) last: u64,
    pub(crate) entries: Vec<Entry>,
}

/// One item at its position; a gap and a block cover `first..=last`, anything else has `first ==
/// last`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) content: Content,
}

/// What the store keeps.
#[derive(Debug)]
pub(crate) enum Content {
    Event(Box<v1::Event>),
    Block(Block),
    Finding(Finding),
    Decision { run: String, time_ms: i64, body: Vec<u8> },
    Outcome { run: String, time_ms: i64, body: Vec<u8> },
    Run(RunState),
    Gap(Gap),
}

#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) run: String,
    pub(crate) agent: String,
    pub(crate) rule: String,
    pub(crate) severity: i32,
    pub(crate) time_ms: i64,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct RunState {
    pub(crate) run: String,
    pub(crate) agent: String,
    pub(crate) agent_name: String,
    pub(crate) state: i32,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// Encoded.
    pub(crate) container: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) reason: String,
    pub(crate) items_by_run: Vec<(String, u64)>,
    pub(crate) body: Vec<u8>,
}

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadMessage {
    #[error("item at position {position} is refused: {why}")]
    Item { position: u64, why: BadItem },
    #[error("hello is refused: {why}")]
    Hello { why: &'static str },
}

// === impl Batch ===

impl Batch {
    /// The checked form of a message; `None` for a message without items.
    pub(crate) fn check(items: v1::Items) -> Result<Option<Self>, BadMessage> {
        let first = items.first_seq;
        if first == 0 {
            return Err(BadMessage::Item { position: 0, why: "positions start at 1".into() });
        }
        let mut next = first;
        let mut entries = Vec::with_capacity(items.items.len());
        let mut room = MAX_UNPACKED_BYTES;
        for item in items.items {
            let entry = Entry::check(next, item, &mut room)
                .map_err(|why| BadMessage::Item { position: next, why })?;
            next = entry.last + 1;
            entries.push(entry);
        }
        Ok((!entries.is_empty()).then_some(Self { last: next - 1, entries }))
    }

    /// The number of items as a measure of work: each event of a block counts as one.
    pub(crate) fn items(&self) -> u64 {
        self.entries.iter().map(|entry| entry.content.items()).sum()
    }
}

// === impl Entry ===

impl Entry {
    fn check(position: u64, item: v1::Item, room: &mut usize) -> Result<Self, BadItem> {
        // SQLite's integers are signed. The maximum itself is excluded, so that the position after
        // the last fits too.
        if position >= i64::MAX as u64 {
            return Err("the position is beyond 2^63 - 2".into());
        }
        let item = item.item.ok_or("it is empty or of a kind this collector does not know")?;
        let mut last = position;
        let content = match item {
            Item::Event(event) => check_event(event)?,
            Item::Block(block) => {
                let block = Block::check(block, room)?;
                last = position + (block.events - 1);
                if last >= i64::MAX as u64 {
                    return Err("the block reaches beyond 2^63 - 2".into());
                }
                Content::Block(block)
            }
            Item::Finding(finding) => Content::Finding(check_finding(finding)?),
            Item::Decision(decision) => {
                check::id(&decision.id, "the decision has no id, or one over 1024 bytes")?;
                check::run_id(&decision.run)?;
                let body = decision.encode_to_vec();
                Content::Decision { run: decision.run, time_ms: ms(decision.time_unix_ns), body }
            }
            Item::Outcome(outcome) => {
                check::run_id(&outcome.run)?;
                let body = outcome.encode_to_vec();
                Content::Outcome { run: outcome.run, time_ms: ms(outcome.time_unix_ns), body }
            }
            Item::Run(run) => Content::Run(check_run(run)?),
            Item::Gap(gap) => {
                last = gap_end(position, &gap)?;
                Content::Gap(check_gap(gap)?)
            }
        };
        Ok(Self { first: position, last, content })
    }
}

// === impl Content ===

impl Content {
    pub(crate) fn kind(&self) -> ItemKind {
        match self {
            Self::Event(_) | Self::Block(_) => ItemKind::Event,
            Self::Finding(_) => ItemKind::Finding,
            Self::Decision { .. } => ItemKind::Decision,
            Self::Outcome { .. } => ItemKind::Outcome,
            Self::Run(_) => ItemKind::Run,
            Self::Gap(_) => ItemKind::Gap,
        }
    }

    /// A gap is one item, whatever it covers.
    pub(crate) fn items(&self) -> u64 {
        if let Self::Block(block) = self { block.events } else { 1 }
    }
}

/// Checks the hello: the sensor's id, and the sizes of texts that the store keeps for ever.
pub(crate) fn check_hello(hello: &v1::Hello) -> Result<(), BadMessage> {
    let refuse = |why| Err(BadMessage::Hello { why });
    if hello.sensor.is_empty() || hello.sensor.len() > MAX_ID_BYTES {
        return refuse("the sensor id is empty or over 1024 bytes");
    }
    if hello.epoch.is_empty() || hello.epoch.len() > MAX_ID_BYTES {
        return refuse("the epoch is empty or over 1024 bytes");
    }
    let texts = [&hello.host, &hello.version, &hello.boot_id, &hello.tier];
    if texts.into_iter().chain(&hello.limits).any(|text| text.len() > MAX_HELLO_TEXT_BYTES) {
        return refuse("a text is over 4096 bytes");
    }
    if hello.limits.len() > MAX_HELLO_LIMITS {
        return refuse("there are more than 256 limits");
    }
    Ok(())
}

fn check_event(event: v1::Event) -> Result<Content, BadItem> {
    check::event_id(&event.id)?;
    check::kind(event.kind.as_ref())?;
    check::process(event.process.as_ref())?;
    check::run_id(&event.run)?;
    check::agent(event.agent.as_ref())?;
    Ok(Content::Event(Box::new(event)))
}

fn check_finding(finding: v1::Finding) -> Result<Finding, BadItem> {
    check::id(&finding.id, "the finding has no id, or one over 1024 bytes")?;
    if v1::Severity::try_from(finding.severity).is_err() {
        return Err("the severity of the finding is not known to this collector".into());
    }
    check::run_id(&finding.run)?;
    let agent = check::agent(finding.agent.as_ref())?.id.clone();
    let body = finding.encode_to_vec();
    let time_ms = ms(finding.time_unix_ns);
    let v1::Finding { id, run, rule, severity, .. } = finding;
    Ok(Finding { id, run, agent, rule, severity, time_ms, body })
}

fn check_run(run: v1::Run) -> Result<RunState, BadItem> {
    let agent = check::agent(run.agent.as_ref())?.clone();
    if v1::RunState::try_from(run.state).is_err() {
        return Err("the state of the run is not known to this collector".into());
    }
    check::run_id(&run.id)?;
    let body = run.encode_to_vec();
    Ok(RunState {
        run: run.id,
        agent: agent.id,
        agent_name: agent.name,
        state: run.state,
        started_ms: ms(run.started_unix_ns),
        ended_ms: run.ended_unix_ns.map(ms),
        container: run.container.map(|container| container.encode_to_vec()),
        body,
    })
}

fn check_gap(gap: v1::Gap) -> Result<Gap, BadItem> {
    if gap.reason.len() > MAX_ID_BYTES {
        return Err("the reason of the gap is over 1024 bytes".into());
    }
    let body = gap.encode_to_vec();
    let mut items_by_run = Vec::with_capacity(gap.items_by_run.len());
    let mut sum = 0_u64;
    for (run, items) in gap.items_by_run {
        sum = sum.checked_add(items).ok_or("the gap names more items than it covers")?;
        check::run_id(&run)?;
        items_by_run.push((run, items));
    }
    if sum > gap.last - gap.first + 1 {
        return Err("the gap names more items than it covers".into());
    }
    items_by_run.sort();
    Ok(Gap { reason: gap.reason, items_by_run, body })
}

fn gap_end(position: u64, gap: &v1::Gap) -> Result<u64, BadItem> {
    if gap.first != position {
        return Err("the gap does not begin at the position where it stands".into());
    }
    if gap.last < gap.first {
        return Err("the gap ends before it begins".into());
    }
    if gap.last >= i64::MAX as u64 {
        return Err("the gap reaches beyond 2^63 - 2".into());
    }
    Ok(gap.last)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use sentry_proto::{
        block::Packer,
        ocsf::{self, HostContext},
        v1::event::Kind,
    };

    use super::*;

    fn event(kind: Kind) -> v1::Event {
        v1::Event {
            id: "e".to_owned(),
            run: "r".to_owned(),
            agent: Some(v1::Agent { id: "a".to_owned(), name: String::new() }),
            process: Some(v1::Process { key: Some(v1::ProcessKey::default()), ..v1::Process::default() }),
            kind: Some(kind),
            time_unix_ns: u64::MAX,
            ..v1::Event::default()
        }
    }

    #[test]
    fn the_class_is_the_one_that_is_rendered() {
        let kinds = [
            Kind::Fork(v1::Fork::default()),
            Kind::Exec(v1::Exec::default()),
            Kind::Exit(v1::Exit::default()),
            Kind::Seed(v1::Seed {}),
            Kind::StartedOutside(v1::StartedOutside::default()),
            Kind::CgroupMove(v1::CgroupMove::default()),
            Kind::CgroupMake(v1::CgroupMake::default()),
            Kind::CgroupRemove(v1::CgroupRemove::default()),
            Kind::Connect(v1::Connect::default()),
            Kind::Send(v1::Send::default()),
            Kind::Open(v1::Open::default()),
            Kind::Unlink(v1::Unlink::default()),
            Kind::Rename(v1::Rename::default()),
        ];
        let host = HostContext { sensor: "s", version: "1", host: "h", boot_id: "b", container: None };
        for kind in kinds {
            let class = ocsf::class_uid(&kind);
            assert_eq!(ocsf::event(&event(kind), &host)["class_uid"], class);
        }
    }

    #[test]
    fn positions_go_on_behind_a_gap() {
        let gap = v1::Gap { first: 6, last: 9, ..v1::Gap::default() };
        let items = [Item::Event(event(Kind::Exec(v1::Exec::default()))), Item::Gap(gap)];
        let wire = |items: &[Item]| items.iter().map(|item| v1::Item { item: Some(item.clone()) }).collect();
        let batch = Batch::check(v1::Items { first_seq: 5, items: wire(&items) }).unwrap().unwrap();
        let ranges: Vec<_> = batch.entries.iter().map(|entry| (entry.first, entry.last)).collect();
        assert_eq!((ranges.as_slice(), batch.last), ([(5, 5), (6, 9)].as_slice(), 9));
        let moved = Batch::check(v1::Items { first_seq: 4, items: wire(&items) }).unwrap_err();
        assert!(moved.to_string().contains("position 5"), "{moved}");
    }

    proptest! {
        /// Damaged messages are batches or named faults, never a panic; a batch has no hole.
        #[test]
        fn damage_is_refused_or_harmless(
            first_seq: u64, seed in 0..2_u64, at in 0_usize..128, flip: u8, gap in any::<(u64, u64)>()
        ) {
            let gap = v1::Gap { first: gap.0, last: gap.1, ..v1::Gap::default() };
            let items = [Item::Event(event(Kind::Seed(v1::Seed {}))), Item::Gap(gap)];
            let items = items.into_iter().map(|item| v1::Item { item: Some(item) }).collect();
            let first_seq = if seed == 0 { first_seq } else { u64::MAX - first_seq % 4 };
            let mut bytes = v1::Items { first_seq, items }.encode_to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            if let Ok(items) = v1::Items::decode(bytes.as_slice())
                && let Ok(Some(batch)) = Batch::check(items)
            {
                for pair in batch.entries.windows(2) {
                    prop_assert_eq!(pair[0].last + 1, pair[1].first);
                }
                prop_assert!(batch.last < i64::MAX as u64);
            }
        }

        #[test]
        fn a_damaged_block_is_refused_or_covers_its_positions(first_seq: u64, at in 0_usize..400, flip: u8) {
            let events = [Kind::Seed(v1::Seed {}), Kind::Exec(v1::Exec::default())].map(event);
            let block = Packer::new().unwrap().pack(&events).unwrap().block.unwrap();
            let items = [Item::Block(block), Item::Event(events[0].clone())];
            let items = items.into_iter().map(|item| v1::Item { item: Some(item) }).collect();
            let mut bytes = v1::Items { first_seq, items }.encode_to_vec();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= flip;
            }
            if let Ok(items) = v1::Items::decode(bytes.as_slice())
                && let Ok(Some(batch)) = Batch::check(items)
            {
                for entry in &batch.entries {
                    prop_assert_eq!(entry.last - entry.first + 1, entry.content.items());
                }
                prop_assert!(batch.last < i64::MAX as u64);
            }
        }
    }
}
