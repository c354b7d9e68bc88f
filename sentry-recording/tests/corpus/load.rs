//! The corpus, read and judged.

use std::{collections::BTreeMap, fs, path::PathBuf, thread};

use sentry_detect::{decision::Action, finding::Finding, rule::Settings};
use sentry_proto::v1::event::Kind;
use sentry_recording::{Recording, replay};
use serde::Deserialize;

/// What the manifest says of a recording, as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) label: Label,
    pub(crate) kind: String,
    pub(crate) half: Half,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Label {
    Benign,
    Runaway,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Half {
    Limits,
    Test,
}

/// A recording, judged by the limits of today.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) row: Row,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) freezes: u64,
    pub(crate) kills: u64,
    /// When it began to run away, Unix ns.
    pub(crate) onset: Option<u64>,
}

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus")
}

fn manifest() -> BTreeMap<String, Row> {
    toml::from_str(&fs::read_to_string(dir().join("manifest.toml")).unwrap()).unwrap()
}

pub(crate) fn names() -> Vec<String> {
    manifest().into_keys().collect()
}

pub(crate) fn recording(name: &str) -> Recording {
    Recording::read(fs::read(dir().join(name)).unwrap()).unwrap()
}

/// All of them, by name; on two threads.
pub(crate) fn all() -> Vec<Seen> {
    let rows: Vec<(String, Row)> = manifest().into_iter().collect();
    let (left, right) = rows.split_at(rows.len() / 2);
    thread::scope(|scope| {
        let left = scope.spawn(|| left.iter().cloned().map(seen).collect::<Vec<_>>());
        let right: Vec<_> = right.iter().cloned().map(seen).collect();
        left.join().unwrap().into_iter().chain(right).collect()
    })
}

fn seen((name, row): (String, Row)) -> Seen {
    let recording = recording(&name);
    let replay = replay(&recording, Some(&|_| Settings::default())).unwrap();
    assert!(replay.missing.is_nothing(), "{name}: {:?}", replay.missing);
    assert!(replay.readings > 0 && replay.events > 0, "{name}");
    let decided = |action| replay.decisions().filter(|decision| decision.action == action).count() as u64;
    let onset = onset(&recording);
    assert_eq!(onset.is_some(), row.label == Label::Runaway, "{name}");
    Seen {
        events: replay.events,
        seconds: replay.ended_unix_ns.saturating_sub(replay.began_unix_ns) as f64 / 1e9,
        findings: replay.findings().cloned().collect(),
        freezes: decided(Action::Freeze),
        kills: decided(Action::Kill),
        name: name.trim_end_matches(".rec").to_owned(),
        onset,
        row,
    }
}

/// When the file `onset` was made.
fn onset(recording: &Recording) -> Option<u64> {
    recording.blocks().find_map(|events| {
        let events = events.unwrap();
        let is_onset = |kind: &Option<Kind>| match kind {
            Some(Kind::Open(open)) => {
                let path = open.file.as_ref().and_then(|file| file.path.as_ref());
                open.created && path.is_some_and(|path| path.text.ends_with("/onset"))
            }
            _ => false,
        };
        let kind = events.kinds().position(|kind| is_onset(&kind.unwrap()))?;
        let place = (0..events.len()).find(|place| events.kind_place(*place) == Some(kind))?;
        Some(events.time_unix_ns(place))
    })
}

impl Seen {
    /// The first finding since the onset, and how long after it, s.
    pub(crate) fn found(&self) -> Option<(&Finding, f64)> {
        let onset = self.onset?;
        // A reading is in whole milliseconds.
        let since = self.findings.iter().find(|finding| finding.time_unix_ns + 1_000_000 > onset)?;
        Some((since, since.time_unix_ns.saturating_sub(onset) as f64 / 1e9))
    }
}
