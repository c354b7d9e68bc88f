//! `nested-agents`: a known coding agent runs below another one.
//!
//! Two subjects, each a finding of its own: *depth*, an agent that has so many agents at or above
//! it, and *number*, so many nested agents alive at once. Known agents are data (`agents.toml`). An
//! agent that starts itself without another program in between (its launcher, a worker) is still
//! one; behind a shell, or of another kind, it is nested.
//!
//! Some people have one agent ask another, so that it is of severity low up to a depth of two and
//! medium beyond, and never leads to an act. Memory is fixed: `LINES` processes at or below an
//! agent; beyond it the one that came first leaves, and what it starts is not nested. Limit: an
//! agent whose program is not in the list is none.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::limits,
    past::Past,
};
use crate::{
    agents::KnownAgents,
    event::{EventKind, Process},
    evidence::Show,
    identity::ProcessKey,
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

const NESTED_AGENTS: RuleId = RuleId::new("nested-agents");
const TAGS: &[&str] = &["owasp-asi:ASI08", "owasp-asi:ASI10"];

/// Processes kept.
const LINES: usize = 48;
const CONFIDENCE: f64 = 0.7;
/// Depth up to which it is of severity low.
const MILD: u64 = 2;

limits! {
    /// When agents are nested.
    Limits, "nested_agents_" {
        /// `nested-agents`: an agent with so many agents at or above it
        depth: u64 = 2 in 2.0..=64.0;
        /// or so many agents below others that live at the same time
        number: u64 = 4 in 1.0..=64.0;
    }
}

#[derive(Debug)]
pub(crate) struct NestedAgents {
    /// At or below an agent.
    lines: [Option<Line>; LINES],
    /// Where the next goes when all are taken.
    next: usize,
    /// The deepest since the last reading.
    deepest: Option<Box<Nested>>,
    now_unix_ns: u64,
}

/// A process at or below an agent.
#[derive(Clone, Copy, Debug)]
struct Line {
    process: ProcessKey,
    /// The agent at or next above it.
    agent: u8,
    /// Agents at or above it.
    depth: u8,
    is_agent: bool,
    /// Another program was executed on the way from the agent to it.
    is_behind: bool,
}

#[derive(Debug)]
struct Nested {
    event: String,
    time_unix_ns: u64,
    depth: u64,
    /// Which agent, and which it is below.
    agent: usize,
    below: usize,
}

impl Rule for NestedAgents {
    type Limits = Limits;
    const ABOUT: About = About {
        id: NESTED_AGENTS,
        when: "a known coding agent runs below another one, or many do at once",
        severity: "low; medium where it is deeper than two, or for many; never leads to an act",
        urgency: Urgency::Known,
    };
    /// Depth, number.
    const SUBJECTS: usize = 2;
    /// Who descends from whom stays so after an act.
    const FORGETS: bool = false;
    /// Agents that go on starting agents are one finding.
    const FOLDS: bool = true;

    fn new(_limits: &Limits, now_unix_ns: u64) -> Self {
        Self { lines: [None; LINES], next: 0, deepest: None, now_unix_ns }
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let process = &seen.event.process;
        match &seen.event.kind {
            EventKind::Fork { child } => {
                if let Some(line) = self.of(process.key).copied() {
                    self.put(Line { process: *child, is_agent: false, ..line });
                }
            }
            EventKind::Exec { .. } | EventKind::Seed => self.executes(seen, process),
            EventKind::Exit { .. } => {
                for slot in &mut self.lines {
                    if slot.is_some_and(|line| line.process == process.key) {
                        *slot = None;
                    }
                }
            }
            _ => {}
        }
    }

    fn advance(&mut self, now_unix_ns: u64) {
        self.now_unix_ns = now_unix_ns;
    }

    fn judge(&mut self, subject: usize, _past: &Past, limits: &Limits) -> Option<Verdict> {
        match subject {
            0 => {
                let nested = self.deepest.as_deref()?;
                let signal = by_depth(nested, limits)?;
                let shown = Shown::One(nested.event.clone());
                Some(Verdict { signal, since_unix_ns: nested.time_unix_ns, shown, tags: TAGS })
            }
            _ => {
                let nested = self.lines.iter().flatten().filter(|line| line.is_agent && line.depth > 1);
                let signal = by_number(nested.count() as u64, limits)?;
                let shown = Shown::Newest(Show::Processes);
                Some(Verdict { signal, since_unix_ns: self.now_unix_ns, shown, tags: TAGS })
            }
        }
    }

    fn judged(&mut self) {
        self.deepest = None;
    }
}

impl NestedAgents {
    fn of(&self, process: ProcessKey) -> Option<&Line> {
        self.lines.iter().flatten().find(|line| line.process == process)
    }

    fn put(&mut self, line: Line) {
        let own = |slot: &Option<Line>| slot.is_some_and(|known| known.process == line.process);
        let place = (self.lines.iter().position(own))
            .or_else(|| self.lines.iter().position(Option::is_none))
            .unwrap_or_else(|| {
                let place = self.next;
                self.next = (place + 1) % LINES;
                place
            });
        self.lines[place] = Some(line);
    }

    fn executes(&mut self, seen: &Seen<'_>, process: &Process) {
        let executable = process.executable.as_ref().map(|file| file.path.text.as_str());
        let argv = process.argv.as_ref().map_or(&[][..], |argv| &argv.arguments);
        let is = KnownAgents::shared().number_of(executable, argv);
        // A birth that was not reported: from its parent.
        let line = self.of(process.key).or_else(|| self.of(process.parent?)).copied();
        let key = process.key;
        match (is.and_then(|number| u8::try_from(number).ok()), line) {
            (None, None) => {}
            (None, Some(line)) => {
                self.put(Line { process: key, is_agent: false, is_behind: true, ..line });
            }
            (Some(agent), None) => {
                self.put(Line { process: key, agent, depth: 1, is_agent: true, is_behind: false });
            }
            (Some(agent), Some(line)) if agent == line.agent && !line.is_behind => {
                self.put(Line { process: key, ..line });
            }
            (Some(agent), Some(line)) => {
                let depth = line.depth.saturating_add(1);
                self.put(Line { process: key, agent, depth, is_agent: true, is_behind: false });
                let depth = u64::from(depth);
                if self.deepest.as_ref().is_none_or(|known| known.depth < depth) {
                    let (event, time_unix_ns) = (seen.event.id.clone(), seen.event.time_unix_ns);
                    let (agent, below) = (usize::from(agent), usize::from(line.agent));
                    self.deepest = Some(Box::new(Nested { event, time_unix_ns, depth, agent, below }));
                }
            }
        }
    }
}

fn by_depth(nested: &Nested, limits: &Limits) -> Option<RunawaySignal> {
    let Nested { depth, agent, below, .. } = nested;
    let title = |number: &usize| KnownAgents::shared().title(*number).unwrap_or("an agent");
    let arithmetic = vec![
        Term::limited("agents at or above it", *depth as f64, "", limits.depth as f64),
        Term::given("depth up to which it is of severity low", MILD as f64, ""),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let severity = if *depth > MILD { Severity::Medium } else { Severity::Low };
    let summary = format!(
        "{} was started below {}: {depth} agents, one below the other (limit {}).",
        title(agent),
        title(below),
        limits.depth,
    );
    let (rule, confidence) = (NESTED_AGENTS, CONFIDENCE);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

fn by_number(number: u64, limits: &Limits) -> Option<RunawaySignal> {
    // Most readings end here, before anything is written out.
    if number < limits.number {
        return None;
    }
    let arithmetic = vec![
        Term::limited("agents alive below others", number as f64, "", limits.number as f64),
        Term::given("confidence", CONFIDENCE, ""),
    ];
    let summary = format!("{number} agents live below others at the same time (limit {}).", limits.number);
    let (rule, confidence, severity) = (NESTED_AGENTS, CONFIDENCE, Severity::Medium);
    RunawaySignal { rule, confidence, severity, summary, arithmetic }.when_held()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        aggregate::counters::Counters,
        detector::RunDetector,
        event::{Argv, Event, File, Path, PathSource, Ring},
        finding::Finding,
        identity::{AgentIdentity, RunId},
        rule::settings::Settings,
    };

    enum Act {
        Fork(u32, u32),
        Exec(u32, &'static [&'static str]),
        Exit(u32),
    }
    use Act::{Exec, Exit, Fork};

    const CLAUDE: &[&str] = &["/opt/claude", "-p", "x"];
    const CODEX: &[&str] = &["/opt/codex", "exec"];
    const SHELL: &[&str] = &["/bin/sh", "-c", "x"];

    fn found(acts: &[Act]) -> Vec<Finding> {
        let run = Arc::new(RunId("r".to_owned()));
        let agent = Arc::new(AgentIdentity { id: "a".to_owned(), name: "a".to_owned() });
        let mut detector = RunDetector::new((*run).clone(), (*agent).clone(), Settings::default(), 1);
        let key = |tgid| ProcessKey { tgid, start_boot_ns: 1 };
        for (sequence, act) in (1..).zip(acts) {
            let (tgid, argv, kind) = match act {
                Fork(parent, child) => (*parent, None, EventKind::Fork { child: key(*child) }),
                Exec(process, argv) => (
                    *process,
                    Some(*argv),
                    EventKind::Exec { requested: None, script: None, by_thread: None },
                ),
                Exit(process) => (*process, None, EventKind::Exit { code: Some(0), signal: None }),
            };
            let executable = argv.map(|argv| File {
                path: Path { text: argv[0].to_owned(), source: PathSource::Kernel, truncated: false },
                key: None,
            });
            let arguments = |argv: &[&str]| argv.iter().map(|&argument| argument.to_owned()).collect();
            detector.event(&Event {
                id: format!("r-c-{sequence}"),
                run: run.clone(),
                agent: agent.clone(),
                ring: Ring::Critical,
                sequence,
                time_unix_ns: sequence,
                process: Arc::new(Process {
                    key: key(tgid),
                    tid: tgid,
                    parent: None,
                    executable,
                    argv: argv.map(|argv| Argv {
                        arguments: arguments(argv),
                        truncated: false,
                        full_length_bytes: 0,
                    }),
                    cwd: None,
                    uid: None,
                    gid: None,
                    euid: None,
                    pre_existing: false,
                }),
                kind,
            });
        }
        detector.reading(100_000_000, Counters::default())
    }

    fn summaries(acts: &[Act]) -> Vec<String> {
        found(acts).into_iter().map(|finding| finding.signal.summary).collect()
    }

    #[test]
    fn an_agent_behind_a_shell_of_an_agent_is_nested() {
        let acts = [Exec(1, CLAUDE), Fork(1, 2), Exec(2, SHELL), Fork(2, 3), Exec(3, CLAUDE)];
        let all = found(&acts);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].signal.severity, Severity::Low);
        assert_eq!(all[0].evidence, ["r-c-5"]);
        let summary = "Claude Code was started below Claude Code: 2 agents, one below the other (limit 2).";
        assert_eq!(all[0].signal.summary, summary);
        // The shell becomes the agent itself.
        let acts = [Exec(1, CLAUDE), Fork(1, 2), Exec(2, SHELL), Exec(2, CODEX)];
        let summary = "Codex was started below Claude Code: 2 agents, one below the other (limit 2).";
        assert_eq!(summaries(&acts), [summary]);
    }

    #[test]
    fn an_agent_that_starts_itself_and_two_side_by_side_are_not_nested() {
        assert_eq!(summaries(&[Exec(1, CODEX), Fork(1, 2), Exec(2, CODEX), Exec(2, CODEX)]), [""; 0]);
        let beside = [Exec(1, SHELL), Fork(1, 2), Exec(2, CLAUDE), Exit(2), Fork(1, 3), Exec(3, CODEX)];
        assert_eq!(summaries(&beside), [""; 0]);
    }

    #[test]
    fn many_that_live_at_once_are_found_and_so_is_a_deeper_one() {
        let mut acts = vec![Exec(1, CLAUDE), Fork(1, 2), Exec(2, SHELL)];
        acts.extend((3..7).flat_map(|process| [Fork(2, process), Exec(process, CODEX)]));
        let number = "4 agents live below others at the same time (limit 4).";
        assert!(summaries(&acts).contains(&number.to_owned()));
        acts.extend([Exit(3), Fork(4, 8), Exec(8, SHELL), Exec(8, CLAUDE), Exit(8)]);
        let deep = "Claude Code was started below Codex: 3 agents, one below the other (limit 2).";
        assert_eq!(summaries(&acts), [deep]);
    }
}
