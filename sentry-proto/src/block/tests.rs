#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use super::{BlockError, Checked, EVENTS, Fact, PLAIN_BYTES, Packer, Sieve, Sift, kind_bit, with_body};
use crate::{
    convert::arbitrary,
    v1::{self, event::Kind},
};

/// What one sensor sends of one run: opens of one of some files by one of some processes.
fn opens(count: u64) -> Vec<v1::Event> {
    let event = |n: u64| {
        let text = format!("/usr/lib/python3/module_{}.py", n % 50);
        let path = v1::Path { text, source: v1::path::Source::Kernel.into(), truncated: false };
        let file =
            v1::File { path: Some(path), key: Some(v1::FileKey { inode: n % 50, ..Default::default() }) };
        let executable = v1::Path { text: "/usr/bin/python3".to_owned(), ..v1::Path::default() };
        let tgid = 100 + (n / 100) as u32;
        v1::Event {
            id: format!("0123-b-{n}"),
            run: "run".to_owned(),
            agent: Some(v1::Agent { id: "agent".to_owned(), name: "Agent".to_owned() }),
            ring: v1::event::Ring::Bulk.into(),
            sequence: n,
            time_unix_ns: 1_700_000_000_000_000_000 + n * 40_961,
            process: Some(v1::Process {
                key: Some(v1::ProcessKey { tgid, start_boot_ns: 7 }),
                executable: Some(v1::File { path: Some(executable), key: None }),
                ..v1::Process::default()
            }),
            kind: Some(Kind::Open(v1::Open { file: Some(file), ..v1::Open::default() })),
        }
    };
    (1..=count).map(event).collect()
}

/// All events, in as many blocks as they take.
fn pack(events: &[v1::Event]) -> Vec<v1::Block> {
    let mut packer = Packer::new().unwrap();
    let (mut blocks, mut rest) = (Vec::new(), events);
    while !rest.is_empty() {
        let packed = packer.pack(rest).unwrap();
        assert!(packed.events > 0);
        blocks.extend(packed.block);
        rest = &rest[packed.events..];
    }
    blocks
}

fn unpack(block: v1::Block) -> Vec<v1::Event> {
    Checked::new(block).unwrap().open().unwrap().iter().map(Result::unwrap).collect()
}

#[test]
fn events_come_back_and_take_few_bytes() {
    let events = opens(10_000);
    let blocks = pack(&events);
    let counts: Vec<_> = blocks.iter().map(|block| Checked::new(block.clone()).unwrap().count()).collect();
    assert_eq!(counts, [EVENTS as u64, EVENTS as u64, 10_000 - 2 * EVENTS as u64]);
    let bytes: usize = blocks.iter().map(v1::Block::encoded_len).sum();
    assert!(bytes < 10 * events.len(), "{bytes}");
    assert_eq!(blocks.into_iter().flat_map(unpack).collect::<Vec<_>>(), events);
}

#[test]
fn a_head_says_what_is_in_the_block() {
    let mut events = opens(300);
    let exit = Kind::Exit(v1::Exit { code: Some(1), signal: None });
    events[7].kind = Some(exit.clone());
    events[7].time_unix_ns = 5;
    let block = Checked::new(pack(&events).remove(0)).unwrap();
    let head = block.head();
    assert_eq!((head.run.as_str(), head.agent.as_ref(), head.count), ("run", events[0].agent.as_ref(), 300));
    assert_eq!((head.earliest_unix_ns, head.latest_unix_ns), (5, events[299].time_unix_ns));
    assert_eq!(head.kinds, kind_bit(&exit) | kind_bit(events[0].kind.as_ref().unwrap()));
    for fact in [
        Fact::Path("/usr/lib/python3/module_3.py"),
        Fact::Path("/usr/bin/python3"),
        Fact::Under("/usr/lib"),
        Fact::Name("module_49.py"),
        Fact::Process(103),
    ] {
        assert!(block.may_hold(fact), "{fact:?}");
    }
    // Of what is not there one in fifty may seem to be.
    let wrong = (1_000..2_000_u32).flat_map(|n| {
        let text = n.to_string();
        [
            block.may_hold(Fact::Path(&text)),
            block.may_hold(Fact::Under(&text)),
            block.may_hold(Fact::Name(&text)),
            block.may_hold(Fact::Act(&text)),
            block.may_hold(Fact::Address(&n.to_be_bytes())),
            block.may_hold(Fact::Process(n)),
        ]
    });
    assert!(wrong.filter(|held| *held).count() < 300);
}

#[test]
fn a_block_is_of_one_run_and_one_agent() {
    let mut events = opens(4);
    events[2].run = "other".to_owned();
    events[3].agent = None;
    let blocks = pack(&events);
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks.into_iter().flat_map(unpack).collect::<Vec<_>>(), events);
}

#[test]
fn what_is_too_large_for_a_block_is_left_to_the_caller() {
    let mut events = opens(5);
    let argv = |bytes: usize| Some(v1::Argv { arguments: vec!["x".repeat(bytes)], ..v1::Argv::default() });
    events[3].process.as_mut().unwrap().argv = argv(PLAIN_BYTES);
    let mut packer = Packer::new().unwrap();
    let packed = packer.pack(&events).unwrap();
    assert_eq!(packed.events, 3);
    assert_eq!(unpack(packed.block.unwrap()), events[..3], "nothing of the large one is in it");
    let packed = packer.pack(&events[3..]).unwrap();
    assert_eq!((packed.block, packed.events), (None, 0));
    assert_eq!(unpack(packer.pack(&events[4..]).unwrap().block.unwrap()), events[4..]);
    // Some that do not fit together.
    for event in &mut events {
        event.process.as_mut().unwrap().argv = argv(PLAIN_BYTES / 2);
        event.process.as_mut().unwrap().tid += event.sequence as u32;
    }
    let blocks = pack(&events);
    assert_eq!(blocks.len(), 5);
    assert!(blocks.iter().all(|block| block.encoded_len() < 1 << 20));
    assert_eq!(blocks.into_iter().flat_map(unpack).collect::<Vec<_>>(), events);
}

#[test]
fn damage_is_found() {
    let block = pack(&opens(100)).remove(0);
    let encoded = block.encode_to_vec();
    for at in 0..encoded.len() {
        let mut damaged = encoded.clone();
        damaged[at] ^= 0x10;
        // What protobuf itself skips or refuses never gets here.
        let Ok(found) = v1::Block::decode(damaged.as_slice()) else { continue };
        if found != block {
            assert!(matches!(Checked::new(found), Err(BlockError::Checksum)), "at {at}");
        }
    }
}

#[test]
fn a_head_over_the_limits_is_refused_before_anything_is_decompressed() {
    let head = |count: usize| v1::BlockHead { layout: 1, count: count as u32, ..v1::BlockHead::default() };
    let refused = |head, plain: &[u8]| Checked::new(with_body(head, plain).unwrap()).unwrap_err().to_string();
    assert_eq!(refused(head(0), b""), "the block is over a limit: count of events");
    assert_eq!(refused(head(EVENTS + 1), b""), "the block is over a limit: count of events");
    let bomb = vec![0; PLAIN_BYTES + 1];
    assert_eq!(refused(head(1), &bomb), "the block is over a limit: size of the body");
    let newer = v1::BlockHead { layout: 2, ..head(1) };
    assert_eq!(refused(newer, b""), "the block has layout 2, this version reads 1");
    // More comes out than the head says.
    let mut block = with_body(head(1), &bomb).unwrap();
    block.head = v1::BlockHead { plain_bytes: 10, ..head(1) }.encode_to_vec();
    block.checksum = super::checksum(&block.head, &block.body);
    assert!(matches!(Checked::new(block).unwrap().open(), Err(BlockError::Compressed { .. })));
}

#[test]
fn a_body_that_refers_to_what_is_not_there_is_refused() {
    let head = v1::BlockHead { layout: 1, count: 1, ..v1::BlockHead::default() };
    let open = |plain: &[u8]| Checked::new(with_body(head.clone(), plain).unwrap()).unwrap().open();
    // Prefix, processes, kinds, ring, time, sequence, process, kind, ids.
    let good = [1, b'p', 0, 1, 0, 1, 0, 10, 0, 0, 0];
    let event = open(&good).unwrap().event(0).unwrap();
    assert_eq!((event.id.as_str(), event.sequence, event.process, event.kind), ("p-c-5", 5, None, None));
    for (at, wrong, what) in [
        (2, 9, "length of a text"),
        (5, 0, ""),
        (6, 2, "time of an event"),
        (8, 2, "process of an event"),
        (9, 1, "kind of an event"),
        (10, 1, "a number"),
    ] {
        let mut bad = good;
        bad[at] = wrong;
        match open(&bad) {
            Err(BlockError::Body { what: found }) => assert_eq!(found, what),
            Err(other) => unreachable!("{other}"),
            Ok(events) => {
                let found = events.event(0);
                assert!(matches!(found, Err(BlockError::Body { what: "an id is missing" })));
            }
        }
    }
    for end in 0..good.len() {
        assert!(open(&good[..end]).is_err(), "cut at {end}");
    }
    assert!(open(&[&good[..], &[0]].concat()).is_err(), "one more");
}

/// Lets these bits of kinds through, and processes of these ids.
#[derive(Debug)]
struct Only {
    kinds: u64,
    tgids: Vec<u32>,
}

impl Sift for Only {
    fn kind(&self, kind: Option<&Kind>) -> bool {
        kind.is_some_and(|kind| kind_bit(kind) & self.kinds != 0)
    }

    fn process(&self, process: Option<&v1::Process>) -> bool {
        process.and_then(|process| process.key).is_some_and(|key| self.tgids.contains(&key.tgid))
    }
}

fn sifted(events: &[v1::Event], sieve: &Sieve) -> Vec<v1::Event> {
    let of = |block| {
        let found = Checked::new(block).unwrap().sift(sieve).unwrap();
        found.map_or_else(Vec::new, |(events, places)| {
            places.into_iter().map(|place| events.event(place).unwrap()).collect()
        })
    };
    pack(events).into_iter().flat_map(of).collect()
}

#[test]
fn a_sieve_asks_for_texts_before_it_decodes() {
    let mut events = opens(300);
    let program = "/opt/module_7.py".to_owned();
    let executable = v1::File { path: Some(v1::Path { text: program, ..v1::Path::default() }), key: None };
    events[9].kind = Some(Kind::Exec(v1::Exec::default()));
    events[9].process.as_mut().unwrap().executable = Some(executable);
    let all = Sieve::new(Arc::new(Only { kinds: u64::MAX, tgids: (100..104).collect() }));
    let is_found = |n: &usize| n % 50 == 7 || *n == 10;
    let expected: Vec<_> = (1..=300).filter(is_found).map(|n| events[n - 1].clone()).collect();
    assert_eq!(sifted(&events, &all.clone().with_one_of(["module_7.py", "nowhere"])), expected);
    assert_eq!(sifted(&events, &all.with_one_of(["nowhere"])), []);
}

proptest! {
    #[test]
    fn a_sieve_leaves_out_what_it_does_not_let_through_and_nothing_else(
        mut events in vec(arbitrary::event().prop_map(|event| v1::Event::from(&event)), 1..40),
        kinds in any::<u64>(),
    ) {
        events.iter_mut().for_each(|event| (event.run, event.agent) = ("run".to_owned(), None));
        let tgids = events.iter().step_by(2).filter_map(|event| Some(event.process.as_ref()?.key?.tgid));
        let only = Only { kinds, tgids: tgids.collect() };
        let admits = |event: &&v1::Event| only.kind(event.kind.as_ref()) && only.process(event.process.as_ref());
        let expected: Vec<_> = events.iter().filter(admits).cloned().collect();
        prop_assert_eq!(sifted(&events, &Sieve::new(Arc::new(only))), expected);
    }

    #[test]
    fn whatever_events_are_packed_come_back(
        mut events in vec(arbitrary::event().prop_map(|event| v1::Event::from(&event)), 1..40),
        same in any::<bool>(),
    ) {
        for (n, event) in events.iter_mut().enumerate() {
            if same {
                event.run = "run".to_owned();
                event.agent = None;
                event.id = format!("p-{}-{}", if event.ring == 1 { "c" } else { "b" }, event.sequence);
            }
            if n % 5 == 4 {
                (event.ring, event.process, event.kind) = (n as i32 - 8, None, None);
            }
        }
        let blocks = pack(&events);
        prop_assert!(!same || blocks.len() == 1);
        prop_assert_eq!(blocks.into_iter().flat_map(unpack).collect::<Vec<_>>(), events);
    }

    #[test]
    fn any_body_is_events_or_an_error(count in 0..20_u32, plain in vec(any::<u8>(), 0..300)) {
        let head = v1::BlockHead { layout: 1, count, latest_unix_ns: u64::MAX, ..v1::BlockHead::default() };
        if let Ok(checked) = Checked::new(with_body(head, &plain).unwrap())
            && let Ok(events) = checked.open()
        {
            prop_assert_eq!(events.iter().count(), count as usize);
            prop_assert!(events.processes().count() <= EVENTS && events.kinds().count() <= EVENTS);
        }
    }
}
