//! Findings: as lines of a list, and explained.

use anstyle::Style;
use sentry_proto::v1;
use sentry_view::{Action, Decision, Finding, Mode, Outcome, OutcomeResult, Severity, time};

use super::{BOLD, DIM, GREEN, RED, YELLOW, duration, event, paint, safe};

/// One finding of a list.
pub(crate) fn line(finding: &Finding) -> String {
    let name = finding.agent.as_ref().map_or("", |agent| agent.name.as_str());
    let gap = if finding.complete { "" } else { " (records were lost before)" };
    format!(
        "{}  {}  {:<12}  {}  {}{gap}\n    {}\n",
        paint(DIM, &time::utc(finding.time_unix_ns.0)),
        severity(finding.severity),
        safe(name),
        paint(BOLD, &safe(&finding.rule)),
        safe(&finding.summary),
        paint(DIM, &safe(&finding.id)),
    )
}

fn severity(severity: Severity) -> String {
    let (style, text) = match severity {
        Severity::Unknown => (DIM, "?       "),
        Severity::Informational => (DIM, "info    "),
        Severity::Low => (Style::new(), "low     "),
        Severity::Medium => (YELLOW, "medium  "),
        Severity::High => (RED, "high    "),
        Severity::Critical => (RED, "critical"),
    };
    paint(style, text)
}

/// All there is to say about one finding.
#[derive(Debug, Default)]
pub(crate) struct Explained {
    pub(crate) finding: Option<Finding>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) outcomes: Vec<Outcome>,
    /// Of the evidence, what is still kept.
    pub(crate) events: Vec<v1::Event>,
}

pub(crate) fn explain(explained: &Explained) -> String {
    let mut out = String::new();
    if let Some(finding) = &explained.finding {
        out.push_str(&line(finding));
        out.push_str(&format!(
            "\nThe behaviour began {} before the finding; confidence {:.2}.\n",
            duration(finding.time_unix_ns.0.saturating_sub(finding.since_unix_ns.0)),
            finding.confidence
        ));
        out.push_str(&arithmetic(finding));
        if !finding.tags.is_empty() {
            out.push_str(&format!("\nTags: {}\n", safe(&finding.tags.join(", "))));
        }
        out.push_str(&format!(
            "\nEvidence: {} events, {} still kept\n",
            finding.evidence.len(),
            explained.events.len()
        ));
        for event in &explained.events {
            out.push_str(&format!("  {}", event::line(event)));
        }
    }
    if !explained.decisions.is_empty() {
        out.push_str("\nDecisions\n");
    }
    for decision in &explained.decisions {
        out.push_str(&format!("  {}", decision_line(decision)));
        for outcome in explained.outcomes.iter().filter(|outcome| outcome.decision == decision.id) {
            out.push_str(&format!("    {}", outcome_line(outcome)));
        }
    }
    out
}

fn arithmetic(finding: &Finding) -> String {
    let mut out = String::from("\nArithmetic\n");
    let width = finding.arithmetic.iter().map(|term| term.name.chars().count()).max().unwrap_or(0);
    for term in &finding.arithmetic {
        let limit = term.limit.map(|limit| format!("  (limit {})", number(limit))).unwrap_or_default();
        let unit = if term.unit.is_empty() { String::new() } else { format!(" {}", safe(&term.unit)) };
        out.push_str(&format!("  {:<width$}  {}{unit}{limit}\n", safe(&term.name), number(term.value)));
    }
    out
}

/// Three digits behind the point, and none that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn decision_line(decision: &Decision) -> String {
    let mode = if decision.mode == Mode::Enforce { "enforce" } else { "observe" };
    format!(
        "{}  {} ({mode}) by {}: {}\n",
        paint(DIM, &time::clock(decision.time_unix_ns.0)),
        paint(BOLD, decision.action.name()),
        safe(&decision.origin),
        safe(&decision.reason)
    )
}

pub(crate) fn outcome_line(outcome: &Outcome) -> String {
    let verb = outcome.action.name();
    let many =
        format!("{} {}", outcome.processes, if outcome.processes == 1 { "process" } else { "processes" });
    let took = duration(outcome.took_ns);
    let text = match outcome.result {
        OutcomeResult::Applied if outcome.action == Action::Kill => {
            paint(GREEN, &format!("killed {many} in {took}, {} survivors", outcome.survivors))
        }
        OutcomeResult::Applied => paint(GREEN, &format!("{verb}: done and verified for {many} in {took}")),
        OutcomeResult::WouldApply => {
            paint(YELLOW, &format!("{verb}: would have reached {many} (observe mode)"))
        }
        OutcomeResult::Refused => paint(YELLOW, &format!("{verb}: refused: {}", safe(&outcome.why))),
        OutcomeResult::Failed => paint(RED, &format!("{verb}: failed: {}", safe(&outcome.why))),
        OutcomeResult::Unknown => format!("{verb}: a result of a newer sensor"),
    };
    format!("{text}\n")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
    use sentry_proto::v1::outcome::Result as WireResult;

    use super::*;
    use crate::out::plain;

    pub(crate) fn finding() -> v1::Finding {
        v1::Finding {
            id: "r-f-1".into(),
            run: "r".into(),
            agent: Some(v1::Agent { id: "demo".into(), name: "demo".into() }),
            time_unix_ns: 1_763_664_723_000_000_000,
            since_unix_ns: 1_763_664_720_500_000_000,
            rule: "cpu-spin".into(),
            confidence: 0.914,
            severity: v1::Severity::High.into(),
            summary: "1.9 cores for 2.5 s with 3 distinct acts".into(),
            arithmetic: vec![
                v1::Term { name: "cores".into(), value: 1.9, unit: String::new(), limit: Some(0.8) },
                v1::Term { name: "variety".into(), value: 0.125, unit: "ratio".into(), limit: None },
            ],
            evidence: vec!["r-c-1".into(), "r-c-2".into()],
            tags: vec!["attack:T1496".into()],
            complete: true,
        }
    }

    pub(crate) fn kill(result: WireResult) -> v1::Outcome {
        v1::Outcome {
            decision: "r-d-2".into(),
            run: "r".into(),
            action: v1::Action::Kill.into(),
            result: result.into(),
            why: String::new(),
            time_unix_ns: 1_763_664_723_100_000_000,
            took_ns: 12_300_000,
            processes: 17,
            survivors: 0,
        }
    }

    #[test]
    fn golden_explanation() {
        let explained = Explained {
            finding: Some((&finding()).into()),
            decisions: vec![Decision::from(&v1::Decision {
                id: "r-d-2".into(),
                run: "r".into(),
                action: v1::Action::Kill.into(),
                mode: v1::Mode::Enforce.into(),
                finding: Some("r-f-1".into()),
                origin: "detector:cpu-spin".into(),
                reason: "too much".into(),
                time_unix_ns: 1_763_664_723_050_000_000,
            })],
            outcomes: vec![(&kill(WireResult::Applied)).into()],
            events: Vec::new(),
        };
        assert_eq!(
            plain(&explain(&explained)).unwrap(),
            "2025-11-20 18:52:03.000Z  high      demo          cpu-spin  1.9 cores for 2.5 s with 3 distinct \
            acts
    r-f-1

The behaviour began 2.50 s before the finding; confidence 0.91.

Arithmetic
  cores    1.9  (limit 0.8)
  variety  0.125 ratio

Tags: attack:T1496

Evidence: 2 events, 0 still kept

Decisions
  18:52:03.050  kill (enforce) by detector:cpu-spin: too much
    killed 17 processes in 12.3 ms, 0 survivors
"
        );
    }

    #[test]
    fn every_result_has_words() {
        let text = |result| plain(&outcome_line(&(&kill(result)).into())).unwrap();
        assert_eq!(text(WireResult::WouldApply), "kill: would have reached 17 processes (observe mode)\n");
        assert!(text(WireResult::Refused).starts_with("kill: refused"));
        assert!(text(WireResult::Failed).starts_with("kill: failed"));
    }
}
