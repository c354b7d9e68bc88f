//! The tree of processes: equal leaves side by side are folded.

use sentry_view::{Activity, ProcessRow, path::base_name};

use super::{
    super::{BOLD, DIM, RED, command_line, duration, paint, safe},
    form::Form,
    words,
};

pub(super) fn text(activity: &Activity, form: Form) -> String {
    let rows = &activity.processes;
    if rows.is_empty() {
        return String::new();
    }
    format!("{} ({})\n", paint(BOLD, "Processes"), rows.len()) + &self::rows(activity, form)
}

/// Without the title.
pub(super) fn rows(activity: &Activity, form: Form) -> String {
    let rows = &activity.processes;
    let (mut out, mut at) = (String::new(), 0);
    while let Some(row) = rows.get(at) {
        let equal = if form.all { 1 } else { equals(rows.get(at..).unwrap_or_default()) };
        out.push_str(&line(row, equal, form));
        at += equal;
    }
    out
}

/// How many leaves from here on are the same to a reader.
fn equals(rows: &[ProcessRow]) -> usize {
    let is_leaf = |at: usize| {
        rows.get(at).is_some_and(|row| rows.get(at + 1).is_none_or(|next| next.depth <= row.depth))
    };
    let Some(first) = rows.first() else { return 0 };
    let is_same = |row: &ProcessRow| {
        (row.depth, row.call, row.exit, &row.command) == (first.depth, first.call, first.exit, &first.command)
    };
    let mut count = 1;
    while is_leaf(0) && rows.get(count).is_some_and(is_same) && is_leaf(count) {
        count += 1;
    }
    count
}

fn line(row: &ProcessRow, count: usize, form: Form) -> String {
    // A chain of forks is deeper than a screen is wide.
    const DEEPEST: u32 = 20;
    let indent = "  ".repeat(row.depth.min(DEEPEST) as usize + 1);
    let call = row.call.map(|call| format!("[{call}] ")).unwrap_or_default();
    let times = if count > 1 { format!(" ×{count}") } else { String::new() };
    let is_bad = row.exit.is_some_and(|exit| !exit.is_success());
    let lasted = row.lasted_ns.map(|lasted| format!("  {}", duration(lasted.0))).unwrap_or_default();
    let end = format!("{}{lasted}", words::exit(row.exit));
    let command = match (row.executions, &row.program) {
        (0, Some(program)) => format!("({})", safe(base_name(program))),
        (0, None) => "(unknown)".into(),
        _ if row.command.is_empty() => safe(row.program.as_deref().unwrap_or("?")),
        _ => command_line(&row.command),
    };
    let taken = indent.len() + call.len() + times.chars().count() + end.chars().count() + 12;
    let width = if form.all { usize::MAX } else { form.width.saturating_sub(taken).max(24) };
    format!(
        "{indent}{}{}{times}  {}\n",
        paint(DIM, &format!("{:<7} {call}", row.pid)),
        words::cut(&command, width),
        paint(if is_bad { RED } else { DIM }, &end),
    )
}
