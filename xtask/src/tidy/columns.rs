//! Comments of Rust files and the prose of Markdown end at column 100.
//!
//! Not meant are tables, code and drawings in fences, headings, and words that no line can hold.

use crate::tidy::Finding;

const COLUMNS: usize = 100;
/// Made by a command, and compared with it by a test.
const GENERATED: [&str; 1] = ["docs/coverage.md"];

/// What is wrong with the file.
pub(super) fn check(file: &str, source: &str) -> Vec<Finding> {
    let text_of: fn(&str) -> Option<&str> = match file.rsplit_once('.') {
        Some((_, "rs")) => comment,
        Some((_, "md")) if !GENERATED.contains(&file) => |line| Some(line),
        _ => return Vec::new(),
    };
    let mut is_fenced = false;
    let mut findings = Vec::new();
    for (index, line) in source.lines().enumerate() {
        // A fence ends with the comment that it is in.
        let Some(text) = text_of(line) else {
            is_fenced = false;
            continue;
        };
        if text.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced && is_too_long(line, text) {
            findings.push(Finding {
                rule: "columns",
                place: file.to_owned(),
                line: Some(index + 1),
                what: format!("ends at column {}, prose ends at {COLUMNS}", line.chars().count()),
            });
        }
    }
    findings
}

/// The text of a line that is a comment and nothing else.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["//!", "///", "//"].iter().find_map(|mark| line.strip_prefix(mark))
}

fn is_too_long(line: &str, text: &str) -> bool {
    let text = text.trim_start();
    if line.chars().count() <= COLUMNS || text.starts_with('|') || text.starts_with('#') {
        return false;
    }
    // It can be broken where a word, behind the first, begins within the line.
    let first = line.len() - text.len();
    let words = line[first..].match_indices(' ').map(|(at, _)| line[..first + at].chars().count());
    words.min().is_some_and(|column| column <= COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, source: &str) -> Vec<Option<usize>> {
        check(file, source).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn comments_are_measured_and_code_is_not() {
        let long = "word ".repeat(21);
        let source = format!("//! {long}\nlet text = \"{long}\"; // x\n    /// {long}\n// short\n");
        assert_eq!(lines("a/src/x.rs", &source), [Some(1), Some(3)]);
        let at_the_limit = format!("// {}", "é".repeat(97));
        assert_eq!(lines("a/src/x.rs", &at_the_limit), [], "columns, not bytes");
    }

    #[test]
    fn tables_fences_headings_and_links_are_as_long_as_they_are() {
        let long = "word ".repeat(21);
        let link = format!("https://{}", "x".repeat(120));
        let page = format!("# {long}\n| {long} |\n```text\n{long}\n```\n{link}\n{long}\n");
        assert_eq!(lines("docs/x.md", &page), [Some(7)]);
        let comment = format!("//! ```text\n//! {long}\n//! ```\n/// {long}\n");
        assert_eq!(lines("a/src/x.rs", &comment), [Some(4)]);
        assert_eq!(lines("docs/coverage.md", &page), [], "generated");
        assert_eq!(lines("a/Cargo.toml", &page), []);
    }
}
