//! Inputs: good ones, and mutations of them. The same seed gives the same inputs.

use sentry_common::{
    abi::{RecordHeader, SCHEMA_VERSION},
    fact::Kind,
    record::{
        cgroup::CgroupRecord,
        file::{FileRecord, NameRecord},
        network::{NetworkRecord, PayloadRecord, UnixRecord},
        other::{KernelRecord, TargetRecord},
        process::{ExecRecord, ExitRecord, ForkRecord},
    },
};
use sentry_detect::{
    rule::Settings,
    run::{AgentIdentity, Counted, Input, Mode, RunId, Setup, Usage, machine::Over},
};
use sentry_kernel::decode::Raw;
use sentry_recording::{Tape, whole_ms};

/// xorshift64*: small, fast, and good enough to choose bytes.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }
}

/// Good inputs: a record of each kind in each length that a record has, text, packets.
pub(crate) fn corpus() -> Vec<Vec<u8>> {
    const LENGTHS: [usize; 11] = [
        size_of::<ForkRecord>(),
        size_of::<ExecRecord>(),
        size_of::<ExitRecord>(),
        size_of::<CgroupRecord>(),
        size_of::<FileRecord>(),
        size_of::<NameRecord>(),
        size_of::<NetworkRecord>(),
        size_of::<UnixRecord>(),
        size_of::<PayloadRecord>(),
        size_of::<TargetRecord>(),
        size_of::<KernelRecord>(),
    ];
    let mut inputs = vec![b"/usr/bin/env\0".repeat(200), dns(), hello(), Vec::new()];
    inputs.push(block());
    inputs.push(sentry_rules::EXAMPLE.into());
    inputs.extend(tape());
    inputs.extend(archive());
    inputs.extend([[&[0, 1][..], &dns()].concat(), [&[1, 0][..], &hello()].concat()]);
    for kind in 0..=u16::from(u8::MAX) {
        for length in LENGTHS {
            let mut record: Vec<u8> = (0..length).map(|at| (at % 7 * 37) as u8).collect();
            record[..2].copy_from_slice(&SCHEMA_VERSION.to_ne_bytes());
            record[2..4].copy_from_slice(&kind.to_ne_bytes());
            let ring = Kind::of(kind).map_or(0, Kind::ring) as u32;
            record[4..8].copy_from_slice(&ring.to_ne_bytes());
            if Raw::read(&record).is_ok_and(|raw| raw.decode().is_ok()) {
                inputs.push(record);
            }
        }
    }
    inputs
}

fn dns() -> Vec<u8> {
    let mut message = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 3];
    message.extend(b"www\x07example\x03org\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01");
    message
}

/// The body of a block of two events, behind their number.
fn block() -> Vec<u8> {
    let process: &[u8] = &[1, 6, 10, 4, 8, 9, 16, 7];
    let exits: &[u8] = &[2, 5, 0x92, 1, 2, 8, 1, 5, 0x92, 1, 2, 16, 9];
    let columns: &[u8] = &[1, 1, 2, 4, 10, 0, 2, 0, 0, 1, 1, 1, 1, b'i'];
    [&[2, 2, b'r', b'0'][..], process, exits, columns].concat()
}

/// A run's tape.
fn tape() -> Option<Vec<u8>> {
    let setup = Setup {
        id: RunId("r".to_owned()),
        id_prefix: "r".to_owned(),
        agent: AgentIdentity { id: "a".to_owned(), name: "a".to_owned() },
        mode: Mode::Observe,
        owned: true,
        settings: Settings::default(),
        before: None,
    };
    let (mut tape, mut counted) = (Tape::new(&setup, &Usage::default(), 1 << 60), Counted::default());
    for reading in 1..9 {
        let now_unix_ns = whole_ms((1 << 60) + reading * 100_000_000);
        counted.counts.execs += 40 * reading;
        tape.input(&Input::Counted { counted, began_boot_ns: 0 }, now_unix_ns);
        let usage = Usage { cpu_usec: 90_000 * reading, ..Usage::default() };
        tape.input(&Input::Reading { usage, room: true }, now_unix_ns);
    }
    tape.input(&Input::Over(Over::Empty), 1 << 61);
    tape.take().map(|part| part.plain)
}

/// An archive, and the tar in it.
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn archive() -> [Vec<u8>; 2] {
    let run = "01a2f3c0-0000-7000-8000-000000000001";
    let header = |name: &str, size: usize| {
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("agentsentry-{run}/{name}")).unwrap();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(size as u64);
        header.set_cksum();
        *header.as_bytes()
    };
    let decision = format!("{{\"id\":\"{run}-d-1\",\"run\":\"{run}\"}}\n");
    let mut tar = Vec::new();
    for (name, content) in [("events.jsonl", ""), ("decisions.jsonl", &decision), ("report.txt", run)] {
        tar.extend(header(name, content.len()));
        tar.extend(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1_024, 0);
    [sentry_archive::sealed(&tar).unwrap(), tar]
}

fn hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 0, 65, 1, 0, 0, 61, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0x13, 1, 1, 0, 0, 18, 0, 0, 0, 14, 0, 12, 0, 0, 9]);
    hello.extend(b"localhost");
    hello
}

/// More than the longest record.
const LONGEST: usize = 4096;

/// Changes an input in one to eight places.
pub(crate) fn mutate(bytes: &mut Vec<u8>, chance: &mut Chance) {
    const EDGES: [u32; 8] = [0, 1, 0x7f, 0xff, 0x400, 0xffff, 0x7fff_ffff, u32::MAX];
    for _ in 0..=chance.below(8) {
        if bytes.is_empty() {
            bytes.push(chance.next() as u8);
        }
        let at = chance.below(bytes.len());
        match chance.below(8) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.extend(std::iter::repeat_n(chance.next() as u8, chance.below(300))),
            4 => {
                let edge = EDGES[chance.below(EDGES.len())].to_ne_bytes();
                bytes.iter_mut().skip(at & !3).zip(edge).for_each(|(byte, new)| *byte = new);
            }
            5 => {
                let from = chance.below(bytes.len());
                let length = chance.below(64).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + length, at);
            }
            // A part of it becomes noise, behind the header more often than in it.
            6 => {
                let start = at.max(size_of::<RecordHeader>()).min(bytes.len());
                bytes[start..].iter_mut().take(64).for_each(|byte| *byte = chance.next() as u8);
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes.truncate(LONGEST);
}
