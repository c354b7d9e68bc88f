//! Parts of lines about events.

use nix::{errno::Errno, sys::signal::Signal};
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

/// ` (refused: EACCES)`, ` (failed: ENOENT)`.
pub(super) fn error(number: Option<u32>) -> String {
    let Some(number) = number else { return String::new() };
    let is_right = [Errno::EPERM, Errno::EACCES].contains(&Errno::from_raw(number.cast_signed()));
    format!(" ({}: {})", if is_right { "refused" } else { "failed" }, errno(number))
}

/// `ENOENT`, or the number of one that is not known here.
pub(super) fn errno(number: u32) -> String {
    match Errno::from_raw(number.cast_signed()) {
        Errno::UnknownErrno => format!("errno {number}"),
        name => format!("{name:?}"),
    }
}

/// `SIGTERM`, or the number of one without a name.
pub(super) fn signal(number: u32) -> String {
    let name = Signal::try_from(number.cast_signed()).map(Signal::as_str);
    name.map_or_else(|_unnamed| format!("signal {number}"), str::to_owned)
}

/// A family of sockets, as programs call it.
pub(super) fn family(number: u32) -> String {
    let names = [
        (1, "unix"),
        (2, "inet"),
        (10, "inet6"),
        (16, "netlink"),
        (17, "packet"),
        (38, "alg"),
        (40, "vsock"),
        (44, "xdp"),
    ];
    let name = names.into_iter().find(|(known, _)| *known == number).map(|(_, name)| name);
    name.map_or_else(|| format!("family {number}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_kernel_have_names() {
        assert_eq!(
            [error(Some(13)), error(Some(111)), error(None)],
            [" (refused: EACCES)", " (failed: ECONNREFUSED)", ""]
        );
        assert_eq!([errno(2), errno(9_999)], ["ENOENT", "errno 9999"]);
        assert_eq!([signal(15), signal(18), signal(40)], ["SIGTERM", "SIGCONT", "signal 40"]);
        assert_eq!([family(2), family(3)], ["inet", "family 3"]);
    }
}
