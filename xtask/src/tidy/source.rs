//! Rust source, cut into its parts.

/// A part of Rust source, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Comment(&'a str),
    /// A string literal, with its quotes.
    Text(&'a str),
    /// A name, a keyword or a number.
    Word(&'a str),
    /// `::`, or one other sign.
    Sign(&'a str),
    /// Space, a single character, or the mark of a lifetime.
    Other,
}

/// All parts in order, each with its line from 1 on.
pub(super) fn parts<'a>(source: &'a str) -> Vec<(usize, Part<'a>)> {
    let mut parts = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kind): (usize, fn(&'a str) -> Part<'a>) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Part::Comment)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), Part::Comment)
        } else if let Some(length) = raw_text(rest) {
            (length, Part::Text)
        } else if first == '"' {
            (text(rest), Part::Text)
        } else if first == '\'' {
            (character(rest), |_| Part::Other)
        } else if rest.starts_with("::") {
            (2, Part::Sign)
        } else if first.is_alphanumeric() || first == '_' {
            (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), Part::Word)
        } else if first.is_whitespace() {
            (first.len_utf8(), |_| Part::Other)
        } else {
            (first.len_utf8(), Part::Sign)
        };
        let (part, behind) = rest.split_at(length);
        parts.push((line, kind(part)));
        line += part.matches('\n').count();
        rest = behind;
    }
    parts
}

/// The length of a text with its quotes.
fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The same of a raw one.
fn raw_text(rest: &str) -> Option<usize> {
    let behind = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let marks = behind.len() - behind.trim_start_matches('#').len();
    let inside = behind[marks..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(marks));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(rest.len() - inside.len() + length)
}

/// The length of a character with its quotes, or of the mark of a lifetime.
fn character(rest: &str) -> usize {
    let mut all = rest.char_indices().skip(1);
    match (all.next(), all.next()) {
        (Some((_, '\\')), Some(_)) => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, parts};

    #[test]
    fn each_part_has_its_line() {
        let source = "// a\nx::y('\"');\nlet t = \"b // c\nd\"; /* e\n */ 'f\nr#\"g\"#";
        let found: Vec<_> = parts(source)
            .into_iter()
            .filter(|(_, part)| !matches!(part, Part::Other | Part::Sign(_)))
            .collect();
        let expected = [
            (1, Part::Comment("// a")),
            (2, Part::Word("x")),
            (2, Part::Word("y")),
            (3, Part::Word("let")),
            (3, Part::Word("t")),
            (3, Part::Text("\"b // c\nd\"")),
            (4, Part::Comment("/* e\n */")),
            (5, Part::Word("f")),
            (6, Part::Text("r#\"g\"#")),
        ];
        assert_eq!(found, expected);
    }
}
