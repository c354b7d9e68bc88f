//! Findings: as lines of a list, and explained.

use anstyle::Style;
use sentry_proto::v1::{self, event::Kind};
use sentry_story::verb;
use sentry_view::{
    Action, Cause, CauseSort, Decision, Finding, Mode, Outcome, OutcomeResult, Severity, time,
};

use super::{
    BOLD, DIM, GREEN, RED, YELLOW, duration, event, number, paint,
    report::{cut, many},
    safe,
    who::short,
};

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
    /// What was done most in the time that it counts.
    pub(crate) cause: Option<Cause>,
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
        out.push_str(&explained.cause.as_ref().map(cause).unwrap_or_default());
        out.push_str(&arithmetic(finding));
        if !finding.tags.is_empty() {
            out.push_str(&format!("\nTags: {}\n", safe(&finding.tags.join(", "))));
        }
        out.push_str(&format!(
            "\nEvidence: {}, {} still kept\n",
            many(finding.evidence.len() as u64, "event", "events"),
            explained.events.len()
        ));
        out.push_str(&evidence(&explained.events));
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
    out + &next(explained)
}

/// What to type next.
fn next(explained: &Explained) -> String {
    let Some(finding) = &explained.finding else { return String::new() };
    let event = explained.events.first().map(|event| format!("sentry explain {} · ", safe(&event.id)));
    let hints = format!("{}sentry report {}", event.unwrap_or_default(), short(&finding.run));
    format!("\n{}  {}\n", paint(BOLD, "Next"), paint(DIM, &hints))
}

/// Characters of an ancestor's command line.
const ANCESTOR: usize = 48;

fn cause(cause: &Cause) -> String {
    let (one, more) = match cause.sort {
        CauseSort::Programs => ("executed program", "executed programs"),
        CauseSort::Births => ("born process", "born processes"),
        CauseSort::Files => ("act on files", "acts on files"),
        CauseSort::Network => ("act on the network", "acts on the network"),
        CauseSort::Other => ("other act", "other acts"),
    };
    let listed: u64 = cause.acts.iter().map(|act| act.count).sum();
    let mut out = format!("\nWhat: {listed} of {}\n", many(cause.total, one, more));
    for act in &cause.acts {
        out.push_str(&format!("  {:>7}  {}\n", act.count, safe(&act.what)));
    }
    out.push_str("\nBy\n");
    for doer in &cause.by {
        let last = doer.ancestry.last().map_or("a process", String::as_str);
        out.push_str(&format!("  {:>7}  {} (process {})\n", doer.acts, safe(last), doer.pid));
        if let (Some(call), Some(command)) = (doer.call, &doer.call_command) {
            out.push_str(&format!("           in call {call}: {}\n", safe(command)));
        }
        if let [above @ .., _] = doer.ancestry.as_slice()
            && !above.is_empty()
        {
            let above: Vec<String> = above.iter().map(|command| cut(command, ANCESTOR)).collect();
            let above = above.join(" › ");
            out.push_str(&paint(DIM, &format!("           below {above}\n")));
        }
    }
    out
}

/// Equal ones are one line, in the order of the first of them.
fn evidence(events: &[v1::Event]) -> String {
    // Which child was born does not make births different, what was opened makes opens so.
    let is_equal = |one: &v1::Event, other: &v1::Event| {
        let is_of_life = matches!(one.kind, Some(Kind::Fork(_) | Kind::Exec(_) | Kind::Exit(_)));
        let about = |event: &v1::Event| {
            let process = event.process.as_ref();
            let program = process.and_then(|process| process.executable.clone());
            (event.kind.as_ref().map(verb), program, process.and_then(|process| process.argv.clone()))
        };
        about(one) == about(other) && (is_of_life || one.kind == other.kind)
    };
    let mut groups: Vec<Vec<&v1::Event>> = Vec::new();
    for event in events {
        match groups.iter_mut().find(|group| is_equal(group[0], event)) {
            Some(group) => group.push(event),
            None => groups.push(vec![event]),
        }
    }
    let mut out = String::new();
    for group in &groups {
        out.push_str(&format!("  {}", event::line(group[0])));
        if let [_, more @ ..] = group.as_slice()
            && let Some(last) = more.last()
        {
            let until = time::clock(last.time_unix_ns);
            out.push_str(&paint(DIM, &format!("           and {} like it until {until}\n", more.len())));
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
    use sentry_view::{Doer, Tally};

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
            evidence: vec!["r-c-1".into(), "r-c-2".into(), "r-c-3".into()],
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
        let doer = Doer {
            pid: 15407,
            acts: 462,
            call: Some(2),
            call_command: Some("for i in $(seq 1 1000)…".into()),
            ancestry: ["claude", "bash -c 'source …'", "bash loop.sh"].map(Into::into).into(),
        };
        let tally = |what: &str, count| Tally { what: what.into(), count };
        let cause = Cause {
            sort: CauseSort::Programs,
            total: 540,
            acts: vec![tally("/bin/true", 437), tally("/bin/seq 1\u{1b}[2J", 25)],
            by: vec![doer],
            ..Cause::default()
        };
        let fork = |n: u64| v1::Event {
            id: format!("r-c-{n}"),
            time_unix_ns: 1_763_664_722_000_000_000 + n * 100_000_000,
            kind: Some(Kind::Fork(v1::Fork {
                child: Some(v1::ProcessKey { tgid: 20_000 + n as u32, start_boot_ns: n }),
            })),
            ..v1::Event::default()
        };
        let explained = Explained {
            finding: Some((&finding()).into()),
            cause: Some(cause),
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
            events: vec![fork(1), fork(2), fork(3)],
        };
        assert_eq!(
            plain(&explain(&explained)).unwrap(),
            "2025-11-20 18:52:03.000Z  high      demo          cpu-spin  1.9 cores for 2.5 s with 3 distinct \
            acts
    r-f-1

The behaviour began 2.50 s before the finding; confidence 0.91.

What: 462 of 540 executed programs
      437  /bin/true
       25  /bin/seq 1\\u{1b}[2J

By
      462  bash loop.sh (process 15407)
           in call 2: for i in $(seq 1 1000)…
           below claude › bash -c 'source …'

Arithmetic
  cores    1.9  (limit 0.8)
  variety  0.125 ratio

Tags: attack:T1496

Evidence: 3 events, 3 still kept
  18:52:02.100                ?[?]                  fork      child 20001
           and 2 like it until 18:52:02.300

Decisions
  18:52:03.050  kill (enforce) by detector:cpu-spin: too much
    killed 17 processes in 12.3 ms, 0 survivors

Next  sentry explain r-c-1 · sentry report r
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
