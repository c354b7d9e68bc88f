//! How the run ended, and what it was.

use sentry_view::{Action, Activity, Exit, OutcomeResult, Report, Run, RunState, time};

use super::{
    super::{
        BOLD, DIM, GREEN, RED, YELLOW, command_line, duration, paint,
        part::signal,
        run, safe,
        who::{asked_by, short},
    },
    form::Form,
    words,
};

pub(super) fn text(report: &Report, activity: &Activity, form: Form) -> String {
    let Some(of) = &report.run else { return String::new() };
    let mut out = format!("{} {}\n", paint(BOLD, &safe(run::name(of))), ending(report, activity, of));
    let directory = activity.directory.as_deref().map(|path| format!(" · in {}", safe(path)));
    out.push_str(&format!(
        "{}\n",
        paint(
            DIM,
            &format!(
                "run {} · {} · uid {}{} · {}",
                safe(&of.id),
                of.mode.name(),
                of.uid,
                directory.unwrap_or_default(),
                time::utc(of.started_unix_ns.0)
            )
        )
    ));
    // A tagged cgroup has no command.
    if !of.command.is_empty() {
        let line = command_line(&of.command);
        let line = if form.all { line } else { words::cut(&line, form.width.saturating_sub(11).max(60)) };
        let cut = if of.command_truncated { paint(YELLOW, " … (cut)") } else { String::new() };
        out.push_str(&format!("{}  {line}{cut}\n", paint(BOLD, "Command")));
    }
    if let Some(container) = &of.container {
        out.push_str(&format!("{}  {}\n", paint(BOLD, "Container"), run::container(container)));
        if let Some(image) = &container.image {
            out.push_str(&format!("{}  {}\n", paint(BOLD, "Image"), safe(image)));
        }
    }
    let counters = of.counters;
    out.push_str(&format!(
        "{}  {}, {}, {}, {}, {} for writing\n",
        paint(BOLD, "Counted"),
        words::many(counters.execs, "exec", "execs"),
        words::many(counters.processes_born + counters.processes_entered, "process", "processes"),
        words::many(counters.connects + counters.sends, "connect or send", "connects and sends"),
        words::many(counters.opens, "open", "opens"),
        counters.opens_for_write,
    ));
    out
}

/// `ended 0 after 3.07 s`, `KILLED after 4.72 s by rule exec-loop: …`.
fn ending(report: &Report, activity: &Activity, of: &Run) -> String {
    let after = of.ended_unix_ns.map(|end| duration(end.0.saturating_sub(of.started_unix_ns.0)));
    let killed = report
        .outcomes
        .iter()
        .rev()
        .find(|outcome| outcome.action == Action::Kill && outcome.result == OutcomeResult::Applied);
    if let (Some(outcome), Some(after)) = (killed, &after) {
        let decision = report.decisions.iter().find(|decision| decision.id == outcome.decision);
        let who = decision.map(|decision| format!(" {}", asked_by(decision))).unwrap_or_default();
        let finding = decision.and_then(|decision| decision.finding.as_ref());
        let why = finding
            .and_then(|id| report.found.iter().find(|found| found.id == *id))
            .map(|found| format!(": {}", safe(&found.summary)))
            .unwrap_or_default();
        return format!("{} after {after}{who}{why}", paint(RED, "KILLED"));
    }
    match (of.state, after) {
        (RunState::Frozen, _) => {
            format!("is {}: `sentry thaw {}` lets it go on", paint(RED, "FROZEN"), short(&of.id))
        }
        (_, None) => match activity.ended {
            Some(exit) => format!("{} and left processes behind that are still running", how(exit)),
            None => "is still running".into(),
        },
        (_, Some(after)) if of.end_unseen => {
            format!("ended while the sensor was away, after {after} at most")
        }
        (_, Some(after)) => match activity.ended {
            Some(exit) => format!("{} after {after}", how(exit)),
            None => format!("ended after {after}"),
        },
    }
}

fn how(exit: Exit) -> String {
    match exit {
        Exit { signal: Some(number), .. } => paint(RED, &format!("ended by {}", signal(number))),
        exit if exit.is_success() => paint(GREEN, "ended 0"),
        Exit { code, .. } => paint(RED, &format!("ended {}", code.unwrap_or_default())),
    }
}
