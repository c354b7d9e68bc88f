//! An event, and what it belongs to.

use sentry_proto::v1;
use sentry_story::{Circumstances, verb};
use sentry_view::{Ancestor, Call, Exact, ExplainedEvent, Finding, Ocsf, time};
use serde_json::Value;

use super::{
    BOLD, DIM, duration, event, finding,
    json::Origin,
    paint,
    report::{cut, exit},
    safe,
    who::short,
};

/// Columns beside a command line.
const BESIDE: usize = 24;

pub(crate) fn view(found: &Circumstances, findings: &[v1::Finding], origin: &Origin) -> ExplainedEvent {
    let event = &found.event;
    let object = |value| match value {
        Value::Object(members) => Ocsf(members),
        _ => Ocsf::default(),
    };
    ExplainedEvent {
        id: event.id.clone(),
        run: event.run.clone(),
        time: time::rfc3339(event.time_unix_ns),
        time_unix_ns: Exact(event.time_unix_ns),
        verb: event.kind.as_ref().map_or("unknown", verb).to_owned(),
        event: object(origin.event(event)),
        ancestry: found.ancestry.clone(),
        agent: found.agent.clone(),
        call: found.call.clone(),
        findings: findings.iter().map(|finding| object(origin.finding(&finding.into()))).collect(),
        ..ExplainedEvent::default()
    }
}

pub(crate) fn text(found: &Circumstances, findings: &[v1::Finding], width: usize) -> String {
    let event = &found.event;
    let mut out = format!("{}    {}\n", event::title(event), paint(DIM, &safe(&event.id)));
    out.push_str(&ancestry(event, &found.ancestry, width));
    match (&found.call, &found.agent) {
        (Some(call), _) => out.push_str(&of_call(call, width)),
        (None, Some(agent)) => {
            out.push_str(&format!("\n{}  {} itself\n", paint(BOLD, "In no call"), safe(&agent.title)));
        }
        (None, None) => {
            out.push_str(&format!("\n{}  the run's first process itself\n", paint(BOLD, "In no call")));
        }
    }
    let found: Vec<Finding> = findings.iter().map(Into::into).collect();
    if found.is_empty() {
        out.push_str(&format!("\n{}  none has it as evidence\n", paint(BOLD, "Findings")));
    } else {
        out.push_str(&format!("\n{} ({}) that have it as evidence\n", paint(BOLD, "Findings"), found.len()));
    }
    for line in found.iter().map(finding::line) {
        line.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out + &next(event, found.last())
}

/// From the top down, each below its parent.
fn ancestry(event: &v1::Event, ancestry: &[Ancestor], width: usize) -> String {
    // A chain of forks is deeper than a screen is wide.
    const DEEPEST: usize = 20;
    let uid = event.process.as_ref().and_then(|process| process.uid);
    let who = uid.map(|uid| format!(" as uid {uid}")).unwrap_or_default();
    let mut out = format!("\n{}{who}\n", paint(BOLD, "Done by the last of these"));
    for (depth, ancestor) in ancestry.iter().enumerate() {
        let depth = depth.min(DEEPEST);
        let command = match (&ancestor.command, ancestor.executions) {
            (Some(command), 1..) => cut(command, width.saturating_sub(BESIDE + 2 * depth).max(BESIDE)),
            (Some(_), 0) if depth > 0 => "(executed nothing: its parent's program)".to_owned(),
            (Some(command), 0) => cut(command, width.saturating_sub(BESIDE)),
            (None, _) => "(its program is not known)".to_owned(),
        };
        let pid = paint(DIM, &format!("{:<8}", ancestor.pid));
        out.push_str(&format!("  {pid}{}{command}\n", "  ".repeat(depth)));
    }
    out
}

fn of_call(call: &Call, width: usize) -> String {
    let lasted = call.lasted_ns.map_or_else(String::new, |lasted| format!("  {}", duration(lasted.0)));
    format!(
        "\n{}  {}\n  {}{lasted}  {}\n",
        paint(BOLD, &format!("Call {}", call.number)),
        cut(&call.command, width.saturating_sub(12)),
        paint(DIM, &time::clock(call.started_unix_ns.0)),
        exit(call.exit),
    )
}

fn next(event: &v1::Event, finding: Option<&Finding>) -> String {
    let run = short(&event.run);
    let pid = event.process.as_ref().and_then(|process| process.key).map(|key| key.tgid);
    let finding = finding.map(|finding| format!("sentry explain {}", safe(&finding.id)));
    let process = pid.map(|pid| format!("sentry events --run {run} --pid {pid}"));
    let mut hints: Vec<String> = finding.into_iter().chain(process).collect();
    hints.push(format!("sentry report {run}"));
    format!("\n{}  {}\n", paint(BOLD, "Next"), paint(DIM, &hints.join(" · ")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_proto::v1::event::Kind;
    use sentry_view::Exit;

    use super::*;
    use crate::{out::plain, render::finding::tests as findings};

    fn found() -> Circumstances {
        let path = v1::Path { text: "/home/u/.aws/credentials".into(), ..v1::Path::default() };
        let file = Some(v1::File { path: Some(path), key: None });
        let program = v1::Path { text: "/usr/bin/cat".into(), ..v1::Path::default() };
        let event = v1::Event {
            id: "r-b-7".into(),
            run: "r".into(),
            agent: Some(v1::Agent { id: "demo".into(), name: "demo".into() }),
            time_unix_ns: 1_763_664_722_000_000_000,
            process: Some(v1::Process {
                key: Some(v1::ProcessKey { tgid: 13, start_boot_ns: 1 }),
                executable: Some(v1::File { path: Some(program), key: None }),
                uid: Some(1000),
                ..v1::Process::default()
            }),
            kind: Some(Kind::Open(v1::Open { file, ..v1::Open::default() })),
            ..v1::Event::default()
        };
        let ancestor = |pid, command: &str, executions| {
            let command = Some(command.to_owned());
            Ancestor { pid, command, executions }
        };
        let call = Call {
            number: 2,
            command: "cat ~/.aws/credentials | wc -c".into(),
            started_unix_ns: Exact(1_763_664_721_900_000_000),
            lasted_ns: Some(Exact(59_600_000)),
            exit: Some(Exit { code: Some(0), signal: None }),
            ..Call::default()
        };
        Circumstances {
            event,
            ancestry: vec![
                ancestor(1, "/usr/bin/claude -p x\u{1b}[2J", 1),
                ancestor(12, "/bin/bash -c …", 0),
                ancestor(13, "/usr/bin/cat /home/u/.aws/credentials", 1),
            ],
            call: Some(call),
            agent: None,
        }
    }

    #[test]
    fn golden_event() {
        let expected = "\
2025-11-20 18:52:02.000Z  demo  cat[13]  read  /home/u/.aws/credentials
    r-b-7

Done by the last of these as uid 1000
  1       /usr/bin/claude -p x\\u{1b}[2J
  12        (executed nothing: its parent's program)
  13          /usr/bin/cat /home/u/.aws/credentials

Call 2  cat ~/.aws/credentials | wc -c
  18:52:01.900  59.6 ms  exit 0

Findings (1) that have it as evidence
  2025-11-20 18:52:03.000Z  high      demo          cpu-spin  1.9 cores for 2.5 s with 3 distinct acts
      r-f-1

Next  sentry explain r-f-1 · sentry events --run r --pid 13 · sentry report r
";
        assert_eq!(plain(&text(&found(), &[findings::finding()], 80)).unwrap(), expected);
    }

    #[test]
    fn what_an_agent_did_by_itself_is_in_no_call() {
        let alone = Circumstances { call: None, ..found() };
        let text = plain(&text(&alone, &[], 80)).unwrap();
        assert!(text.contains("\nIn no call  the run's first process itself\n"), "{text}");
        assert!(text.contains("\nFindings  none has it as evidence\n"), "{text}");
    }
}
