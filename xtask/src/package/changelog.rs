//! Debian's form of `CHANGELOG.md`.

/// Longest line, as Debian's tools want it.
const WIDTH: usize = 79;

/// The package's history, newest first. What is not released yet is in the version that is packed.
/// The times of older versions are not known here, and are that of the packed one, too.
pub(super) fn debian(
    markdown: &str,
    package: &str,
    version: &str,
    maintainer: &str,
    mail_time: &str,
) -> String {
    let mut versions: Vec<(&str, Vec<String>)> = Vec::new();
    for section in markdown.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').unwrap_or((section, ""));
        let number = title.trim_start_matches('[').split(']').next().unwrap_or(title);
        let number = if number == "Unreleased" { version } else { number };
        match versions.last_mut() {
            Some((last, lines)) if *last == number => lines.extend(items(body)),
            _ => versions.push((number, items(body))),
        }
    }
    let entry = |(version, lines): &(&str, Vec<String>)| {
        let lines = lines.join("\n");
        format!(
            "{package} ({version}-1) unstable; urgency=medium\n\n{lines}\n\n -- {maintainer}  {mail_time}\n"
        )
    };
    versions.iter().map(entry).collect::<Vec<_>>().join("\n")
}

/// Headings in brackets, items as `  * …`, wrapped anew.
fn items(body: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut item = String::new();
    for line in body.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            wrap(&std::mem::take(&mut item), &mut lines);
            lines.push(format!("  [ {heading} ]"));
        } else if let Some(begin) = line.strip_prefix("- ") {
            wrap(&std::mem::take(&mut item), &mut lines);
            begin.clone_into(&mut item);
        } else if !item.is_empty() {
            item.push(' ');
            item.push_str(line.trim());
        }
    }
    wrap(&item, &mut lines);
    lines
}

fn wrap(item: &str, lines: &mut Vec<String>) {
    let mut line = "  *".to_owned();
    let plain = item.replace("**", "").replace('`', "");
    let mut words = plain.split_whitespace().peekable();
    if words.peek().is_none() {
        return;
    }
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line.trim().len() > 1 {
            lines.push(std::mem::replace(&mut line, "   ".to_owned()));
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_become_versions_and_items_are_wrapped() {
        let markdown = "# Changelog\n\nIntroduction.\n\n## [Unreleased]\n\n### Added\n\n- One `thing` that \
            is\n  new.\n\
                        - **Another** thing, about which a whole lot is said so that it does not fit a line \
                        of Debian's.\n\n\
                        ## [0.1.0] - 2026-01-02\n\n### Fixed\n\n- All.\n";
        assert_eq!(
            debian(markdown, "agentsentry", "0.2.0", "A <a@b>", "Mon, 30 Nov 2026 00:00:00 +0000"),
            "agentsentry (0.2.0-1) unstable; urgency=medium\n\n  [ Added ]\n  * One thing that is new.\n  \
             * Another thing, about which a whole lot is said so that it does not fit a\n    line of \
             Debian's.\n\n -- A <a@b>  Mon, 30 Nov 2026 00:00:00 +0000\n\n\
             agentsentry (0.1.0-1) unstable; urgency=medium\n\n  [ Fixed ]\n  * All.\n\n \
             -- A <a@b>  Mon, 30 Nov 2026 00:00:00 +0000\n"
        );
    }
}
