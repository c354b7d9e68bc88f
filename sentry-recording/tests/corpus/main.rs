//! The recordings of `tests/corpus`, judged by the rules and limits of today: what
//! `docs/detection.md` says. With `UPDATE_DOCS=1` the test writes it.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod load;

mod page;

mod score;

use std::{collections::BTreeSet, fs, path::Path};

use sentry_detect::rule::Settings;
use sentry_proto::v1::event::Kind;
use sentry_recording::replay;

use crate::load::{Label, Seen, all, recording};

const PAGE: &str = "../docs/detection.md";
/// What a recording may name: the system's own places, and the home of nobody.
const PLACES: &[&str] = &[
    "/bin",
    "/dev",
    "/etc",
    "/home/corpus",
    "/home/dev",
    "/lib",
    "/lib64",
    "/opt",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
];

#[test]
fn no_benign_run_would_be_killed_and_the_page_says_what_the_corpus_shows() {
    let corpus = all();
    let killed = |seen: &&Seen| seen.row.label == Label::Benign && seen.kills > 0;
    let killed: Vec<&str> = corpus.iter().filter(killed).map(|seen| seen.name.as_str()).collect();
    assert_eq!(killed, [""; 0]);

    let page = page::of(&corpus);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    assert!(committed == page, "docs/detection.md is another: run this test again with UPDATE_DOCS=1");
}

#[test]
fn a_recording_gives_the_same_bytes_a_hundred_times() {
    for (name, times) in [("fork-bomb-300.rec", 100), ("exec-loop-4.rec", 5)] {
        let recording = recording(name);
        let lines = replay(&recording, None).unwrap().lines().unwrap();
        assert!(!lines.is_empty(), "{name} has no finding");
        for _ in 0..times {
            assert_eq!(replay(&recording, None).unwrap().lines().unwrap(), lines);
        }
    }
}

#[test]
fn other_limits_find_something_else() {
    let recording = recording("exec-loop-4.rec");
    let blind = || {
        let limits = r#"{"exec_loop_execs_per_s": 1000000.0}"#;
        serde_json::from_str::<Settings>(limits).unwrap()
    };
    let then = replay(&recording, Some(&|_| Settings::default())).unwrap();
    let now = replay(&recording, Some(&|_| blind())).unwrap();
    assert_eq!(then.events, now.events);
    let rules = |replay: &sentry_recording::Replay| -> BTreeSet<String> {
        replay.findings().map(|finding| finding.signal.rule.to_string()).collect()
    };
    assert!(rules(&then).contains("exec-loop") && !rules(&now).contains("exec-loop"), "{:?}", rules(&now));
}

#[test]
fn a_recording_names_no_place_of_who_made_it() {
    let mut foreign = BTreeSet::new();
    for name in load::names() {
        for events in recording(&name).blocks() {
            let events = events.unwrap();
            for process in events.processes() {
                let process = process.unwrap();
                let files = process.executable.into_iter().filter_map(|file| file.path);
                let paths = files.chain(process.cwd).map(|path| path.text);
                let argv = process.argv.into_iter().flat_map(|argv| argv.arguments);
                // A word such as `/u` may be a pattern.
                let argv = argv.filter(|word| word.starts_with('/') && word[1..].contains('/'));
                foreign.extend(paths.chain(argv).filter(is_foreign));
            }
            for kind in events.kinds() {
                if let Some(Kind::Open(open)) = kind.unwrap() {
                    let path = open.file.and_then(|file| file.path).map(|path| path.text);
                    foreign.extend(path.filter(is_foreign));
                }
            }
        }
    }
    assert_eq!(foreign, BTreeSet::new());
}

fn is_foreign(path: &String) -> bool {
    let is_below =
        |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // A cgroup has the name of what made it.
    let is_cgroup = path.strip_prefix("/sys/fs/cgroup/").is_some_and(|rest| rest.split('/').count() > 2);
    path.starts_with('/') && path != "/" && (is_cgroup || !PLACES.iter().any(|place| is_below(place)))
}
