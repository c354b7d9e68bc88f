//! A replay as text.

use sentry_view::{Decision, Finding, Judgement, ReplayHow, ReplayMissing};

use super::{BOLD, GREEN, RED, YELLOW, duration, finding, paint, report::many, safe};

/// A replay, as it is shown.
pub(crate) struct Shown {
    pub(crate) sum: sentry_view::Replay,
    pub(crate) then: Judged,
    pub(crate) now: Judged,
}

/// Findings and decisions, each in their order.
#[derive(Default)]
pub(crate) struct Judged {
    pub(crate) findings: Vec<Finding>,
    pub(crate) decisions: Vec<Decision>,
}

pub(crate) fn text(shown: &Shown) -> String {
    let sum = &shown.sum;
    let mut out = format!(
        "{} {} ({}), {} of it: {}, {}\n",
        paint(BOLD, "Replay of run"),
        safe(&sum.run),
        safe(&sum.agent),
        duration(sum.lasted_ms * 1_000_000),
        many(sum.events, "event", "events"),
        many(sum.readings, "reading", "readings"),
    );
    if sum.other_limits {
        out.push_str(&format!("\n{}\n", paint(BOLD, &format!("Then: {}", judgement(&sum.then)))));
        out.push_str(&judged(&shown.then));
        out.push_str(&format!(
            "\n{}\n",
            paint(BOLD, &format!("By other limits or rules: {}", judgement(&sum.now)))
        ));
        out.push_str(&judged(&shown.now));
        out.push_str(&missing(&sum.missing));
        return out;
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, &judgement(&sum.now))));
    out.push_str(&judged(&shown.now));
    out.push_str(&missing(&sum.missing));
    if sum.differences.is_empty() {
        out.push_str(&format!("\n{}\n", paint(GREEN, "The same as then.")));
        return out;
    }
    out.push_str(&format!("\n{}\n", paint(RED, "Not the same as then:")));
    for difference in &sum.differences {
        let how = match difference.how {
            ReplayHow::OnlyThen => "was made then, and not by the replay",
            ReplayHow::OnlyNow => "is made by the replay, and was not then",
            ReplayHow::Other => "says something else",
        };
        out.push_str(&format!("  {} {how}\n", safe(&difference.id)));
    }
    out
}

fn judgement(sum: &Judgement) -> String {
    let Judgement { findings, severe, freezes, kills } = *sum;
    format!(
        "{} ({severe} of high severity or above), {}, {}",
        many(findings, "finding", "findings"),
        many(freezes, "freeze", "freezes"),
        many(kills, "kill", "kills"),
    )
}

fn judged(judged: &Judged) -> String {
    let mut out = String::new();
    for found in &judged.findings {
        out.push_str(&finding::line(found));
        for decision in &judged.decisions {
            if decision.finding.as_ref() == Some(&found.id) {
                out.push_str(&format!("    {}", finding::decision_line(decision)));
            }
        }
    }
    for decision in judged.decisions.iter().filter(|decision| decision.finding.is_none()) {
        out.push_str(&finding::decision_line(decision));
    }
    out
}

fn missing(missing: &ReplayMissing) -> String {
    let ReplayMissing { events, parts, lives } = *missing;
    let missing = [
        (events, "event that detection saw is", "events that detection saw are"),
        (parts, "stretch of readings is", "stretches of readings are"),
        (lives, "life of the sensor is cut and", "lives of the sensor are cut and"),
    ];
    let missing = missing.into_iter().filter(|(count, _, _)| *count > 0);
    let lines = missing.map(|(count, one, more)| {
        let text = format!("{} not in the recording: what is found may differ", many(count, one, more));
        format!("{}\n", paint(YELLOW, &text))
    });
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}
