//! Tool calls, what they left behind, and what the agent did by itself.

use sentry_view::{Activity, Call, CallKind, CallSource, Change, Place, Tally, path::base_name, time};

use super::{
    super::{BOLD, DIM, RED, YELLOW, command_line, duration, paint, safe},
    form::Form,
    words,
};

/// Calls before the rest is summed up.
const CALL_ROWS: usize = 50;
/// Names in a line of effects.
const NAMES: usize = 4;

pub(super) fn text(activity: &Activity, form: Form) -> String {
    let calls = &activity.calls;
    if calls.is_empty() {
        return String::new();
    }
    let how = match (calls.first().map(|call| call.source), &activity.agent) {
        (Some(CallSource::ProcessArguments), Some(agent)) => {
            format!("{}'s, recognized by their process arguments", safe(&agent.title))
        }
        _ => "each program that the run's first process started".to_owned(),
    };
    let mut out = format!("{} ({}) {}\n", paint(BOLD, "Calls"), calls.len(), paint(DIM, &how));
    let rows = if form.all || form.calls { calls.len() } else { CALL_ROWS };
    for call in calls.iter().take(rows) {
        out.push_str(&row(call, form));
        out.push_str(&effects(call, activity, form));
    }
    if let Some(more) = calls.len().checked_sub(rows).filter(|more| *more > 0) {
        out.push_str(&format!("  {}\n", paint(DIM, &format!("and {more} more; --calls lists them"))));
    }
    out
}

fn row(call: &Call, form: Form) -> String {
    let lasted = call.lasted_ns.map_or_else(String::new, |lasted| duration(lasted.0));
    let exit = words::exit(call.exit);
    let is_good = call.exit.is_none_or(sentry_view::Exit::is_success);
    let kind = match call.kind {
        CallKind::Command => "",
        CallKind::McpServer => "MCP server: ",
    };
    let width = if form.calls || form.all { usize::MAX } else { form.width.saturating_sub(40).max(30) };
    format!(
        "  {:>2}  {}  {lasted:>8}  {}  {kind}{}\n",
        call.number,
        paint(DIM, &time::clock(call.started_unix_ns.0)),
        paint(if is_good { DIM } else { RED }, &format!("{exit:<7}")),
        paint(BOLD, &words::cut(&call.command, width)),
    )
}

/// The results of a call, indented below it.
fn effects(call: &Call, activity: &Activity, form: Form) -> String {
    let is_its = |by: &sentry_view::By| by.call == Some(call.number);
    let changed: Vec<String> = activity
        .changes
        .iter()
        .filter(|change| is_its(&change.by))
        .filter(|change| form.all || !matches!(change.place, Place::AgentState | Place::Git))
        .map(|change: &Change| safe(words::below(&change.path, activity.directory.as_deref())))
        .collect();
    let secrets: Vec<String> = activity
        .sensitive
        .iter()
        .filter(|file| is_its(&file.by))
        .map(|file| format!("{} ({})", safe(&file.path), safe(&file.title)))
        .collect();
    let reached: Vec<String> = activity
        .destinations
        .iter()
        .filter(|destination| destination.by.iter().any(is_its))
        .map(|destination| safe(destination.name.as_deref().unwrap_or(&destination.remote)))
        .collect();
    let listens: Vec<String> = activity
        .listeners
        .iter()
        .filter(|listener| is_its(&listener.by))
        .map(|listener| safe(&listener.local))
        .collect();
    let mut parts = Vec::new();
    let mut part = |what: &str, names: &[String]| {
        if !names.is_empty() {
            parts.push(format!("{what} {}", some(names, form)));
        }
    };
    part("changed", &changed);
    if form.calls || form.all {
        let read: Vec<String> =
            call.read.iter().map(|path| safe(words::below(path, activity.directory.as_deref()))).collect();
        part("read", &read);
    }
    part("reached", &reached);
    part("listens on", &listens);
    let mut out = String::new();
    if !secrets.is_empty() {
        out.push_str(&format!("        {}\n", paint(YELLOW, &format!("secret {}", some(&secrets, form)))));
    }
    if !call.findings.is_empty() {
        out.push_str(&format!("        {}\n", paint(RED, &format!("found {}", some(&call.findings, form)))));
    }
    if !parts.is_empty() {
        out.push_str(&format!("        {}\n", parts.join(" · ")));
    }
    if form.calls || form.all {
        let processes = words::many(call.processes, "process", "processes");
        let programs = programs(&call.programs, usize::MAX);
        out.push_str(&format!("        {}\n", paint(DIM, &format!("{processes}: {programs}"))));
    }
    out
}

fn some(names: &[String], form: Form) -> String {
    let rows = if form.all || form.calls { names.len() } else { NAMES };
    let shown: Vec<&str> = names.iter().take(rows).map(String::as_str).collect();
    let more = names.len().saturating_sub(rows);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn programs(programs: &[Tally], rows: usize) -> String {
    let name = |tally: &Tally| {
        let name = safe(base_name(&tally.what));
        if tally.count > 1 { format!("{name} ×{}", tally.count) } else { name }
    };
    let mut names: Vec<String> = programs.iter().take(rows).map(name).collect();
    if programs.len() > rows {
        names.push(format!("{} more", programs.len() - rows));
    }
    names.join(", ")
}

/// Processes that outlived the first one.
pub(super) fn left(activity: &Activity, form: Form) -> String {
    if activity.left.is_empty() {
        return String::new();
    }
    let mut out = format!("{} ({})\n", paint(BOLD, "Left behind"), activity.left.len());
    for left in &activity.left {
        let state = if left.is_running { paint(YELLOW, "still running") } else { paint(DIM, "ended later") };
        let call = left.call.map(|call| format!(", call {call}")).unwrap_or_default();
        let listens = if left.listens.is_empty() {
            String::new()
        } else {
            format!(", listens on {}", safe(&left.listens.join(", ")))
        };
        let command = words::cut(&command_line(&left.command), form.width.saturating_sub(4).max(40));
        out.push_str(&format!("  {command}\n      pid {}{call}{listens}, {state}\n", left.pid));
    }
    out
}

/// What the agent did outside of its calls.
pub(super) fn own(activity: &Activity, form: Form) -> String {
    if activity.own_programs.is_empty() {
        return String::new();
    }
    let processes = words::many(activity.own_processes, "process", "processes");
    let of = activity.agent.as_ref().map_or("the first process", |agent| agent.title.as_str());
    let title = paint(BOLD, &format!("By {} itself", safe(of)));
    if form.all {
        let mut out = format!("{title}  {processes}\n");
        for tally in &activity.own_programs {
            out.push_str(&format!("  {:>6}×  {}\n", tally.count, safe(&tally.what)));
        }
        return out;
    }
    format!("{title}  {processes}: {}\n", programs(&activity.own_programs, 6))
}
