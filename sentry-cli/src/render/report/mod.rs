//! The report of a run, in the order of a reader's questions: how it ended, what it changed, what
//! it ran, which secrets and destinations it touched, what was found, what it left behind, and
//! whether the record has it all.

mod form;

mod words;

mod calls;

mod changes;

mod head;

mod network;

mod record;

mod tree;

mod html;

mod markdown;

use sentry_view::{Action, Activity, Report};

use super::{
    BOLD, DIM, GREEN, executed, finding, paint,
    who::{asked_by, short},
};

pub(crate) use form::Form;
pub(super) use record::limits;
pub(crate) use words::many;
pub(super) use words::{bytes, cut, exit};

pub(crate) fn text(report: &Report, form: Form) -> String {
    let nothing = Activity::default();
    let known = report.activity.as_ref();
    let activity = known.unwrap_or(&nothing);
    let mut out = head::text(report, activity, form);
    out.push_str(&record::books(report));
    out.push_str(&findings(report));
    if known.is_some() {
        out.push_str(&changes::text(activity, form));
        out.push_str(&calls::text(activity, form));
        out.push_str(&executed::text(&report.executed, report.executed_unlisted));
        out.push_str(&network::sensitive(activity, form));
        out.push_str(&network::text(activity, form));
    } else {
        out.push_str(&executed::text(&report.executed, report.executed_unlisted));
        out.push_str(&unread(report));
    }
    out.push_str(&acts(report));
    out.push_str(&calls::left(activity, form));
    out.push_str(&calls::own(activity, form));
    out.push_str(&tree::text(activity, form));
    out.push_str(&record::limits(&report.limits));
    out.push_str(&next(report, activity, form));
    out
}

/// Where the reading of the run's events was interrupted.
fn unread(report: &Report) -> String {
    let Some(run) = &report.run else { return String::new() };
    let rings = [run.rings.critical, run.rings.bulk].into_iter().flatten();
    let events = words::many(rings.map(|ring| ring.delivered).sum(), "event", "events");
    let id = short(&run.id);
    let text =
        format!("calls, files and network: {events} left out, interrupted; `sentry report {id}` reads them");
    format!("{}  {text}\n", paint(BOLD, "Not shown"))
}

/// Only the tree of processes, below a head that says whose it is.
pub(crate) fn tree(report: &Report, form: Form) -> String {
    let Some(activity) = &report.activity else { return String::new() };
    head::text(report, activity, form) + &tree::text(activity, form)
}

/// The report as one page for a browser.
pub(crate) fn html(report: &Report) -> String {
    html::page(report, &whole_head(report))
}

/// The report for an issue or a pull request; with the processes, where it has them.
pub(crate) fn markdown(report: &Report) -> String {
    let whole = Form { width: 120, all: true, ..Form::default() };
    let tree = report.activity.as_ref().map(|activity| tree::rows(activity, whole)).unwrap_or_default();
    markdown::page(report, &whole_head(report), &strip(&tree))
}

/// How it ended, what it was and whether its record has it all, without colours.
fn whole_head(report: &Report) -> String {
    let nothing = Activity::default();
    let activity = report.activity.as_ref().unwrap_or(&nothing);
    let head = head::text(report, activity, Form { all: true, ..Form::default() });
    strip(&(head + &record::books(report)))
}

fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn findings(report: &Report) -> String {
    let title = paint(BOLD, "Findings");
    if report.found.is_empty() {
        return format!("{title}  {}\n", paint(GREEN, "none"));
    }
    let mut out = format!("{title} ({})\n", report.found.len());
    for found in &report.found {
        for line in finding::line(found).lines() {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

fn acts(report: &Report) -> String {
    // To observe is what a finding alone leads to: it stands with the findings.
    let acts = || report.outcomes.iter().filter(|outcome| outcome.action != Action::Observe);
    if acts().next().is_none() {
        return String::new();
    }
    let mut out = format!("{}\n", paint(BOLD, "Acts"));
    for outcome in acts() {
        let decision = report.decisions.iter().find(|decision| decision.id == outcome.decision);
        let who = decision.map(|decision| format!("  {}", asked_by(decision))).unwrap_or_default();
        out.push_str(&format!("  {}{who}\n", finding::outcome_line(outcome).trim_end()));
    }
    out
}

/// What to type next.
fn next(report: &Report, activity: &Activity, form: Form) -> String {
    let Some(run) = &report.run else { return String::new() };
    let id = short(&run.id);
    let mut hints = Vec::new();
    if !report.found.is_empty() {
        hints.push(format!("sentry explain {}", report.found.last().map_or("", |found| &found.id)));
    }
    if !form.calls && !activity.calls.is_empty() {
        hints.push(format!("sentry report {id} --calls"));
    }
    hints.push(format!("sentry events --run {id}"));
    format!("{}  {}\n", paint(BOLD, "Next"), paint(DIM, &hints.join(" · ")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests;
