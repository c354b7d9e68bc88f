//! Parts of lines about events.

use sentry_proto::v1;

use super::safe;

pub(super) fn path_of(file: Option<&v1::File>) -> String {
    file.and_then(|file| file.path.as_ref()).map_or_else(|| "?".into(), path)
}

/// A path that is only the program's own word is marked.
pub(super) fn path(path: &v1::Path) -> String {
    let cut = if path.truncated { "…" } else { "" };
    let mark = if path.source() == v1::path::Source::Argument { " (as given)" } else { "" };
    format!("{cut}{}{mark}", safe(&path.text))
}

pub(super) fn attempt(attempt: bool) -> &'static str {
    if attempt { " (attempt)" } else { "" }
}

/// ` (refused: EACCES)`.
pub(super) fn error(errno: Option<u32>) -> String {
    let Some(errno) = errno else { return String::new() };
    let name = i32::try_from(errno).map(nix::errno::Errno::from_raw);
    match name {
        Ok(name) if name != nix::errno::Errno::UnknownErrno => format!(" (refused: {name:?})"),
        _ => format!(" (refused: errno {errno})"),
    }
}
