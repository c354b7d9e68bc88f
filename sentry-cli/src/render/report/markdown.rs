//! The report in GitHub-flavoured Markdown, whole, for an issue or a pull request.
//!
//! What an agent wrote stands in code spans alone, each with a fence that is longer than any in it:
//! there it is no markup, no link, and mentions nobody. Lists and no tables, where a bar in a code
//! span would end the cell.

use std::fmt::Write as _;

use sentry_view::{Activity, Change, ChangeKind, Place, Report, time};

use super::{
    super::{command_line, duration, safe},
    words,
};

/// The whole page. `head` is text whose lines may have anything in them.
pub(super) fn page(report: &Report, head: &str, tree: &str) -> String {
    let nothing = Activity::default();
    let activity = report.activity.as_ref().unwrap_or(&nothing);
    let mut lines = head.lines();
    let mut out = format!("# {}\n\n", code(lines.next().unwrap_or_default()));
    lines.for_each(|line| item(&mut out, &[code(line)]));
    findings(&mut out, report);
    changes(&mut out, activity);
    calls(&mut out, activity);
    sensitive(&mut out, activity);
    network(&mut out, activity);
    left(&mut out, activity);
    let programs = &activity.own_programs;
    section(&mut out, "Programs outside of the calls", programs, |tally| {
        vec![code(&tally.what), words::many(tally.count, "time", "times")]
    });
    if !tree.is_empty() {
        let fence = fence(tree, 3);
        put(&mut out, format_args!("\n## Processes\n\n{fence}text\n{}\n{fence}\n", tree.trim_end()));
    }
    out
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

/// More backticks than stand together in `text`, and not fewer than `least`.
fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(least.max(longest + 1))
}

/// Text as a code span. A space is needed where it begins or ends with a backtick, and taken away
/// again by who renders it.
fn code(text: &str) -> String {
    let text = safe(text);
    if text.trim().is_empty() {
        return "(empty)".into();
    }
    let fence = fence(&text, 1);
    let bare = |c| c == '`' || c == ' ';
    let space = if text.starts_with(bare) || text.ends_with(bare) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(code).collect::<Vec<_>>().join(", ")
}

/// One line of a list: parts that are Markdown already; empty ones are left out.
fn item(out: &mut String, parts: &[String]) {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    put(out, format_args!("- {}\n", parts.join(" · ")));
}

/// A heading with the number of rows, and a line for each.
fn section<T>(out: &mut String, title: &str, rows: &[T], parts: impl Fn(&T) -> Vec<String>) {
    put(out, format_args!("\n## {title} ({})\n\n", rows.len()));
    if rows.is_empty() {
        out.push_str("none\n");
    }
    rows.iter().for_each(|row| item(out, &parts(row)));
}

fn findings(out: &mut String, report: &Report) {
    section(out, "Findings", &report.found, |found| {
        vec![time::utc(found.time_unix_ns.0), code(&found.rule), code(&found.summary), code(&found.id)]
    });
}

fn changes(out: &mut String, activity: &Activity) {
    // What the agent was asked to work on comes first.
    let (here, other): (Vec<&Change>, Vec<&Change>) =
        activity.changes.iter().partition(|change| change.place == Place::Directory);
    let rows: Vec<&Change> = here.into_iter().chain(other).collect();
    section(out, "Changed files", &rows, |change| {
        let kind = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Modified => "modified",
            ChangeKind::Deleted => "deleted",
            ChangeKind::Renamed => "renamed",
            ChangeKind::Written => "written",
        };
        let from = change.from.as_deref().map(|from| format!("{} → ", code(from))).unwrap_or_default();
        let mode = change.mode.map(|mode| format!("mode {mode:04o}")).unwrap_or_default();
        let by = code(&words::by(&change.by, activity.agent.as_ref()));
        vec![format!("{kind} {from}{}", code(&change.path)), mode, by]
    });
}

fn calls(out: &mut String, activity: &Activity) {
    section(out, "Calls", &activity.calls, |call| {
        let lasted = call.lasted_ns.map(|lasted| duration(lasted.0)).unwrap_or_default();
        let found = codes(call.findings.iter().map(String::as_str));
        vec![
            format!("call {} {}", call.number, code(&call.command)),
            time::clock(call.started_unix_ns.0),
            lasted,
            words::exit(call.exit),
            if found.is_empty() { found } else { format!("found {found}") },
        ]
    });
}

fn sensitive(out: &mut String, activity: &Activity) {
    section(out, "Sensitive files", &activity.sensitive, |file| {
        vec![
            code(&file.path),
            code(&file.title),
            words::many(file.reads, "read", "reads"),
            words::many(file.writes, "write", "writes"),
            code(&words::by(&file.by, activity.agent.as_ref())),
        ]
    });
}

fn network(out: &mut String, activity: &Activity) {
    section(out, "Destinations", &activity.destinations, |one| {
        let name = one.name.as_deref().map(|name| format!("{} at ", code(name))).unwrap_or_default();
        let failed = if one.failed > 0 { format!("{} failed", one.failed) } else { String::new() };
        let moved = match (one.bytes_out, one.bytes_in) {
            (Some(sent), Some(got)) => format!("{} out, {} in", words::bytes(sent), words::bytes(got)),
            _ => String::new(),
        };
        let mut by: Vec<String> = Vec::new();
        for who in one.by.iter().map(|by| words::by(by, activity.agent.as_ref())) {
            if !by.contains(&who) {
                by.push(who);
            }
        }
        let attempts = words::many(one.attempts, "attempt", "attempts");
        let by = codes(by.iter().map(String::as_str));
        vec![format!("{name}{}", code(&one.remote)), attempts, failed, moved, by]
    });
    section(out, "Names looked up", &activity.lookups, |lookup| {
        let answer = match &lookup.failure {
            Some(failure) => code(failure),
            None => codes(lookup.addresses.iter().map(String::as_str)),
        };
        vec![code(&lookup.name), answer, words::many(lookup.count, "time", "times")]
    });
    section(out, "Listened on", &activity.listeners, |listener| {
        let open = if listener.is_open { "open" } else { "closed" };
        vec![code(&listener.local), open.into(), code(&words::by(&listener.by, activity.agent.as_ref()))]
    });
}

fn left(out: &mut String, activity: &Activity) {
    section(out, "Left behind", &activity.left, |left| {
        let state = if left.is_running { "still running" } else { "ended later" };
        let listens = codes(left.listens.iter().map(String::as_str));
        vec![
            code(&command_line(&left.command)),
            format!("pid {}", left.pid),
            if listens.is_empty() { listens } else { format!("listens on {listens}") },
            state.into(),
        ]
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_wrote_ends_no_code_span() {
        assert_eq!(code("cat a.txt | head"), "`cat a.txt | head`");
        assert_eq!(code("a ` b `` c"), "```a ` b `` c```");
        assert_eq!(code("`whoami`"), "`` `whoami` ``");
        assert_eq!(code("a\n# b\u{1b}[1m\u{202e}"), "`a\\u{a}# b\\u{1b}[1m\\u{202e}`");
        assert_eq!([code(""), code("  ")], ["(empty)", "(empty)"]);
        let page = page(&Report::default(), "x", "  1 ```\n</pre>");
        assert!(page.contains("\n````text\n  1 ```\n</pre>\n````\n"), "{page}");
    }
}
