//! What can stand in a place of the command line: runs, agents and findings by the sensor, the
//! command that `sentry run` starts by the file system.
//!
//! A person waits at the Tab key: without a sensor, without the right to ask it, or where it takes
//! longer than a moment, there is nothing to choose from.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use sentry_agent::config::defaults;
use sentry_proto::v1::{ItemKind, item::Item};
use sentry_view::{Finding, Run, RunState, time};

use super::{
    client::{Client, block_on, connect},
    error::CliError,
    query::{newest, runs},
    render::{report::many, run::name, safe, who::short},
};

/// For all that the sensor is asked at one Tab.
const DEADLINE: Duration = Duration::from_millis(200);
/// Newest ones that are offered.
const OFFERED: usize = 100;
/// Where cgroups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What may stand there, by what was typed of it so far.
type Offer = fn(&OsStr) -> Vec<Candidate>;

/// What is offered where: command, argument.
const OFFERS: [(&str, &str, Offer); 19] = [
    ("untag", "target", live_runs),
    ("freeze", "target", live_runs),
    ("thaw", "target", live_runs),
    ("kill", "target", live_runs),
    ("events", "agent", agents),
    ("events", "run", any_run),
    ("events", "types", event_types),
    ("findings", "agent", agents),
    ("findings", "run", any_run),
    ("explain", "id", explained),
    ("report", "run", any_run),
    ("tree", "run", any_run),
    ("diff", "base", any_run),
    ("diff", "run", any_run),
    ("export", "run", any_run),
    ("record", "run", any_run),
    ("tag", "cgroup", cgroups),
    ("tag", "name", agents),
    ("run", "name", agents),
];

/// The command line with what can stand in its places.
pub(crate) fn offered(command: Command) -> Command {
    let command = OFFERS.into_iter().fold(command, |command, (below, argument, known)| {
        let completer = ArgValueCompleter::new(move |begun: &OsStr| fitting(begun, known(begun)));
        with(command, below, argument, completer)
    });
    with(command, "run", "command", ArgValueCompleter::new(Started))
}

fn with(
    command: Command,
    below: &'static str,
    argument: &'static str,
    completer: ArgValueCompleter,
) -> Command {
    command.mut_subcommand(below, |below| below.mut_arg(argument, |argument| argument.add(completer)))
}

fn any_run(_begun: &OsStr) -> Vec<Candidate> {
    known_runs(true).iter().map(of_run).collect()
}

fn live_runs(_begun: &OsStr) -> Vec<Candidate> {
    let runs = known_runs(false);
    let agents = of_agents(&runs).into_iter().filter(|(_, count)| *count == 1);
    let agents = agents.map(|(agent, _)| Candidate::of_name(agent, "agent with one live run"));
    agents.chain(runs.iter().map(of_run)).collect()
}

fn agents(_begun: &OsStr) -> Vec<Candidate> {
    let runs = known_runs(true);
    let agent = |(agent, count)| Candidate::of_name(agent, &many(count, "run", "runs"));
    of_agents(&runs).into_iter().map(agent).collect()
}

/// Findings, then runs that have some.
fn explained(_begun: &OsStr) -> Vec<Candidate> {
    let (findings, runs) = asked(async |client| {
        let findings = newest(client, &[ItemKind::Finding], OFFERED as u64).await?;
        Ok((findings, runs(client, true).await?))
    });
    let finding = |item: Item| match item {
        Item::Finding(finding) => Some(of_finding(&(&finding).into())),
        _ => None,
    };
    let findings = findings.into_iter().rev().filter_map(finding);
    let runs = runs.iter().rev().map(Run::from).filter(|run| run.findings > 0);
    findings.chain(runs.map(|run| of_run(&run))).collect()
}

fn event_types(_begun: &OsStr) -> Vec<Candidate> {
    sentry_story::types().into_iter().map(|name| Candidate::of_name(name, "")).collect()
}

/// Relative to where cgroups are mounted, as `sentry tag` takes them.
fn cgroups(begun: &OsStr) -> Vec<Candidate> {
    let folders = PathCompleter::dir().current_dir(CGROUPS).complete(begun);
    let name =
        |folder: CompletionCandidate| folder.get_value().to_str().map(|name| Candidate::of_name(name, ""));
    folders.into_iter().filter_map(name).collect()
}

/// The command that is to be watched, then its arguments, which may be files.
struct Started;

impl ValueCompleter for Started {
    fn complete(&self, begun: &OsStr) -> Vec<CompletionCandidate> {
        self.complete_at(0, begun)
    }

    fn complete_at(&self, at: usize, begun: &OsStr) -> Vec<CompletionCandidate> {
        let is_path = begun.as_encoded_bytes().contains(&b'/');
        match at {
            0 if is_path => {
                PathCompleter::any().filter(|path| path.is_dir() || is_executable(path)).complete(begun)
            }
            0 => programs(begun).into_iter().map(CompletionCandidate::new).collect(),
            _ => PathCompleter::any().complete(begun),
        }
    }
}

/// Programs on the search path that begin so.
fn programs(begun: &OsStr) -> Vec<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let entries = env::split_paths(&path).filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let begins = |name: &OsStr| name.as_encoded_bytes().starts_with(begun.as_encoded_bytes());
    let mut names: Vec<OsString> = entries
        .filter(|entry| begins(&entry.file_name()) && is_executable(&entry.path()))
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Something that can be typed.
struct Candidate {
    /// Enough of it.
    short: String,
    whole: String,
    what: String,
}

impl Candidate {
    fn of_name(name: &str, what: &str) -> Self {
        Self { short: name.to_owned(), whole: name.to_owned(), what: what.to_owned() }
    }
}

/// The candidates that begin so, as short as can be.
fn fitting(begun: &OsStr, candidates: impl IntoIterator<Item = Candidate>) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    let fits = |candidate: Candidate| {
        let text = [candidate.short, candidate.whole].into_iter().find(|text| text.starts_with(begun))?;
        let what = Some(candidate.what).filter(|what| !what.is_empty());
        Some(CompletionCandidate::new(text).help(what.map(Into::into)))
    };
    candidates.into_iter().filter_map(fits).take(OFFERED).collect()
}

fn of_run(run: &Run) -> Candidate {
    let (findings, started) = (many(run.findings, "finding", "findings"), time::utc(run.started_unix_ns.0));
    let what = format!("{}, {}, {findings}, {started}", safe(name(run)), run.state.name());
    Candidate { short: short(&run.id), whole: run.id.clone(), what }
}

/// Of the run in a finding's id a beginning is enough.
fn of_finding(finding: &Finding) -> Candidate {
    let rest = finding.id.strip_prefix(finding.run.as_str()).unwrap_or_default();
    let short = format!("{}{rest}", short(&finding.run));
    Candidate {
        short,
        whole: finding.id.clone(),
        what: safe(&format!("{}: {}", finding.rule, finding.summary)),
    }
}

/// Names of agents, and how many of these runs each has.
fn of_agents(runs: &[Run]) -> BTreeMap<&str, u64> {
    let mut agents = BTreeMap::new();
    for run in runs {
        *agents.entry(name(run)).or_default() += 1;
    }
    agents
}

/// The newest first.
fn known_runs(with_ended: bool) -> Vec<Run> {
    let known = asked(async |client| runs(client, with_ended).await);
    let mut known: Vec<Run> = known.iter().rev().map(Run::from).collect();
    known.sort_by_key(|run| run.state == RunState::Ended);
    known
}

/// What the sensor answers; nothing where it does not, or not in time.
fn asked<T: Default>(ask: impl AsyncFnOnce(&mut Client) -> Result<T, CliError>) -> T {
    let answer = async {
        let mut client = connect(&socket()).await?;
        ask(&mut client).await
    };
    let in_time = block_on(async { Ok(tokio::time::timeout(DEADLINE, answer).await) });
    in_time.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default()
}

/// Where the line, the environment or else the default says that the sensor is.
fn socket() -> PathBuf {
    let words: Vec<OsString> = env::args_os().collect();
    let of_line = words.iter().enumerate().rev().find_map(|(at, word)| {
        let value = word.to_str()?.strip_prefix("--socket")?;
        match value.strip_prefix('=') {
            Some(value) => Some(value.into()),
            // Bash parts words at the sign.
            None => words.iter().skip(at + 1).find(|word| *word != "=").cloned(),
        }
    });
    let known = of_line.or_else(|| env::var_os("AGENTSENTRY_SOCKET"));
    known.map_or_else(|| defaults::SOCKET.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(candidates: &[CompletionCandidate]) -> Vec<(String, String)> {
        let text = |candidate: &CompletionCandidate| {
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            (candidate.get_value().to_string_lossy().into_owned(), help)
        };
        candidates.iter().map(text).collect()
    }

    #[test]
    fn every_place_is_one_of_the_command_line() {
        use clap::CommandFactory as _;

        offered(crate::args::Cli::command()).debug_assert();
    }

    #[test]
    fn wherever_a_run_or_an_agent_stands_something_is_offered() {
        use clap::CommandFactory as _;

        let command = offered(crate::args::Cli::command());
        let mut bare = Vec::new();
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            for argument in below.get_arguments() {
                let id = argument.get_id().as_str();
                let is_known = OFFERS.iter().any(|(_, argument, _)| *argument == id);
                if is_known && argument.get::<ArgValueCompleter>().is_none() {
                    bare.push(format!("{} {id}", below.get_name()));
                }
            }
        }
        assert_eq!(bare, [""; 0]);
    }

    #[test]
    fn a_run_is_offered_as_short_as_it_is_unique_or_as_far_as_it_is_typed() {
        let run = Run { id: "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11".into(), findings: 2, ..Run::default() };
        let offered = |begun: &str| texts(&fitting(begun.as_ref(), [of_run(&run)]));
        let what = ", unknown, 2 findings, 1970-01-01 00:00:00.000Z".to_owned();
        assert_eq!(offered("019"), [("019a2f3c-7a10".into(), what.clone())]);
        assert_eq!(offered("019a2f3c-7a10-7"), [(run.id.clone(), what)]);
        assert_eq!(offered("02"), []);
    }

    #[test]
    fn the_run_in_the_id_of_a_finding_is_short() {
        let finding = Finding {
            id: "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11.1f-f-3".into(),
            run: "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11".into(),
            rule: "exec-loop".into(),
            summary: "x\u{1b}[2J".into(),
            ..Finding::default()
        };
        let offered = texts(&fitting("".as_ref(), [of_finding(&finding)]));
        assert_eq!(offered, [("019a2f3c-7a10.1f-f-3".into(), "exec-loop: x\\u{1b}[2J".into())]);
    }

    #[test]
    fn a_command_is_a_program_of_the_search_path_or_an_executable_file() {
        let offered = |at, begun: &str| -> Vec<String> {
            texts(&Started.complete_at(at, begun.as_ref())).into_iter().map(|(word, _)| word).collect()
        };
        assert!(offered(0, "tru").contains(&"true".to_owned()));
        assert!(offered(0, "/usr/bin/tru").contains(&"/usr/bin/true".to_owned()));
        assert!(!offered(0, "/etc/passw").contains(&"/etc/passwd".to_owned()), "it cannot be executed");
        assert!(offered(1, "/etc/passw").contains(&"/etc/passwd".to_owned()));
    }
}
