//! What differs from before the run, as `git status` shows it.

use std::collections::BTreeMap;

use sentry_view::{Activity, Change, ChangeKind, Place};

use super::{
    super::{BOLD, DIM, GREEN, RED, YELLOW, paint, safe},
    form::Form,
    words,
};

/// Rows of files outside of the working directory; those in it are never cut.
const ELSEWHERE_ROWS: usize = 12;

pub(super) fn text(activity: &Activity, form: Form) -> String {
    let directory = activity.directory.as_deref();
    let (here, other): (Vec<&Change>, Vec<&Change>) =
        activity.changes.iter().partition(|change| change.place == Place::Directory);
    let place = directory.map(|path| format!(" in {}", safe(path))).unwrap_or_default();
    let mut out = paint(BOLD, &format!("Changed{place}"));
    if here.is_empty() {
        out.push_str(&format!("  {}\n", paint(DIM, "nothing")));
    } else {
        out.push_str(&format!(" ({})\n", here.len()));
    }
    here.iter().for_each(|change| out.push_str(&row(change, activity, form)));
    let elsewhere: Vec<&&Change> =
        other.iter().filter(|change| form.all || change.place == Place::Elsewhere).collect();
    if !elsewhere.is_empty() {
        out.push_str(&format!("{} ({})\n", paint(BOLD, "Changed elsewhere"), elsewhere.len()));
        let rows = if form.all { elsewhere.len() } else { ELSEWHERE_ROWS };
        for change in elsewhere.iter().take(rows) {
            out.push_str(&row(change, activity, form));
        }
        if let Some(more) = elsewhere.len().checked_sub(rows).filter(|more| *more > 0) {
            out.push_str(&format!("  {}\n", paint(DIM, &format!("and {more} more; --all lists them"))));
        }
    }
    if !form.all {
        out.push_str(&folded(&other, activity));
    }
    out
}

fn row(change: &Change, activity: &Activity, form: Form) -> String {
    let (style, letter) = match change.kind {
        ChangeKind::Added => (GREEN, "A"),
        ChangeKind::Modified => (YELLOW, "M"),
        ChangeKind::Deleted => (RED, "D"),
        ChangeKind::Renamed => (YELLOW, "R"),
        ChangeKind::Written => (YELLOW, "W"),
    };
    let directory = activity.directory.as_deref();
    let short = |path: &str| safe(words::below(path, directory));
    let mut name = change.from.as_deref().map(|from| format!("{} → ", short(from))).unwrap_or_default();
    name.push_str(&short(&change.path));
    if change.is_directory {
        name.push('/');
    }
    if let Some(mode) = change.mode {
        name.push_str(&format!(" (mode {mode:04o})"));
    }
    let by = words::by(&change.by, activity.agent.as_ref());
    let room = form.width.saturating_sub(by.chars().count() + 6);
    format!("  {} {name:<room$}  {}\n", paint(style, letter), paint(DIM, &by))
}

/// What a reader wants to know of, but not to read: one line.
fn folded(other: &[&Change], activity: &Activity) -> String {
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    for change in other {
        let what = match change.place {
            Place::Git => "in .git",
            Place::AgentState => "of the agent's own state",
            Place::Cache => "in caches",
            Place::Temporary => "in temporary folders",
            Place::Directory | Place::Elsewhere => continue,
        };
        *places.entry(what).or_default() += 1;
    }
    let mut parts: Vec<String> = places.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
    if activity.temporary > 0 {
        parts.push(format!("{} made and removed again", activity.temporary));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("  {}\n", paint(DIM, &format!("not listed: {}", parts.join(", "))))
}
