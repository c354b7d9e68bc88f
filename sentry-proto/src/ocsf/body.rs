//! What an object has beyond the common part, and how files stand there.

use serde_json::{Value, json};

use super::{
    base::{Activity, Class, exact},
    object,
};
use crate::v1;

/// The members of one class beyond the common part.
pub(super) struct Body {
    pub(super) class: Class,
    pub(super) activity: Activity,
    /// Members of the object itself.
    pub(super) members: Value,
    /// Members of `unmapped`, beyond those every event has.
    pub(super) unmapped: Value,
}

pub(super) fn file(activity: Activity, act: &str, file: Option<&v1::File>, attempt: bool) -> Body {
    let mut members = json!({ "file": object::file(file) });
    if !attempt {
        members["status_id"] = 1.into();
        members["status"] = "Success".into();
    }
    Body {
        class: Class::FileSystem,
        activity,
        members,
        unmapped: json!({ "act": act, "attempt": attempt, "file": file_unmapped(file) }),
    }
}

pub(super) fn file_unmapped(file: Option<&v1::File>) -> Value {
    let mut unmapped = json!({});
    let Some(file) = file else { return unmapped };
    if let Some(path) = &file.path {
        unmapped["path"] = path_trust(path);
    }
    if let Some(key) = &file.key {
        unmapped["device"] = format!("{}:{}", key.device_major, key.device_minor).into();
        unmapped["inode"] = exact(key.inode);
        unmapped["generation"] = key.generation.into();
        unmapped["links"] = key.links.into();
        unmapped["mode"] = format!("{:o}", key.mode).into();
    }
    unmapped
}

/// How far the text of a path can be believed.
pub(super) fn path_trust(path: &v1::Path) -> Value {
    let source = match v1::path::Source::try_from(path.source) {
        Ok(v1::path::Source::Kernel) => "kernel",
        Ok(v1::path::Source::Argument) => "argument",
        Ok(v1::path::Source::Unspecified) | Err(prost::UnknownEnumValue(_)) => "unknown",
    };
    json!({ "source": source, "truncated": path.truncated })
}
