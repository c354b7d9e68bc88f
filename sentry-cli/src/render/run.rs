//! Runs.

use anstyle::Style;
use sentry_proto::v1;
use sentry_view::{Container, Run, RunState, Standing, time};

use super::{
    DIM, GREEN, YELLOW, safe, standing,
    table::{Table, cell},
};

/// Runs as a table, the newest last; with the trust in their agents, as far as it is known.
pub(crate) fn table(runs: &[Run], standings: &[Standing], with_ended: bool) -> String {
    match (runs.is_empty(), with_ended) {
        (true, true) => return "No agent was watched so far; `sentry run CMD` watches one.\n".into(),
        (true, false) => {
            return "No agent is watched now; `sentry run CMD` watches one, `sentry agents --all` lists ended \
                    runs too.\n"
                .into();
        }
        (false, _) => {}
    }
    let in_containers = runs.iter().any(|run| run.container.is_some());
    let selected = runs.iter().any(|run| !run.selected_by.is_empty());
    let standing_of = |run: &Run| standings.iter().find(|standing| standing.agent == name(run));
    let trusted = runs.iter().any(|run| standing_of(run).is_some());
    let mut columns = vec!["AGENT", "STATE", "MODE", "STARTED", "PROCESSES", "FINDINGS"];
    if trusted {
        columns.push("TRUST");
    }
    if in_containers {
        columns.extend(["CONTAINER", "IMAGE"]);
    }
    columns.push("RUN");
    if selected {
        columns.push("WATCHED BECAUSE OF");
    }
    let mut table = Table::new(&columns);
    for run in runs {
        let mut row = vec![
            cell(safe(name(run))),
            (run.state.name().into(), state_style(run.state)),
            cell(run.mode.name()),
            (time::utc(run.started_unix_ns.0), DIM),
            cell(run.counters.alive().to_string()),
            (run.findings.to_string(), if run.findings > 0 { YELLOW } else { Style::new() }),
        ];
        if trusted {
            row.push(standing_of(run).map_or_else(|| cell("-"), standing::short));
        }
        if in_containers {
            let of = |text: fn(&Container) -> String| run.container.as_ref().map(text).unwrap_or_default();
            let image = |container: &Container| container.image.as_deref().map(safe).unwrap_or_default();
            row.extend([cell(of(container)), cell(of(image))]);
        }
        row.push(cell(safe(&run.id)));
        if selected {
            row.push(cell(match run.selected_by.as_str() {
                "" => "its caller".into(),
                selector => safe(selector),
            }));
        }
        table.row(row);
    }
    table.render()
}

/// Running agents that nobody selected, and what to do about them.
pub(crate) fn unwatched(agents: &[v1::UnwatchedAgent]) -> String {
    if agents.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{YELLOW}Not watched{YELLOW:#}: agents by the names of their programs. Select them in the \
         configuration (`agents[].match`), or `sentry tag CGROUP --name NAME`.\n"
    );
    let mut table = Table::new(&["AGENT", "PID", "UID", "CGROUP"]);
    for agent in agents {
        table.row(vec![
            cell(safe(&agent.agent)),
            cell(agent.pid.to_string()),
            cell(agent.uid.to_string()),
            cell(safe(&agent.cgroup_path)),
        ]);
    }
    text.push_str(&table.render());
    text
}

/// A container by its names, as far as they are known: `namespace/pod/container`, or the engine and
/// the id.
pub(crate) fn container(container: &Container) -> String {
    /// Digits of an id that engines show.
    const SHORT: usize = 12;
    let short = |id: &String| id.chars().take(SHORT).collect::<String>();
    let name = container.name.clone().or_else(|| container.id.as_ref().map(short)).unwrap_or_default();
    let text = match &container.pod {
        Some(pod) => match &pod.name {
            Some(pod_name) => [pod.namespace.as_deref().unwrap_or_default(), pod_name, &name].join("/"),
            None => format!("pod {} {name}", pod.uid),
        },
        None => format!("{} {name}", container.engine),
    };
    let unseen = container
        .sandboxed
        .as_ref()
        .map(|sandbox| format!(" ({sandbox}: not seen into)"))
        .unwrap_or_default();
    safe(&format!("{}{unseen}", text.trim_end_matches([' ', '/'])))
}

pub(crate) fn name(run: &Run) -> &str {
    run.agent.as_ref().map_or("", |agent| agent.name.as_str())
}

fn state_style(state: RunState) -> Style {
    match state {
        RunState::Running => GREEN,
        RunState::Frozen => YELLOW,
        RunState::Ended | RunState::Unknown => DIM,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::out::plain;

    #[test]
    fn golden_table() {
        let run = v1::Run {
            id: "0199aa".into(),
            agent: Some(v1::Agent { id: "claude".into(), name: "claude".into() }),
            state: v1::RunState::Frozen.into(),
            mode: v1::Mode::Enforce.into(),
            started_unix_ns: 1_763_664_723_000_000_000,
            processes_born: 5,
            processes_entered: 1,
            processes_ended: 2,
            findings: 1,
            ..v1::Run::default()
        };
        assert_eq!(
            plain(&table(&[(&run).into()], &[], false)).unwrap(),
            "AGENT   STATE   MODE     STARTED                   PROCESSES  FINDINGS  RUN
claude  frozen  enforce  2025-11-20 18:52:03.000Z  4          1         0199aa
"
        );
        assert!(table(&[], &[], false).starts_with("No agent is watched now"));
        assert!(table(&[], &[], true).starts_with("No agent was watched so far"));
    }

    fn container(name: &str, pod: Option<v1::Pod>) -> v1::Container {
        v1::Container {
            engine: "docker".into(),
            id: "85eababe974c1c93".into(),
            name: name.into(),
            image: "agent:1".into(),
            pod,
            ..v1::Container::default()
        }
    }

    #[test]
    fn containers_have_columns_where_there_are_any() {
        let run = v1::Run {
            id: "0199aa".into(),
            agent: Some(v1::Agent { id: "claude".into(), name: "claude".into() }),
            ..v1::Run::default()
        };
        let contained = v1::Run { container: Some(container("worker", None)), ..run.clone() };
        assert_eq!(
            plain(&table(&[(&contained).into(), (&run).into()], &[], false)).unwrap(),
            "AGENT   STATE    MODE     STARTED                   PROCESSES  FINDINGS  CONTAINER      IMAGE    RUN
claude  unknown  unknown  1970-01-01 00:00:00.000Z  0          0         docker worker  agent:1  0199aa
claude  unknown  unknown  1970-01-01 00:00:00.000Z  0          0                                 0199aa
"
        );
    }

    #[test]
    fn a_container_is_called_by_what_is_known() {
        let pod = |name: &str| {
            let (name, namespace) = (name.to_owned(), "agents".into());
            Some(v1::Pod { uid: "7-7".into(), name, namespace, ..v1::Pod::default() })
        };
        let whole_pod = v1::Container { id: String::new(), ..container("", pod("coder-0")) };
        let sandboxed = v1::Container { sandboxed: "gvisor".into(), ..container("worker", None) };
        for (container, expected) in [
            (container("", None), "docker 85eababe974c"),
            (container("coder", pod("coder-0")), "agents/coder-0/coder"),
            (container("", pod("")), "pod 7-7 85eababe974c"),
            (whole_pod, "agents/coder-0"),
            (sandboxed, "docker worker (gvisor: not seen into)"),
            (container("wor\x1bker", None), r"docker wor\u{1b}ker"),
        ] {
            assert_eq!(super::container(&(&container).into()), expected);
        }
    }
}
