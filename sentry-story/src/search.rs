//! Which events a person is looking for.
//!
//! All conditions that are given have to hold; of several values of one condition, one. The sensor
//! evaluates them for the command line, so that they come from a request: every part is checked and
//! bounded.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sentry_detect::{act::FileAct, needles::literal};
use sentry_proto::{
    block::{Sieve, Sift},
    v1::{self, event::Kind},
};

use crate::{
    about::{VERBS, about, is_type},
    destination::Destination,
    error::DataError,
    network::address_of,
    places::Places,
    text::{path_of, pattern},
};

/// Values of one condition.
const VALUES: usize = 100;
/// Addresses of the names that are looked for.
const RESOLVED: usize = 10_000;
/// Bytes of one value.
const VALUE_BYTES: usize = 4 << 10;

/// Why a search cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    #[error("there is no type `{name}`; types are {known}, and acts such as chmod, listen or mount")]
    Type { name: String, known: String },
    #[error("`{glob}` is no path pattern")]
    Glob { glob: String, source: globset::Error },
    #[error("a search has more than {VALUES} values of one kind, or one of more than {VALUE_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Data(#[from] DataError),
}

/// A search, ready to be asked about events.
#[derive(Clone, Debug)]
pub struct Search {
    since_unix_ns: u64,
    until_unix_ns: u64,
    types: Vec<String>,
    paths: Option<GlobSet>,
    /// One of them stands in every path that is looked for; none where that is not known.
    literals: Vec<String>,
    programs: Option<GlobSet>,
    destinations: Vec<Destination>,
    pids: Vec<u32>,
    uids: Vec<u32>,
    /// Addresses that names which are looked for led to, as far as the events went.
    resolved: HashSet<IpAddr>,
    /// Where libraries and what programs read to start are left out.
    without: Option<Places>,
}

impl Search {
    /// # Errors
    ///
    /// A type does not exist, a pattern is broken, or there are too many values.
    pub fn new(asked: &v1::Search) -> Result<Self, SearchError> {
        let texts = [&asked.types, &asked.paths, &asked.programs, &asked.destinations];
        let is_too_large = texts
            .into_iter()
            .any(|texts| texts.len() > VALUES || texts.iter().any(|text| text.len() > VALUE_BYTES));
        if is_too_large || asked.pids.len() > VALUES || asked.uids.len() > VALUES {
            return Err(SearchError::TooLarge);
        }
        if let Some(unknown) = asked.types.iter().find(|name| !is_type(name)) {
            return Err(SearchError::Type { name: unknown.clone(), known: VERBS.join(", ") });
        }
        Ok(Self {
            since_unix_ns: asked.since_unix_ns.unwrap_or(0),
            until_unix_ns: asked.until_unix_ns.unwrap_or(u64::MAX),
            types: asked.types.clone(),
            paths: globs(&asked.paths)?,
            literals: literals(&asked.paths).unwrap_or_default(),
            programs: globs(&asked.programs)?,
            destinations: asked.destinations.iter().map(|text| Destination::read(text)).collect(),
            pids: asked.pids.clone(),
            uids: asked.uids.clone(),
            resolved: HashSet::new(),
            without: if asked.without_libraries { Some(Places::built_in()?) } else { None },
        })
    }

    /// Whether the event is one of those that are looked for. Events come in their order: a name
    /// that was looked up stands for its addresses from then on.
    pub fn matches(&mut self, event: &v1::Event) -> bool {
        if let Some(Kind::Dns(dns)) = &event.kind {
            self.learn(dns);
        }
        let (kind, process) = (event.kind.as_ref(), event.process.as_ref());
        (self.since_unix_ns..=self.until_unix_ns).contains(&event.time_unix_ns)
            && self.is_by(process)
            && self.is_of_type(kind)
            && self.is_at_path(kind, process)
            && self.is_to(kind)
            && !self.is_left_out(kind)
    }

    fn is_by(&self, process: Option<&v1::Process>) -> bool {
        let pid = process.and_then(|process| process.key).map(|key| key.tgid);
        let program = process.and_then(|process| path_of(process.executable.as_ref()));
        let holds = |values: &[u32], value: Option<u32>| {
            values.is_empty() || value.is_some_and(|value| values.contains(&value))
        };
        holds(&self.pids, pid)
            && holds(&self.uids, process.and_then(|process| process.uid))
            && self.programs.as_ref().is_none_or(|globs| program.is_some_and(|path| globs.is_match(path)))
    }

    /// The same search, asked of each kind and each process of a block. `None` where a name is
    /// looked for: any event may say which addresses it has.
    #[must_use]
    pub fn sieve(&self) -> Option<Sieve> {
        let has_names = self.destinations.iter().any(|wanted| matches!(wanted, Destination::Name(_)));
        let literals = self.literals.iter().map(String::as_str);
        (!has_names).then(|| Sieve::new(Arc::new(self.clone())).with_one_of(literals))
    }

    fn is_of_type(&self, kind: Option<&Kind>) -> bool {
        self.types.is_empty()
            || kind.is_some_and(|kind| {
                let about = about(kind);
                let names = [Some(about.verb), about.act];
                self.types.iter().any(|name| names.contains(&Some(name.as_str())))
            })
    }

    fn is_at_path(&self, kind: Option<&Kind>, process: Option<&v1::Process>) -> bool {
        self.paths.as_ref().is_none_or(|globs| {
            let executed = process.filter(|_process| matches!(kind, Some(Kind::Exec(_))));
            let executed = executed.and_then(|process| path_of(process.executable.as_ref()));
            let paths = kind.iter().flat_map(|kind| about(kind).paths).flatten();
            paths.chain(executed).any(|path| globs.is_match(path))
        })
    }

    fn is_to(&self, kind: Option<&Kind>) -> bool {
        self.destinations.is_empty()
            || kind.is_some_and(|kind| {
                let about = about(kind);
                let address = about.endpoint.and_then(address_of);
                self.destinations.iter().any(|wanted| wanted.is(about.endpoint, about.name))
                    || address.is_some_and(|address| self.resolved.contains(&address))
            })
    }

    fn learn(&mut self, dns: &v1::Dns) {
        let is_wanted = self.destinations.iter().any(|wanted| wanted.is(None, Some(&dns.name)));
        if is_wanted && self.resolved.len() < RESOLVED {
            self.resolved.extend(dns.answers.iter().filter_map(|answer| answer.parse::<IpAddr>().ok()));
        }
    }

    fn is_left_out(&self, kind: Option<&Kind>) -> bool {
        let (Some(places), Some(Kind::Open(open))) = (&self.without, kind) else {
            return matches!((&self.without, kind), (Some(_), Some(Kind::File(act)))
                if act.act == FileAct::MapExecute.name());
        };
        let writes = open.created || open.intent.is_some_and(|intent| intent.write);
        !writes && path_of(open.file.as_ref()).is_some_and(|path| places.is_system(path))
    }
}

impl Sift for Search {
    fn kind(&self, kind: Option<&Kind>) -> bool {
        // The path of an exec is its process's.
        let is_exec = matches!(kind, Some(Kind::Exec(_)));
        self.is_of_type(kind)
            && (is_exec || self.is_at_path(kind, None))
            && self.is_to(kind)
            && !self.is_left_out(kind)
    }

    fn process(&self, process: Option<&v1::Process>) -> bool {
        self.is_by(process)
    }
}

/// The longest text that each pattern has in every path that it matches. `None`: one has none.
fn literals(patterns: &[String]) -> Option<Vec<String>> {
    patterns.iter().map(|text| literal(&pattern(text))).collect()
}

/// `None` where there are none.
fn globs(texts: &[String]) -> Result<Option<GlobSet>, SearchError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for text in texts {
        let error = |source| SearchError::Glob { glob: text.clone(), source };
        set.add(
            GlobBuilder::new(&pattern(text))
                .literal_separator(true)
                .empty_alternates(true)
                .build()
                .map_err(error)?,
        );
    }
    let error = |source| SearchError::Glob { glob: texts.join(" "), source };
    set.build().map(Some).map_err(error)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn event(kind: Kind) -> v1::Event {
        let key = Some(v1::ProcessKey { tgid: 7, start_boot_ns: 1 });
        let executable = file("/usr/bin/cat");
        let process = v1::Process { key, executable, uid: Some(1000), ..v1::Process::default() };
        v1::Event { time_unix_ns: 50, process: Some(process), kind: Some(kind), ..v1::Event::default() }
    }

    fn file(path: &str) -> Option<v1::File> {
        Some(v1::File { path: Some(v1::Path { text: path.into(), ..v1::Path::default() }), key: None })
    }

    fn read(path: &str) -> v1::Event {
        let intent = Some(v1::OpenIntent { read: true, ..v1::OpenIntent::default() });
        event(Kind::Open(v1::Open { file: file(path), intent, ..v1::Open::default() }))
    }

    fn connect(address: [u8; 4], port: u32) -> v1::Event {
        let destination = Some(v1::Endpoint { address: address.to_vec(), port, protocol: 6 });
        event(Kind::Connect(v1::Connect { destination }))
    }

    fn matches(asked: v1::Search, event: &v1::Event) -> bool {
        Search::new(&asked).unwrap().matches(event)
    }

    fn words(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_search_for_nothing_finds_everything() {
        assert!(matches(v1::Search::default(), &read("/a")));
        assert!(matches(v1::Search::default(), &v1::Event::default()));
    }

    #[test]
    fn paths_are_globs() {
        let at = |glob: &str, path| {
            matches(v1::Search { paths: words(&[glob]), ..v1::Search::default() }, &read(path))
        };
        for (glob, path, expected) in [
            ("~/.aws/*", "/home/u/.aws/credentials", true),
            ("~/.aws/*", "/home/u/.awsome/credentials", false),
            ("*.rs", "/srv/p/src/main.rs", true),
            ("/srv/", "/srv/p/a", true),
            ("/srv/*", "/srv/p/a", false),
            ("/srv/**", "/srv/p/a", true),
        ] {
            assert_eq!(at(glob, path), expected, "{glob} {path}");
        }
        assert!(!matches(
            v1::Search { paths: words(&["*"]), ..v1::Search::default() },
            &connect([1, 2, 3, 4], 1)
        ));
    }

    #[test]
    fn destinations_are_addresses_networks_ports_and_names() {
        let to = |text: &str, event: &v1::Event| {
            matches(v1::Search { destinations: words(&[text]), ..v1::Search::default() }, event)
        };
        let connect = connect([192, 0, 2, 7], 443);
        for (text, expected) in [
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("192.0.2.0/24", true),
            ("10.0.0.0/8", false),
            ("192.0.2.7:443", true),
            ("192.0.2.7:80", false),
            (":443", true),
            ("443", true),
            ("80", false),
            ("example.org", false),
        ] {
            assert_eq!(to(text, &connect), expected, "{text}");
        }
        let name = "www.Example.org".to_owned();
        let hello = event(Kind::TlsHello(v1::TlsHello { server_name: name, ..v1::TlsHello::default() }));
        assert!(to("example.org", &hello) && to("*.example.org", &hello) && to("www.example.org", &hello));
        assert!(!to("ample.org", &hello) && !to("org.example", &hello));
    }

    #[test]
    fn a_name_that_was_looked_up_stands_for_its_addresses() {
        let asked = v1::Search { destinations: words(&["example.org"]), ..v1::Search::default() };
        let mut search = Search::new(&asked).unwrap();
        let connect = connect([192, 0, 2, 7], 443);
        assert!(!search.matches(&connect));
        let dns = v1::Dns {
            answer: true,
            name: "www.example.org".into(),
            answers: words(&["192.0.2.7", "not an address"]),
            ..v1::Dns::default()
        };
        assert!(search.matches(&event(Kind::Dns(dns))));
        assert!(search.matches(&connect));
    }

    #[test]
    fn types_are_the_words_of_the_list_and_the_acts() {
        let of = |name: &str, event: &v1::Event| {
            matches(v1::Search { types: words(&[name]), ..v1::Search::default() }, event)
        };
        assert!(of("read", &read("/a")) && !of("write", &read("/a")));
        let intent = Some(v1::OpenIntent { path_only: true, ..v1::OpenIntent::default() });
        let place = event(Kind::Open(v1::Open { file: file("/a"), intent, ..v1::Open::default() }));
        assert!(of("path", &place) && !of("read", &place), "O_PATH reads nothing");
        let chmod = event(Kind::File(v1::FileAct { act: "chmod".into(), ..v1::FileAct::default() }));
        assert!(of("file", &chmod) && of("chmod", &chmod) && !of("mkdir", &chmod));
        let unknown = Search::new(&v1::Search { types: words(&["reed"]), ..v1::Search::default() });
        assert!(matches!(unknown, Err(SearchError::Type { name, .. }) if name == "reed"));
    }

    #[test]
    fn every_condition_has_to_hold() {
        let asked = || v1::Search {
            since_unix_ns: Some(50),
            until_unix_ns: Some(50),
            pids: vec![7],
            uids: vec![1000],
            programs: words(&["cat"]),
            types: words(&["read"]),
            ..v1::Search::default()
        };
        assert!(matches(asked(), &read("/a")));
        for other in [
            v1::Search { since_unix_ns: Some(51), ..asked() },
            v1::Search { until_unix_ns: Some(49), ..asked() },
            v1::Search { pids: vec![8], ..asked() },
            v1::Search { uids: vec![0], ..asked() },
            v1::Search { programs: words(&["dog"]), ..asked() },
        ] {
            assert!(!matches(other.clone(), &read("/a")), "{other:?}");
        }
    }

    #[test]
    fn libraries_can_be_left_out() {
        let asked = v1::Search { without_libraries: true, ..v1::Search::default() };
        assert!(!matches(asked.clone(), &read("/usr/lib/x86_64-linux-gnu/libc.so.6")));
        assert!(matches(asked.clone(), &read("/srv/a")));
        let map = v1::FileAct { act: "map_exec".into(), ..v1::FileAct::default() };
        assert!(!matches(asked, &event(Kind::File(map))));
    }

    #[test]
    fn a_sieve_lets_through_what_matches_and_what_only_the_event_decides() {
        let asked = v1::Search { paths: words(&["/usr/bin/cat"]), pids: vec![7], ..v1::Search::default() };
        let search = Search::new(&asked).unwrap();
        let sieved = |event: &v1::Event| {
            (search.kind(event.kind.as_ref()), Sift::process(&search, event.process.as_ref()))
        };
        assert_eq!(sieved(&read("/usr/bin/cat")), (true, true));
        assert_eq!(sieved(&read("/usr/bin/dog")), (false, true));
        // The path of an exec is known with its process only.
        assert_eq!(sieved(&event(Kind::Exec(v1::Exec::default()))), (true, true));
        let other =
            v1::Process { key: Some(v1::ProcessKey { tgid: 8, start_boot_ns: 1 }), ..Default::default() };
        assert_eq!((search.process(Some(&other)), search.process(None)), (false, false));
        assert!(search.sieve().is_some());
        let named = v1::Search { destinations: words(&["example.org"]), ..v1::Search::default() };
        assert!(Search::new(&named).unwrap().sieve().is_none(), "a name is learned from any event");
    }

    #[test]
    fn a_search_is_bounded() {
        let many = v1::Search { pids: vec![1; VALUES + 1], ..v1::Search::default() };
        let long = v1::Search { paths: vec!["x".repeat(VALUE_BYTES + 1)], ..v1::Search::default() };
        for asked in [many, long] {
            assert!(matches!(Search::new(&asked), Err(SearchError::TooLarge)));
        }
        let broken = v1::Search { paths: words(&["[a"]), ..v1::Search::default() };
        assert!(matches!(Search::new(&broken), Err(SearchError::Glob { .. })));
    }
}
