//! A file that a run executed, with what was in it.

use serde_json::{Value, json};

use super::{event, object};
use crate::v1::{self, executed::Unknown};

/// `file` is an OCSF File, with `hashes` and `size` where they are known; else `unknown` says why not.
pub(super) fn render(executed: &v1::Executed) -> Value {
    let file = executed.file.as_ref();
    let mut rendered = object::file(file);
    let mut unknown = Value::Null;
    if executed.sha256.is_empty() {
        unknown = name(executed.unknown()).into();
    } else {
        // OCSF's number of the algorithm.
        rendered["hashes"] =
            json!([{ "algorithm_id": 3, "algorithm": "SHA-256", "value": hex(&executed.sha256) }]);
        rendered["size"] = executed.size_bytes.into();
    }
    json!({
        "file": rendered,
        "unknown": unknown,
        "executions": executed.executions,
        "unmapped": { "file": event::file_unmapped(file) },
    })
}

/// `sha256` as hex digits, in lower case.
fn hex(sha256: &[u8]) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::Unspecified => "unspecified",
        Unknown::Gone => "gone",
        Unknown::Changed => "changed",
        Unknown::FileSystem => "file_system",
        Unknown::TooLarge => "too_large",
        Unknown::Unreadable => "unreadable",
        Unknown::NoObject => "no_object",
        Unknown::Unconfirmed => "unconfirmed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed() -> v1::Executed {
        let path = v1::Path { text: "/usr/bin/curl".into(), source: 1, truncated: false };
        let key = v1::FileKey {
            device_major: 8,
            device_minor: 1,
            inode: 7,
            generation: 9,
            links: 1,
            mode: 0o100_755,
        };
        v1::Executed {
            file: Some(v1::File { path: Some(path), key: Some(key) }),
            sha256: vec![0xab; 32],
            size_bytes: 5,
            unknown: Unknown::Unspecified.into(),
            executions: 3,
        }
    }

    #[test]
    fn a_known_content_is_an_ocsf_fingerprint() {
        let expected = json!({
            "file": {
                "name": "curl",
                "path": "/usr/bin/curl",
                "type_id": 1,
                "type": "Regular File",
                "hashes": [{ "algorithm_id": 3, "algorithm": "SHA-256", "value": "ab".repeat(32) }],
                "size": 5,
            },
            "unknown": null,
            "executions": 3,
            "unmapped": { "file": {
                "path": { "source": "kernel", "truncated": false },
                "device": "8:1",
                "inode": "7",
                "generation": 9,
                "links": 1,
                "mode": "100755",
            } },
        });
        assert_eq!(render(&executed()), expected);
    }

    #[test]
    fn an_unknown_content_says_why() {
        let changed = v1::Executed { sha256: Vec::new(), unknown: Unknown::Changed.into(), ..executed() };
        let rendered = render(&changed);
        assert_eq!((&rendered["unknown"], rendered["file"].get("hashes")), (&json!("changed"), None));
    }
}
