//! What a search asks of a block of events before the block is opened.

use std::net::IpAddr;

use sentry_detect::act::{FileAct, KernelAct, SocketAct, TargetAct};
use sentry_proto::{
    block::{Fact, Question},
    v1::{self, event::Kind},
};

use crate::{about::about, destination::Destination, text::pattern};

/// What every event that the search finds says, as far as a block's summary can tell. A block of
/// which this does not hold needs no look.
#[must_use]
pub fn question(asked: &v1::Search) -> Question {
    let destinations: Vec<Destination> =
        asked.destinations.iter().map(|text| Destination::read(text)).collect();
    if destinations.iter().any(|destination| matches!(destination, Destination::Name(_))) {
        // Any block may say which addresses a name has.
        return Question::default();
    }
    let from = asked.since_unix_ns.unwrap_or(0);
    let mut question = Question::default().within(from, asked.until_unix_ns.unwrap_or(u64::MAX));
    if !asked.types.is_empty() {
        question = question.of_kinds(asked.types.iter().flat_map(|name| kinds_of(name)));
    }
    for paths in [&asked.paths, &asked.programs] {
        let patterns: Vec<String> = paths.iter().map(|text| pattern(text)).collect();
        let facts: Option<Vec<Fact<'_>>> = patterns.iter().map(|pattern| fact_of(pattern)).collect();
        question = narrowed(question, facts);
    }
    let addresses: Option<Vec<IpAddr>> = destinations.iter().map(address_of).collect();
    let bytes: Option<Vec<Vec<u8>>> = addresses.map(|all| all.iter().flat_map(forms).collect());
    let facts = bytes.as_ref().map(|all| all.iter().map(|bytes| Fact::Address(bytes)).collect());
    question = narrowed(question, facts);
    narrowed(question, Some(asked.pids.iter().map(|pid| Fact::Process(*pid)).collect()))
}

/// `None`: one of the values may be anything. None at all: no condition.
fn narrowed(question: Question, facts: Option<Vec<Fact<'_>>>) -> Question {
    match facts {
        Some(facts) if !facts.is_empty() => question.any_of(facts),
        _ => question,
    }
}

/// What a path says that a pattern matches: the whole of it, the directory that it is in, or its
/// name.
fn fact_of(pattern: &str) -> Option<Fact<'_>> {
    const META: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];
    let is_literal = |text: &str| !text.contains(META);
    if is_literal(pattern) {
        return Some(Fact::Path(pattern));
    }
    let name = pattern.rsplit('/').next().unwrap_or(pattern);
    if !name.is_empty() && is_literal(name) {
        return Some(Fact::Name(name));
    }
    let before = &pattern[..pattern.find(META)?];
    let directory = &before[..before.rfind('/')?];
    (!directory.is_empty()).then_some(Fact::Under(directory))
}

/// The one address of a destination that has one.
fn address_of(destination: &Destination) -> Option<IpAddr> {
    match destination {
        Destination::Network(net) => (net.prefix_len() == net.max_prefix_len()).then(|| net.addr()),
        Destination::Endpoint(address, _) => Some(*address),
        Destination::Port(_) | Destination::Name(_) => None,
    }
}

/// An address as events may have it: one of IPv4 also stands in one of IPv6.
fn forms(address: &IpAddr) -> Vec<Vec<u8>> {
    match address.to_canonical() {
        IpAddr::V4(address) => vec![address.octets().to_vec(), address.to_ipv6_mapped().octets().to_vec()],
        IpAddr::V6(address) => vec![address.octets().to_vec()],
    }
}

/// The kinds, whatever they hold, of which some events have this type.
fn kinds_of(name: &str) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = kinds().into_iter().filter(|kind| about(kind).verb == name).collect();
    match name {
        "create" | "write" | "read" | "path" => kinds.push(Kind::Open(v1::Open::default())),
        _ if FileAct::from_name(name).is_some() => kinds.push(Kind::File(v1::FileAct::default())),
        _ if SocketAct::from_name(name).is_some() => kinds.push(Kind::Socket(v1::SocketAct::default())),
        _ if TargetAct::from_name(name).is_some() => kinds.push(Kind::Target(v1::TargetAct::default())),
        _ if KernelAct::from_name(name).is_some() => kinds.push(Kind::Kernel(v1::KernelAct::default())),
        _ => {}
    }
    kinds
}

/// One of each kind.
fn kinds() -> [Kind; 22] {
    [
        Kind::Fork(v1::Fork::default()),
        Kind::Exec(v1::Exec::default()),
        Kind::ExecFailed(v1::ExecFailed::default()),
        Kind::Seed(v1::Seed::default()),
        Kind::StartedOutside(v1::StartedOutside::default()),
        Kind::Exit(v1::Exit::default()),
        Kind::CgroupMove(v1::CgroupMove::default()),
        Kind::CgroupMake(v1::CgroupMake::default()),
        Kind::CgroupRemove(v1::CgroupRemove::default()),
        Kind::Completeness(v1::Completeness::default()),
        Kind::Connect(v1::Connect::default()),
        Kind::Send(v1::Send::default()),
        Kind::Open(v1::Open::default()),
        Kind::Unlink(v1::Unlink::default()),
        Kind::Rename(v1::Rename::default()),
        Kind::File(v1::FileAct::default()),
        Kind::Socket(v1::SocketAct::default()),
        Kind::Unix(v1::UnixPeer::default()),
        Kind::Dns(v1::Dns::default()),
        Kind::TlsHello(v1::TlsHello::default()),
        Kind::Target(v1::TargetAct::default()),
        Kind::Kernel(v1::KernelAct::default()),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::block::{Checked, Packer};

    use super::*;
    use crate::{Search, about::VERBS};

    fn file(path: &str) -> Option<v1::File> {
        let path = v1::Path { text: path.to_owned(), ..v1::Path::default() };
        Some(v1::File { path: Some(path), key: None })
    }

    fn event(kind: Kind) -> v1::Event {
        let key = Some(v1::ProcessKey { tgid: 7, start_boot_ns: 1 });
        let process = v1::Process { key, executable: file("/usr/bin/cat"), ..v1::Process::default() };
        v1::Event { time_unix_ns: 50, process: Some(process), kind: Some(kind), ..v1::Event::default() }
    }

    fn block(event: &v1::Event) -> Checked {
        Checked::new(Packer::new().unwrap().pack([event]).unwrap().block.unwrap()).unwrap()
    }

    fn open(path: &str) -> v1::Event {
        event(Kind::Open(v1::Open { file: file(path), ..v1::Open::default() }))
    }

    fn connect(address: &[u8]) -> v1::Event {
        let destination = Some(v1::Endpoint { address: address.to_vec(), port: 443, protocol: 6 });
        event(Kind::Connect(v1::Connect { destination }))
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn searches() -> Vec<v1::Search> {
        let paths = ["/srv/p/a", "/srv/", "/srv/*/a", "~/p/a", "a", "*", "/s*/p/a", "{/srv,/x}/p/a", "/x"];
        let to = ["192.0.2.7", "192.0.2.0/24", "192.0.2.7:443", "443", "example.org", "::ffff:192.0.2.7"];
        let path = |path: &&str| v1::Search { paths: texts(&[path]), ..v1::Search::default() };
        let program = |path: &&str| v1::Search { programs: texts(&[path]), ..v1::Search::default() };
        let destination = |to: &&str| v1::Search { destinations: texts(&[to]), ..v1::Search::default() };
        let of_type = |name: &&str| v1::Search { types: texts(&[name]), ..v1::Search::default() };
        let mut all: Vec<v1::Search> = paths.iter().map(path).collect();
        all.extend(["/usr/bin/cat", "cat", "/usr/bin/", "dog"].iter().map(program));
        all.extend(to.iter().map(destination));
        all.extend(VERBS.iter().chain(&["chmod", "listen", "mount", "signal"]).map(of_type));
        all.extend([7, 8].map(|pid| v1::Search { pids: vec![pid], ..v1::Search::default() }));
        all.extend([(0, 49), (50, 50), (51, 99)].map(|(since, until)| v1::Search {
            since_unix_ns: Some(since),
            until_unix_ns: Some(until),
            ..v1::Search::default()
        }));
        all
    }

    /// What is skipped can never be missed.
    #[test]
    fn a_block_with_an_event_that_is_found_is_looked_into() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
        let mut events: Vec<v1::Event> = kinds().map(event).into();
        events.extend([open("/srv/p/a"), open("/etc/passwd"), connect(&[192, 0, 2, 7]), connect(&mapped)]);
        let act = |act: &str| v1::FileAct { act: act.to_owned(), ..v1::FileAct::default() };
        events.push(event(Kind::File(v1::FileAct { file: file("/srv/p/a"), ..act("chmod") })));
        let mut found = 0;
        for asked in searches() {
            for event in &events {
                if Search::new(&asked).unwrap().matches(event) {
                    found += 1;
                    assert!(question(&asked).may_be_in(&block(event)), "{asked:?} {event:?}");
                }
            }
        }
        assert!(found > 100, "{found}");
    }

    #[test]
    fn a_block_without_what_is_looked_for_needs_no_look() {
        let (open, connect) = (block(&open("/srv/p/a")), block(&connect(&[192, 0, 2, 7])));
        let path = |path| question(&v1::Search { paths: texts(&[path]), ..v1::Search::default() });
        for other in ["/srv/p/b", "/etc/", "/etc/**", "~/p/b", "b", "/srv/q/*", "/srv/p/a/*.rs"] {
            assert!(!path(other).may_be_in(&open), "{other}");
        }
        let to = |to| question(&v1::Search { destinations: texts(&[to]), ..v1::Search::default() });
        assert!(!to("192.0.2.8").may_be_in(&connect) && !to("192.0.2.8:443").may_be_in(&connect));
        let of = |name| question(&v1::Search { types: texts(&[name]), ..v1::Search::default() });
        assert!(!of("unlink").may_be_in(&open) && !of("chmod").may_be_in(&open));
        let late = v1::Search { since_unix_ns: Some(51), ..v1::Search::default() };
        assert!(!question(&late).may_be_in(&open));
        assert!(!question(&v1::Search { pids: vec![8], ..v1::Search::default() }).may_be_in(&open));
    }

    #[test]
    fn every_type_has_a_kind() {
        assert!(VERBS.iter().all(|name| !kinds_of(name).is_empty()));
    }
}
