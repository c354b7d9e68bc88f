//! Answers as text for a person and as JSON lines. Pure: messages in, text out.
//!
//! What an agent can choose (names, paths, arguments) is escaped before it reaches a terminal:
//! control characters and those that reorder text are shown, not obeyed.

mod part;

pub(crate) mod who;

mod act;

pub(crate) mod event;

mod executed;

pub(crate) mod nothing;

pub(crate) mod finding;

pub(crate) mod circumstances;

pub(crate) mod json;

pub(crate) mod report;

pub(crate) mod diff;

pub(crate) mod standing;

pub(crate) mod run;

pub(crate) mod status;

pub(crate) mod config;

pub(crate) mod archive;

pub(crate) mod replay;

pub(crate) mod rules;

pub(crate) mod table;

use anstyle::{AnsiColor, Style};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();

/// Rows of a list before the rest is summed up; the JSON report has them all.
const LIST_ROWS: usize = 12;

/// Three digits behind the point, and none that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `text` in a style. The reset is part of it.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Text that an agent may have chosen, safe for a terminal.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || reorders(c) {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Arguments as a shell would take them, safe for a terminal.
pub(crate) fn command_line<S: AsRef<str>>(arguments: &[S]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|argument| quote(argument.as_ref())).collect();
    quoted.join(" ")
}

fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
    let argument = safe(argument);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// Bidirectional controls, zero-width and line separators.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Nanoseconds for a person.
pub(crate) fn duration(ns: u64) -> String {
    let value = ns as f64;
    match ns {
        0..1_000_000 => format!("{:.0} µs", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", value / 1e6),
        _ => format!("{:.2} s", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_never_driven_by_what_an_agent_wrote() {
        assert_eq!(safe("a\x1b[2Jb\nc\u{202e}d\u{9b}é"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}d\\u{9b}é");
        assert_eq!(command_line(&["sh", "-c", "echo 'x'\x07", ""]), r"sh -c 'echo '\''x'\''\u{7}' ''");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        assert_eq!(duration(900), "1 µs");
        assert_eq!(duration(1_500_000), "1.5 ms");
        assert_eq!(duration(2_345_000_000), "2.35 s");
    }
}
