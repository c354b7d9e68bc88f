//! Real runs of real coding agents, as the sensor recorded them: each was asked by a loopback model
//! to write a file, append to another, read a secret, run a failing command, connect, and leave a
//! server behind.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{fs::File, path::Path};

use prost::Message as _;
use sentry_proto::v1::{self, item::Item};
use sentry_story::{Knowledge, Story};
use sentry_view::{Activity, Change, ChangeKind, Place};

/// The items of a run, each behind its length.
fn recorded(agent: &str) -> Activity {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{agent}.zst"));
    let bytes = zstd::decode_all(File::open(file).unwrap()).unwrap();
    let mut rest = bytes.as_slice();
    let knowledge = Knowledge::built_in().unwrap();
    let mut story = Story::new(&knowledge, &[]);
    while !rest.is_empty() {
        if let Some(Item::Event(event)) = v1::Item::decode_length_delimited(&mut rest).unwrap().item {
            story.event(&event);
        }
    }
    story.finish(&[])
}

/// Commands with their exit codes.
fn commands(activity: &Activity) -> Vec<(&str, Option<u32>)> {
    let exit = |call: &sentry_view::Call| call.exit.and_then(|exit| exit.code);
    activity.calls.iter().map(|call| (call.command.as_str(), exit(call))).collect()
}

/// Changes in the working directory, and the calls that made them.
fn changes(activity: &Activity) -> Vec<(ChangeKind, &str, Option<u32>)> {
    let here = activity.changes.iter().filter(|change| change.place == Place::Directory);
    here.map(|change: &Change| (change.kind, change.path.as_str(), change.by.call)).collect()
}

fn secrets(activity: &Activity) -> Vec<(&str, Option<u32>)> {
    let cloud = activity.sensitive.iter().filter(|file| file.class == "cloud");
    cloud.map(|file| (file.path.as_str(), file.by.call)).collect()
}

fn left(activity: &Activity) -> Vec<(&str, Option<u32>, &[String])> {
    let left = activity.left.iter();
    left.map(|left| (left.command[0].as_str(), left.call, left.listens.as_slice())).collect()
}

const A: &str = "/tmp/agents/project/a.txt";
const OUT: &str = "/tmp/agents/project/out.txt";
const SECRET: &str = "/tmp/agents/home/.aws/credentials";

#[test]
fn claude_code() {
    let activity = recorded("claude-code");
    assert_eq!(activity.agent.as_ref().unwrap().name, "claude-code");
    assert_eq!(
        commands(&activity),
        [
            ("echo more >> a.txt && ls | head -3", Some(0)),
            ("cat ~/.aws/credentials | wc -c", Some(0)),
            ("ls /does-not-exist", Some(2)),
            ("curl -s http://127.0.0.1:28111/hello", Some(0)),
            ("python3 -m http.server 18999 --bind 127.0.0.1 >/dev/null 2>&1 & echo started", Some(0)),
        ]
    );
    // Its tool Write is no process: the agent itself puts a new file in the place of the old one.
    let expected = [(ChangeKind::Modified, A, Some(1)), (ChangeKind::Written, OUT, None)];
    assert_eq!(changes(&activity), expected);
    assert_eq!(secrets(&activity), [(SECRET, Some(2))]);
    assert_eq!(left(&activity), [("python3", Some(5), &["127.0.0.1:18999 tcp".to_owned()][..])]);
}

#[test]
fn codex() {
    let activity = recorded("codex");
    assert_eq!(activity.agent.as_ref().unwrap().name, "codex");
    assert_eq!(
        commands(&activity),
        [
            ("printf %s 'hello\n' > /tmp/agents/project/out.txt", Some(0)),
            ("echo more >> a.txt && ls | head -3", Some(0)),
            ("cat ~/.aws/credentials | wc -c", Some(0)),
            ("ls /does-not-exist", Some(2)),
            ("curl -s http://127.0.0.1:28112/hello", Some(0)),
            ("python3 -m http.server 18999 --bind 127.0.0.1 >/dev/null 2>&1 & echo started", Some(0)),
        ]
    );
    let expected = [(ChangeKind::Modified, A, Some(2)), (ChangeKind::Added, OUT, Some(1))];
    assert_eq!(changes(&activity), expected);
    assert_eq!(secrets(&activity), [(SECRET, Some(3))]);
    // Codex ends what a command left before its own end.
    assert_eq!(left(&activity), []);
}

#[test]
fn gemini_cli() {
    let activity = recorded("gemini");
    assert_eq!(activity.agent.as_ref().unwrap().name, "gemini-cli");
    assert_eq!(
        commands(&activity),
        [
            ("echo more >> a.txt && ls | head -3", Some(0)),
            ("cat ~/.aws/credentials | wc -c", Some(0)),
            ("ls /does-not-exist", Some(2)),
            ("curl -s http://127.0.0.1:28113/hello", Some(0)),
            ("python3 -m http.server 18999 --bind 127.0.0.1 >/dev/null 2>&1 & echo started", Some(0)),
        ]
    );
    let expected = [(ChangeKind::Modified, A, Some(1)), (ChangeKind::Added, OUT, None)];
    assert_eq!(changes(&activity), expected);
    assert_eq!(secrets(&activity), [(SECRET, Some(2))]);
    assert_eq!(left(&activity), [("python3", Some(5), &["127.0.0.1:18999 tcp".to_owned()][..])]);
}
