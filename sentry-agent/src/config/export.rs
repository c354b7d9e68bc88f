//! The `export` section: where the journal goes beside the collector. Each of its keys is a sink: a
//! type here, with its keys and defaults, and a file of [`crate::sink`].

use std::path::PathBuf;

use sentry_service::keys;
use serde::Deserialize;

use super::scalar::{AbsolutePath, StoreBytes, mib};

/// Targets of items other than the collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    pub file: Option<FileSink>,
}

/// A file of OCSF lines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "FileKeys")]
pub struct FileSink {
    pub path: PathBuf,
    /// A file that would be larger becomes the first of the older ones.
    pub max_bytes: u64,
    /// Older files that are kept.
    pub keep: u8,
}

const FILE_BYTES: u64 = 64 << 20;
const FILES_KEPT: u8 = 5;

keys! {
    pub(super) struct FileKeys {
        [needed path: AbsolutePath,
            || "where events and findings are written as [lines of OCSF](#a-file-of-ocsf-lines), beside the \
                collector"
                .into()]
        max_bytes: Option<StoreBytes>,
            || mib(FILE_BYTES),
            || "a file that would be larger becomes the first of the older ones".into();
        keep: Option<u8>,
            || format!("`{FILES_KEPT}`"),
            || "older files that are kept".into();
    }
}

impl From<FileKeys> for FileSink {
    fn from(keys: FileKeys) -> Self {
        let FileKeys { path, max_bytes, keep } = keys;
        Self {
            path: path.0,
            max_bytes: max_bytes.map_or(FILE_BYTES, |bytes| bytes.0),
            keep: keep.unwrap_or(FILES_KEPT),
        }
    }
}

/// The text of the example.
pub(super) fn example() -> String {
    let max_bytes = mib(FILE_BYTES);
    format!(
        "
# Beside the collector: events and findings as lines of OCSF in a file.
# export:
#   file: {{path: /var/log/agentsentry/events.jsonl, max_bytes: {max_bytes}, keep: {FILES_KEPT}}}
export: {{}}
"
    )
}
