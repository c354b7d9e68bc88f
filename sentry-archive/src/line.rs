//! Lines of a list: which run each is of, and what it is called.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{ArchiveError, LINE_BYTES};

/// SHA-256 in hex.
pub(crate) fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a part without their newlines, each with its number from 1.
pub(crate) fn lines<'a>(
    name: &'a str,
    content: &'a [u8],
) -> impl Iterator<Item = Result<(u64, &'a [u8]), ArchiveError>> {
    content.split_inclusive(|byte| *byte == b'\n').zip(1..).map(move |(line, number)| {
        if line.len() > LINE_BYTES {
            return Err(ArchiveError::LongLine { name: name.to_owned(), line: number });
        }
        let whole = line.strip_suffix(b"\n");
        let whole = whole.ok_or_else(|| ArchiveError::OpenLine { name: name.to_owned(), line: number })?;
        Ok((number, whole))
    })
}

/// What of an event or a finding in OCSF, or of a gap, matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Ocsf {
    ai_agent: Option<AiAgent>,
    metadata: Option<Metadata>,
    #[serde(rename = "type")]
    of: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AiAgent {
    instance_uid: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    uid: String,
}

impl Ocsf {
    pub(crate) fn run(&self) -> &str {
        self.ai_agent.as_ref().map_or("", |agent| &agent.instance_uid)
    }

    pub(crate) fn id(self) -> String {
        self.metadata.map_or_else(String::new, |metadata| metadata.uid)
    }

    /// A hole in what was kept; it may concern several runs.
    pub(crate) fn is_gap(&self) -> bool {
        self.ai_agent.is_none() && self.of.as_deref() == Some("gap")
    }
}

/// A line of `decisions.jsonl`.
#[derive(Debug, Deserialize)]
pub(crate) struct Decision {
    pub(crate) id: String,
    pub(crate) run: String,
}

/// A line of `outcomes.jsonl`.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) decision: String,
    pub(crate) run: String,
}
