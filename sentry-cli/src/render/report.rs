//! The report of a run.

use sentry_view::{Flow, Report, Run, Tally};

use super::{
    BOLD, DIM, GREEN, LIST_ROWS, RED, YELLOW, command_line, duration, executed, finding, paint, run, safe,
};

/// Limits before only their number is shown.
const LIMIT_ROWS: usize = 4;

pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    if let Some(run) = &report.run {
        out.push_str(&head(run));
    }
    list(&mut out, "Ran", &report.programs);
    out.push_str(&executed::text(&report.executed, report.executed_unlisted));
    list(&mut out, "Connected to", &report.destinations);
    flows(&mut out, &report.flows);
    list(&mut out, "Changed", &report.files_changed);
    if report.found.is_empty() {
        out.push_str(&format!("  {}  {}\n", paint(BOLD, "Findings"), paint(GREEN, "none")));
    } else {
        out.push_str(&format!("  {}\n", paint(BOLD, "Findings")));
        for found in &report.found {
            for line in finding::line(found).lines() {
                out.push_str(&format!("    {line}\n"));
            }
        }
    }
    if !report.outcomes.is_empty() {
        out.push_str(&format!("  {}\n", paint(BOLD, "Acts")));
        for outcome in &report.outcomes {
            out.push_str(&format!("    {}", finding::outcome_line(outcome)));
        }
    }
    out.push_str(&books(report));
    out.push_str(&limits(&report.limits));
    out
}

fn head(run: &Run) -> String {
    let lasted = run.ended_unix_ns.map_or_else(
        || run.state.name().to_owned(),
        |end| {
            let ran = duration(end.0.saturating_sub(run.started_unix_ns.0));
            if run.end_unseen {
                format!("ran {ran} at most, it ended while the sensor was away")
            } else {
                format!("ran {ran}")
            }
        },
    );
    let mut out = format!(
        "{} {lasted}  {}\n",
        paint(BOLD, &format!("Agent {}", safe(run::name(run)))),
        paint(DIM, &safe(&run.id))
    );
    // A tagged cgroup has no command.
    if !run.command.is_empty() {
        let cut = if run.command_truncated { paint(YELLOW, " … (cut)") } else { String::new() };
        out.push_str(&format!("  {}  {}{cut}\n", paint(BOLD, "Command"), command_line(&run.command)));
    }
    if let Some(container) = &run.container {
        let title = paint(BOLD, "Container");
        out.push_str(&format!("  {title}  {}\n", run::container(container)));
        if let Some(image) = &container.image {
            out.push_str(&format!("  {}  {}\n", paint(BOLD, "Image"), safe(image)));
        }
    }
    let counters = run.counters;
    out.push_str(&format!(
        "  {}  {} execs, {} processes, {} connects and sends, {} opens, {} for writing\n",
        paint(BOLD, "Counted"),
        counters.execs,
        counters.processes_born + counters.processes_entered,
        counters.connects + counters.sends,
        counters.opens,
        counters.opens_for_write,
    ));
    out
}

fn list(out: &mut String, title: &str, tallies: &[Tally]) {
    let title = paint(BOLD, title);
    if tallies.is_empty() {
        out.push_str(&format!("  {title}  {}\n", paint(DIM, "nothing")));
        return;
    }
    out.push_str(&format!("  {title}\n"));
    for tally in tallies.iter().take(LIST_ROWS) {
        out.push_str(&format!("    {:>6}×  {}\n", tally.count, safe(&tally.what)));
    }
    if let Some(rest) = tallies.get(LIST_ROWS..).filter(|rest| !rest.is_empty()) {
        let count: u64 = rest.iter().map(|tally| tally.count).sum();
        out.push_str(&format!("    {count:>6}×  {} others\n", rest.len()));
    }
}

/// Bytes to and from each other side; nothing where no packet went.
fn flows(out: &mut String, flows: &[Flow]) {
    if flows.is_empty() {
        return;
    }
    out.push_str(&format!("  {}\n", paint(BOLD, "Exchanged")));
    for flow in flows.iter().take(LIST_ROWS) {
        let side = flow.remote.as_deref().unwrap_or("others");
        out.push_str(&format!("    {} B out, {} B in  {side}\n", flow.bytes_out, flow.bytes_in));
    }
    let rest = flows.get(LIST_ROWS..).unwrap_or_default();
    if !rest.is_empty() {
        let (sent, got) =
            rest.iter().fold((0, 0), |sum, flow| (sum.0 + flow.bytes_out, sum.1 + flow.bytes_in));
        out.push_str(&format!("    {sent} B out, {got} B in  {} others\n", rest.len()));
    }
}

/// What this kernel does not let the sensor see. A long list is the doctor's: it is the same for
/// every run.
pub(super) fn limits(limits: &[String]) -> String {
    let title = paint(YELLOW, "Not seen here");
    if limits.len() > LIMIT_ROWS {
        return format!(
            "  {title}  {} limits of this kernel's hooks; `sentry doctor` lists them\n",
            limits.len()
        );
    }
    limits.iter().map(|limit| format!("  {title}  {}\n", safe(limit))).collect()
}

/// Whether the record is complete, and the sums that show it.
fn books(report: &Report) -> String {
    let unknown = Run::default();
    let run = report.run.as_ref().unwrap_or(&unknown);
    let (critical, bulk) = (run.rings.critical.unwrap_or_default(), run.rings.bulk.unwrap_or_default());
    let generated = critical.generated + bulk.generated;
    let lost = critical.lost + bulk.lost;
    let more: String = [
        (critical.throttled + bulk.throttled, "throttled"),
        (u64::from(run.interruptions), "times the sensor was away"),
        (run.untold, "acts without a record"),
        (run.skipped, "calls of programs left out by the kernel"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!(", {count} {what}"))
    .collect();
    let verdict = if report.complete { paint(GREEN, "complete") } else { paint(RED, "not complete") };
    format!(
        "  {}  {verdict}: {generated} records made, {} read, {lost} lost{more}\n",
        paint(BOLD, "Record"),
        critical.delivered + bulk.delivered
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
    use sentry_proto::v1::{self, outcome::Result as OutcomeResult};

    use super::*;
    use crate::{
        out::plain,
        render::{finding::tests as samples, json::Origin},
    };

    pub(crate) fn wire() -> v1::Report {
        let tally = |what: &str, count| v1::Tally { what: what.into(), count };
        v1::Report {
            run: Some(v1::Run {
                id: "0199aa".into(),
                agent: Some(v1::Agent { id: "demo".into(), name: "demo".into() }),
                state: v1::RunState::Ended.into(),
                started_unix_ns: 1_000_000_000,
                ended_unix_ns: Some(3_500_000_000),
                critical: Some(v1::RingBooks { generated: 10, delivered: 10, lost: 0, throttled: 0 }),
                bulk: Some(v1::RingBooks { generated: 90, delivered: 88, lost: 2, throttled: 0 }),
                execs: 3,
                processes_born: 4,
                processes_entered: 1,
                connects: 1,
                sends: 1,
                opens: 20,
                opens_for_write: 2,
                command: vec!["./agent.sh".into(), "a b".into()],
                ..v1::Run::default()
            }),
            programs: vec![tally("/bin/sh", 2), tally("/bin/\x1b[31mls", 1)],
            destinations: Vec::new(),
            files_changed: (0..14).map(|n| tally(&format!("/tmp/{n}"), 1)).collect(),
            findings: vec![samples::finding()],
            outcomes: vec![samples::kill(OutcomeResult::Applied)],
            complete: false,
            limits: vec!["file paths of failed calls".into()],
        }
    }

    #[test]
    fn golden_report() {
        let text = plain(&text(&Origin::default().report(&wire()))).unwrap();
        let files: String = (0..12).map(|n| format!("         1×  /tmp/{n}\n")).collect();
        assert_eq!(
            text,
            format!(
                "Agent demo ran 2.50 s  0199aa
  Command  ./agent.sh 'a b'
  Counted  3 execs, 5 processes, 2 connects and sends, 20 opens, 2 for writing
  Ran
         2×  /bin/sh
         1×  /bin/\\u{{1b}}[31mls
  Connected to  nothing
  Changed
{files}         2×  2 others
  Findings
    2025-11-20 18:52:03.000Z  high      demo          cpu-spin  1.9 cores for 2.5 s with 3 distinct acts
        r-f-1
  Acts
    killed 17 processes in 12.3 ms, 0 survivors
  Record  not complete: 100 records made, 98 read, 2 lost
  Not seen here  file paths of failed calls
"
            )
        );
    }

    #[test]
    fn an_empty_report_still_reads() {
        let text = plain(&super::text(&Report::default())).unwrap();
        assert!(text.contains("Findings  none") && text.contains("not complete"), "{text}");
    }
}
