//! Wire items → checked entries. Total: anything is either an entry with a position or a named
//! fault.
//!
//! An entry keeps the item's own encoding as its body, next to the few columns that queries filter
//! by. Ids may have 1024 bytes; times are cut to Unix milliseconds.

use prost::Message as _;
use sentry_proto::{
    ocsf,
    v1::{self, item::Item},
};

use super::kind::ItemKind;

const MAX_ID_BYTES: usize = 1024;
const MAX_HELLO_TEXT_BYTES: usize = 4096;
const MAX_HELLO_LIMITS: usize = 256;
const NS_PER_MS: u64 = 1_000_000;

/// Items of one message, in order, without a hole between them.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Position of the last item.
    pub(crate) last: u64,
    pub(crate) entries: Vec<Entry>,
}

/// One item at its position; a gap covers `first..=last`, anything else has `first == last`.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) content: Content,
}

/// What the store needs to know beside the body.
#[derive(Debug)]
pub(crate) enum Content {
    Event { run: String, agent: String, class_uid: u32, time_ms: i64 },
    Finding { run: String, agent: String, severity: i32, time_ms: i64 },
    Decision { run: String, time_ms: i64 },
    Outcome { run: String, time_ms: i64 },
    Run(RunState),
    Gap { reason: String, items_by_run: Vec<(String, u64)> },
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
}

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadMessage {
    #[error("item at position {position} is refused: {why}")]
    Item { position: u64, why: &'static str },
    #[error("hello is refused: {why}")]
    Hello { why: &'static str },
}

// === impl Batch ===

impl Batch {
    /// The checked form of a message; `None` for a message without items.
    pub(crate) fn check(items: v1::Items) -> Result<Option<Self>, BadMessage> {
        let first = items.first_seq;
        if first == 0 {
            return Err(BadMessage::Item { position: 0, why: "positions start at 1" });
        }
        let mut next = first;
        let mut entries = Vec::with_capacity(items.items.len());
        for item in items.items {
            let entry = Entry::check(next, item).map_err(|why| BadMessage::Item { position: next, why })?;
            next = entry.last + 1;
            entries.push(entry);
        }
        Ok((!entries.is_empty()).then_some(Self { last: next - 1, entries }))
    }
}

// === impl Entry ===

impl Entry {
    fn check(position: u64, item: v1::Item) -> Result<Self, &'static str> {
        // SQLite's integers are signed; one below the end leaves room for the position after the
        // last.
        if position >= i64::MAX as u64 {
            return Err("the position is beyond 2^63 - 2");
        }
        let item = item.item.ok_or("it is empty or of a kind this collector does not know")?;
        let mut last = position;
        let (body, content) = match item {
            Item::Event(event) => (event.encode_to_vec(), check_event(event)?),
            Item::Finding(finding) => (finding.encode_to_vec(), check_finding(finding)?),
            Item::Decision(decision) => {
                let time_ms = ms(decision.time_unix_ns);
                id(&decision.id, "the decision has no id, or one over 1024 bytes")?;
                (decision.encode_to_vec(), Content::Decision { run: run_id(decision.run)?, time_ms })
            }
            Item::Outcome(outcome) => {
                let time_ms = ms(outcome.time_unix_ns);
                (outcome.encode_to_vec(), Content::Outcome { run: run_id(outcome.run)?, time_ms })
            }
            Item::Run(run) => (run.encode_to_vec(), Content::Run(check_run(run)?)),
            Item::Block(_) => return Err("it is a block, which was not asked for"),
            Item::Gap(gap) => {
                last = gap_end(position, &gap)?;
                (gap.encode_to_vec(), check_gap(gap)?)
            }
        };
        Ok(Self { first: position, last, body, content })
    }
}

// === impl Content ===

impl Content {
    pub(crate) fn kind(&self) -> ItemKind {
        match self {
            Self::Event { .. } => ItemKind::Event,
            Self::Finding { .. } => ItemKind::Finding,
            Self::Decision { .. } => ItemKind::Decision,
            Self::Outcome { .. } => ItemKind::Outcome,
            Self::Run(_) => ItemKind::Run,
            Self::Gap { .. } => ItemKind::Gap,
        }
    }
}

/// Checks the greeting: who speaks, and texts of a size that is kept for ever.
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

fn check_event(event: v1::Event) -> Result<Content, &'static str> {
    id(&event.id, "the event has no id, or one over 1024 bytes")?;
    let kind = event.kind.as_ref().ok_or("the event is of no kind this collector knows")?;
    if event.process.as_ref().is_none_or(|process| process.key.is_none()) {
        return Err("the event names no process");
    }
    Ok(Content::Event {
        class_uid: ocsf::class_uid(kind),
        run: run_id(event.run)?,
        agent: agent(event.agent)?.id,
        time_ms: ms(event.time_unix_ns),
    })
}

fn check_finding(finding: v1::Finding) -> Result<Content, &'static str> {
    id(&finding.id, "the finding has no id, or one over 1024 bytes")?;
    if v1::Severity::try_from(finding.severity).is_err() {
        return Err("the severity of the finding is not known to this collector");
    }
    Ok(Content::Finding {
        run: run_id(finding.run)?,
        agent: agent(finding.agent)?.id,
        severity: finding.severity,
        time_ms: ms(finding.time_unix_ns),
    })
}

fn check_run(run: v1::Run) -> Result<RunState, &'static str> {
    let agent = agent(run.agent)?;
    if v1::RunState::try_from(run.state).is_err() {
        return Err("the state of the run is not known to this collector");
    }
    Ok(RunState {
        run: run_id(run.id)?,
        agent: agent.id,
        agent_name: agent.name,
        state: run.state,
        started_ms: ms(run.started_unix_ns),
        ended_ms: run.ended_unix_ns.map(ms),
        container: run.container.map(|container| container.encode_to_vec()),
    })
}

fn check_gap(gap: v1::Gap) -> Result<Content, &'static str> {
    if gap.reason.len() > MAX_ID_BYTES {
        return Err("the reason of the gap is over 1024 bytes");
    }
    let mut items_by_run = Vec::with_capacity(gap.items_by_run.len());
    let mut sum = 0_u64;
    for (run, items) in gap.items_by_run {
        sum = sum.checked_add(items).ok_or("the gap names more items than it covers")?;
        items_by_run.push((run_id(run)?, items));
    }
    if sum > gap.last - gap.first + 1 {
        return Err("the gap names more items than it covers");
    }
    items_by_run.sort();
    Ok(Content::Gap { reason: gap.reason, items_by_run })
}

fn gap_end(position: u64, gap: &v1::Gap) -> Result<u64, &'static str> {
    if gap.first != position {
        return Err("the gap does not begin at the position where it stands");
    }
    if gap.last < gap.first {
        return Err("the gap ends before it begins");
    }
    if gap.last >= i64::MAX as u64 {
        return Err("the gap reaches beyond 2^63 - 2");
    }
    Ok(gap.last)
}

fn id(id: &str, why: &'static str) -> Result<(), &'static str> {
    if id.is_empty() || id.len() > MAX_ID_BYTES { Err(why) } else { Ok(()) }
}

fn run_id(run: String) -> Result<String, &'static str> {
    id(&run, "it names no run, or one over 1024 bytes").map(|()| run)
}

fn agent(agent: Option<v1::Agent>) -> Result<v1::Agent, &'static str> {
    const WHY: &str = "it names no agent, or one over 1024 bytes";
    let agent = agent.ok_or(WHY)?;
    id(&agent.id, WHY)?;
    if agent.name.len() > MAX_ID_BYTES { Err(WHY) } else { Ok(agent) }
}

/// Rounded down, which is what a filter by milliseconds expects; always fits.
fn ms(unix_ns: u64) -> i64 {
    (unix_ns / NS_PER_MS) as i64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use sentry_proto::{ocsf::HostContext, v1::event::Kind};

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
    }
}
