//! A file that a run executed, with what was in it.

use serde_json::{Value, json};

use super::{event, object};
use crate::v1::{self, executed::Unknown};

/// `file` is an OCSF File, with `hashes` and `size` where they are known; else `unknown` says why not.
pub(super) fn render(executed: &v1::Executed) -> Value {
    let file = executed.file.as_ref();
    let mut rendered = object::file(file);
    let sha256 = sha256(executed);
    let unknown = sha256.is_none().then(|| name(executed.unknown()));
    if let Some(sha256) = sha256 {
        // OCSF's number of the algorithm.
        rendered["hashes"] = json!([{ "algorithm_id": 3, "algorithm": "SHA-256", "value": sha256 }]);
        rendered["size"] = executed.size_bytes.into();
    }
    json!({
        "file": rendered,
        "unknown": unknown,
        "executions": executed.executions,
        "unmapped": { "file": event::file_unmapped(file) },
    })
}

/// 64 hex digits; `None` where it is not known.
pub(super) fn sha256(executed: &v1::Executed) -> Option<String> {
    let digits = executed.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    (!executed.sha256.is_empty()).then_some(digits)
}

fn name(unknown: Unknown) -> String {
    let name = unknown.as_str_name();
    name.strip_prefix("UNKNOWN_").unwrap_or(name).to_ascii_lowercase()
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
