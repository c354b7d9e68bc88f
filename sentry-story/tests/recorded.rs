//! Real runs of real coding agents, as the sensor recorded them.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use prost::Message as _;
use sentry_proto::v1::{self, item::Item};
use sentry_story::{Knowledge, Story};
use sentry_view::Activity;

fn recorded(agent: &str) -> Activity {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recorded/{agent}.zst"));
    let bytes = zstd::decode_all(std::fs::File::open(file).unwrap()).unwrap();
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

#[test]
fn show() {
    for agent in ["claude-code", "codex", "gemini"] {
        println!("{}", serde_json::to_string_pretty(&recorded(agent)).unwrap());
    }
}
