//! What is fed with bytes that nobody vouches for. Also the bodies of the targets in `fuzz/`.

use prost::Message as _;
use sentry_agent::{
    enrich::{payload, tls},
    ledger::PartProof,
};
use sentry_archive::{check as check_archive, sealed};
use sentry_common::record::text::{ArgumentText, ArgvText, PathText};
use sentry_detect::event::Endpoint;
use sentry_kernel::decode::{Raw, Record, text};
use sentry_proto::{
    block,
    v1::{self, item::Item},
};
use sentry_recording::{Encoder, Part, Recording, replay};
use sentry_rules::{RuleSet, Source, trial};
use zerocopy::FromBytes as _;

pub(crate) type Target = fn(&[u8]);

pub(crate) const ALL: [(&str, Target); 9] = [
    ("record", record),
    ("text", texts),
    ("payload", packet),
    ("server_name", server_name),
    ("block", block),
    ("recording", recording),
    ("archive", archive),
    ("archive_tar", archive_tar),
    ("rules", rules),
];

/// A record as it comes out of a ring, and all the text in it.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(raw) = Raw::read(bytes) else { return };
    let Ok(record) = raw.decode() else { return };
    match record {
        Record::Exec(exec) | Record::Seed(exec) | Record::StartedOutside(exec) => {
            check(text::plain(&exec.requested));
            text::argv(&exec.argv).into_iter().flat_map(|argv| argv.arguments).for_each(check);
            text::path(&exec.cwd).into_iter().for_each(|path| check(path.text));
        }
        Record::CgroupMove(moved) | Record::CgroupMake(moved) | Record::CgroupRemove(moved) => {
            check(text::plain(&moved.path));
        }
        Record::Open(file) | Record::File(_, file) => {
            text::path(&file.path).into_iter().for_each(|path| check(path.text));
        }
        Record::Unlink(name) | Record::Rename(name) | Record::ExecFailed(name) | Record::Name(_, name) => {
            check(text::argument(&name.path, &name.argument).text);
            check(text::argument(&name.new_path, &name.new_argument).text);
        }
        Record::Unix(_, unix) => check(text::plain(&unix.name)),
        Record::Payload(packet) => {
            let length = packet.bytes.len().min(packet.length as usize);
            dissect(packet.port, packet.protocol, &packet.bytes[..length]);
        }
        Record::Kernel(_, kernel) => {
            check(text::plain(&kernel.text));
            text::path(&kernel.path).into_iter().for_each(|path| check(path.text));
        }
        Record::FileArgument(_, file) => check(text::argument(&file.directory, &file.argument).text),
        Record::KernelArgument(_, kernel) => {
            check(text::argument(&kernel.directory, &kernel.argument).text);
            check(text::plain(&kernel.text));
        }
        Record::Completeness(_)
        | Record::Fork(_)
        | Record::Exit(_)
        | Record::Connect(_)
        | Record::Send(_)
        | Record::Socket(..)
        | Record::Target(..) => {}
    }
}

/// The bytes as each of the three forms of text.
pub(crate) fn texts(bytes: &[u8]) {
    assert!(text::escape(bytes).len() <= 4 * bytes.len());
    let path = PathText::read_from_prefix(bytes).ok().map(|(path, _)| path);
    if let Some(path) = &path {
        text::path(path).into_iter().for_each(|path| check(path.text));
    }
    if let Ok((argument, _)) = ArgumentText::read_from_prefix(bytes) {
        check(text::plain(&argument));
        if let Some(path) = &path {
            let whole = text::argument(path, &argument).text;
            assert!(!whole.split('/').any(|part| part == ".."), "{whole:?}");
            check(whole);
        }
    }
    if let Ok((argv, _)) = ArgvText::read_from_prefix(bytes) {
        text::argv(&argv).into_iter().flat_map(|argv| argv.arguments).for_each(check);
    }
}

/// The first bytes of a packet; the first two choose port and protocol.
pub(crate) fn packet(bytes: &[u8]) {
    let [port, protocol, bytes @ ..] = bytes else { return };
    dissect(if port % 2 == 0 { 53 } else { 443 }, if protocol % 2 == 0 { 6 } else { 17 }, bytes);
}

pub(crate) fn server_name(bytes: &[u8]) {
    if let Some(name) = tls::server_name(bytes) {
        assert!(tls::is_hello(bytes) && name.len() < bytes.len());
    }
}

/// The body of a block of events; the first byte says how many. And the bytes as a block.
pub(crate) fn block(bytes: &[u8]) {
    if let Ok(found) = v1::Block::decode(bytes) {
        unpack(found);
    }
    let [count, plain @ ..] = bytes else { return };
    let (count, latest_unix_ns) = (u32::from(*count), u64::MAX);
    let head = v1::BlockHead { layout: 1, count, latest_unix_ns, ..v1::BlockHead::default() };
    if let Ok(made) = block::with_body(head, plain) {
        unpack(made);
    }
}

/// The plain part of a run's tape. And the bytes as a recording.
pub(crate) fn recording(bytes: &[u8]) {
    if let Ok(found) = Recording::read(bytes.to_vec()) {
        drop(replay(&found, None));
    }
    let Ok(mut encoder) = Encoder::new() else { return };
    let mut file = encoder.begin("0");
    file.extend(encoder.item(&v1::Item { item: Some(Item::Run(v1::Run::default())) }));
    if let Ok(part) = (Part { life: "r".to_owned(), number: 0, plain: bytes.to_vec() }).pack() {
        file.extend(encoder.part(&part));
    }
    file.extend(encoder.end());
    let read = Recording::read(file);
    assert!(read.is_ok(), "what was written is read");
    drop(read.map(|read| replay(&read, None)));
}

fn unpack(block: v1::Block) {
    let Ok(checked) = block::Checked::new(block) else { return };
    std::hint::black_box(checked.may_hold(block::Fact::Path("/etc/passwd")));
    let count = checked.count();
    if let Ok(events) = checked.open() {
        assert_eq!(events.iter().count() as u64, count);
        assert!(events.processes().count() <= block::EVENTS && events.kinds().count() <= block::EVENTS);
    }
}

/// An archive as somebody hands it in.
pub(crate) fn archive(bytes: &[u8]) {
    if let Ok(checked) = check_archive(bytes, PartProof::default()) {
        assert_eq!(checked.bytes, bytes.len() as u64);
    }
}

/// What is below the seal of an archive.
pub(crate) fn archive_tar(bytes: &[u8]) {
    if let Ok(sealed) = sealed(bytes) {
        archive(&sealed);
    }
}

/// A file of rules; and the first bytes as the condition of a rule.
pub(crate) fn rules(bytes: &[u8]) {
    /// Of a condition: most that is long is no more than its beginning is.
    const CONDITION: usize = 48;
    let read = |text: String| RuleSet::read(&[Source { name: "rules".to_owned(), text }]);
    if let Ok(set) = read(String::from_utf8_lossy(bytes).into_owned()) {
        drop(trial::run(&set.into()));
    }
    let condition = String::from_utf8_lossy(&bytes[..bytes.len().min(CONDITION)]);
    let head = "version: 1\nrules:\n  - {id: own/x, title: T, on: [exec], when: ";
    drop(read(format!("{head}{condition:?}}}\n")));
}

fn dissect(port: u16, protocol: u16, bytes: &[u8]) {
    let side = Endpoint { address: std::net::Ipv4Addr::LOCALHOST.into(), port, protocol };
    drop(payload::kind(side, bytes.len().is_multiple_of(2), bytes));
}

/// A field has at most 2 KiB, and no byte becomes more than four.
fn check(text: String) {
    assert!(text.len() <= 8 * 4096, "{} bytes of text", text.len());
}
