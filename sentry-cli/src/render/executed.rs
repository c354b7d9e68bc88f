//! What was in the files that a run executed.

use sentry_view::{Executed, Unknown};

use super::{BOLD, LIST_ROWS, paint, safe};

/// Nothing where executed files are not read.
pub(super) fn text(executed: &[Executed], unlisted: u64) -> String {
    if executed.is_empty() && unlisted == 0 {
        return String::new();
    }
    let mut out = format!("  {}\n", paint(BOLD, "SHA-256 of what ran"));
    for file in executed.iter().take(LIST_ROWS) {
        let digest = file
            .sha256
            .clone()
            .unwrap_or_else(|| format!("unknown: {}", why(file.unknown.unwrap_or_default())));
        let path = file.path.as_deref().map_or_else(|| "(unknown)".to_owned(), safe);
        out.push_str(&format!("    {:>6}×  {digest}  {path}\n", file.executions));
    }
    let rest = executed.get(LIST_ROWS..).unwrap_or_default();
    if !rest.is_empty() {
        let executions: u64 = rest.iter().map(|file| file.executions).sum();
        out.push_str(&format!("    {executions:>6}×  {} others\n", rest.len()));
    }
    if unlisted > 0 {
        out.push_str(&format!("    {unlisted:>6}×  not looked at\n"));
    }
    out
}

fn why(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::Unspecified => "no reason given",
        Unknown::Gone => "the file was gone",
        Unknown::Changed => "it may have been changed since",
        Unknown::FileSystem => "its file system does not record changes",
        Unknown::TooLarge => "the file is too large",
        Unknown::Unconfirmed => "its process may have executed it again",
        Unknown::NoObject => "only its name is known",
        Unknown::Unreadable => "the file cannot be read",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::v1::{self, executed::Unknown as Wire};

    use super::*;
    use crate::out::plain;

    #[test]
    fn golden_list() {
        let file = |path: &str| {
            let path = v1::Path { text: path.into(), ..v1::Path::default() };
            Some(v1::File { path: Some(path), key: None })
        };
        let known = v1::Executed {
            file: file("/usr/bin/\x1b[31mls"),
            sha256: vec![0xab; 32],
            size_bytes: 5,
            unknown: Wire::Unspecified.into(),
            executions: 12,
        };
        let gone = v1::Executed {
            file: file("/tmp/x"),
            unknown: Wire::Gone.into(),
            executions: 1,
            ..v1::Executed::default()
        };
        let executed = [(&known).into(), (&gone).into()];
        let expected = format!(
            "  SHA-256 of what ran
        12×  {}  /usr/bin/\\u{{1b}}[31mls
         1×  unknown: the file was gone  /tmp/x
         3×  not looked at
",
            "ab".repeat(32)
        );
        assert_eq!(plain(&text(&executed, 3)).unwrap(), expected);
        assert_eq!(text(&[], 0), "");
    }
}
