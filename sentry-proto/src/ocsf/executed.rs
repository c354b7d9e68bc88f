//! A file that a run executed, with what was in it.

use sentry_view::{Executed, Ocsf, Unknown};
use serde_json::{Map, Value, json};

use super::{body::file_unmapped, object};
use crate::v1;

impl From<&v1::Executed> for Executed {
    fn from(executed: &v1::Executed) -> Self {
        let file = executed.file.as_ref();
        let mut rendered = object::file(file);
        let sha256 = sha256(executed);
        let unknown = sha256.is_none().then(|| executed.unknown().into());
        if let Some(sha256) = &sha256 {
            // OCSF's number of the algorithm.
            rendered["hashes"] = json!([{ "algorithm_id": 3, "algorithm": "SHA-256", "value": sha256 }]);
            rendered["size"] = executed.size_bytes.into();
        }
        Self {
            path: file.and_then(|file| file.path.as_ref()).map(|path| path.text.clone()),
            sha256,
            unknown,
            executions: executed.executions,
            file: Ocsf(members(rendered)),
            unmapped: Ocsf(members(json!({ "file": file_unmapped(file) }))),
        }
    }
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// 64 hex digits; `None` where it is not known.
fn sha256(executed: &v1::Executed) -> Option<String> {
    let digits = executed.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    (!executed.sha256.is_empty()).then_some(digits)
}

impl From<v1::executed::Unknown> for Unknown {
    fn from(unknown: v1::executed::Unknown) -> Self {
        use v1::executed::Unknown as Wire;
        match unknown {
            Wire::Unspecified => Self::Unspecified,
            Wire::Gone => Self::Gone,
            Wire::Changed => Self::Changed,
            Wire::FileSystem => Self::FileSystem,
            Wire::TooLarge => Self::TooLarge,
            Wire::Unreadable => Self::Unreadable,
            Wire::NoObject => Self::NoObject,
            Wire::Unconfirmed => Self::Unconfirmed,
        }
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
            unknown: v1::executed::Unknown::Unspecified.into(),
            executions: 3,
        }
    }

    #[test]
    fn a_known_content_is_an_ocsf_fingerprint() {
        let expected = json!({
            "path": "/usr/bin/curl",
            "sha256": "ab".repeat(32),
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
        assert_eq!(json!(Executed::from(&executed())), expected);
    }

    #[test]
    fn an_unknown_content_says_why() {
        let changed =
            v1::Executed { sha256: Vec::new(), unknown: v1::executed::Unknown::Changed.into(), ..executed() };
        let rendered = json!(Executed::from(&changed));
        assert_eq!((&rendered["unknown"], rendered["file"].get("hashes")), (&json!("changed"), None));
    }
}
