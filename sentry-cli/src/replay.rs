//! `sentry replay`: what a recorded run comes to, again, by the limits of then or by others.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use sentry_agent::config::{Config, ConfigError, Flags};
use sentry_proto::v1;
use sentry_recording::{MOST_FILE_BYTES, Other, Recording, RecordingError, Replay, differences};
use sentry_rules::RuleSet;
use sentry_view::{Action, Decision, Exact, Finding, Judgement, ReplayMissing, ReplayType, Severity};

use super::{
    args::{FailOn, ReplayArgs},
    error::CliError,
    exit::Exit,
    out,
    render::{
        json,
        replay::{self as render, Judged, Shown},
    },
};

pub(super) fn replay(args: &ReplayArgs) -> Result<Exit, CliError> {
    let policy = match &args.limits {
        Some(path) => Some(config(path)?.policy),
        None => None,
    };
    let failed = |source| CliError::Recording { path: args.file.clone(), source };
    let recording = Recording::read(read(&args.file)?).map_err(failed)?;
    let limits = policy.as_ref().map(|policy| move |agent: &str| policy.settings_of(agent).clone());
    let rules = match args.rules.as_slice() {
        [] => None,
        paths => Some(Arc::new(rules(paths)?)),
    };
    let rules_alone = Other { limits: None, rules: rules.as_ref() };
    let other = match &limits {
        Some(limits) => Other { limits: Some(limits), ..rules_alone },
        None => rules_alone,
    };
    let replay = sentry_recording::replay_by(&recording, other).map_err(failed)?;
    let shown = Shown::new(&recording, &replay, args.limits.is_some() || rules.is_some());
    let text = if args.json { lines(&shown) } else { render::text(&shown) };
    out::print(&text)?;
    Ok(exit(args.fail_on, &shown))
}

fn exit(fail_on: Option<FailOn>, shown: &Shown) -> Exit {
    let is_bad = match fail_on {
        Some(least) => shown.now.findings.iter().any(|finding| rank(finding.severity) >= least as u8),
        None => !shown.sum.differences.is_empty(),
    };
    if is_bad { Exit::Bad } else { Exit::Ok }
}

/// The place of a severity among those that one can fail on; one that is not known is above all.
fn rank(severity: Severity) -> u8 {
    let severity = match severity {
        Severity::Informational => FailOn::Informational,
        Severity::Low => FailOn::Low,
        Severity::Medium => FailOn::Medium,
        Severity::High => FailOn::High,
        Severity::Critical | Severity::Unknown => FailOn::Critical,
    };
    severity as u8
}

fn config(path: &Path) -> Result<Config, CliError> {
    let flags = Flags { config: Some(path.to_owned()), ..Flags::default() };
    let (config, mut wrong) = Config::look(&flags);
    match (wrong.is_empty(), config) {
        (true, Some(config)) => Ok(config),
        (_, _) => {
            let what = format!("{} is not a valid configuration", path.display());
            Err(if wrong.is_empty() {
                CliError::Other { what, exit: Exit::Config }
            } else {
                CliError::Config(wrong.remove(0))
            })
        }
    }
}

fn rules(paths: &[PathBuf]) -> Result<RuleSet, CliError> {
    sentry_agent::config::rules::read(paths).map_err(|mut errors| match errors.len() {
        1 => CliError::Config(errors.remove(0)),
        _ => CliError::Config(ConfigError::Several(errors)),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let reader: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    let size = reader.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if size as u64 > MOST_FILE_BYTES {
        let source = RecordingError::Limit { what: "size of the file" };
        return Err(CliError::Recording { path: path.to_owned(), source });
    }
    Ok(bytes)
}

fn lines(shown: &Shown) -> String {
    let mut text = String::new();
    for finding in &shown.now.findings {
        text.push_str(&json::line(finding));
        let of_it =
            shown.now.decisions.iter().filter(|decision| decision.finding.as_ref() == Some(&finding.id));
        of_it.for_each(|decision| text.push_str(&json::line(decision)));
    }
    for decision in shown.now.decisions.iter().filter(|decision| decision.finding.is_none()) {
        text.push_str(&json::line(decision));
    }
    text + &json::line(&shown.sum)
}

impl Shown {
    fn new(recording: &Recording, replay: &Replay, other_limits: bool) -> Self {
        let then = Judged {
            findings: recording.findings().iter().map(Finding::from).collect(),
            decisions: recording.decisions().iter().map(Decision::from).collect(),
        };
        let now = Judged {
            findings: replay.findings().map(|finding| Finding::from(&v1::Finding::from(finding))).collect(),
            decisions: replay
                .decisions()
                .map(|decision| Decision::from(&v1::Decision::from(decision)))
                .collect(),
        };
        let run = recording.run();
        let lasted_ns = replay.ended_unix_ns.saturating_sub(replay.began_unix_ns);
        let sentry_recording::Missing { events, parts, lives } = replay.missing;
        let differences = if other_limits { Vec::new() } else { differences(recording, replay) };
        let sum = sentry_view::Replay {
            of: ReplayType::Replay,
            run: run.id.clone(),
            agent: run.agent.as_ref().map(|agent| agent.name.clone()).unwrap_or_default(),
            version: recording.version().to_owned(),
            other_limits,
            began_unix_ns: Exact(replay.began_unix_ns),
            lasted_ms: lasted_ns / 1_000_000,
            readings: replay.readings,
            events: replay.events,
            missing: ReplayMissing { events, parts, lives },
            then: then.counted(),
            now: now.counted(),
            differences,
        };
        Self { sum, then, now }
    }
}

impl Judged {
    fn counted(&self) -> Judgement {
        let decided = |action: Action| {
            self.decisions.iter().filter(|decision| decision.action == action).count() as u64
        };
        let severe = self.findings.iter().filter(|finding| rank(finding.severity) >= FailOn::High as u8);
        Judgement {
            findings: self.findings.len() as u64,
            severe: severe.count() as u64,
            freezes: decided(Action::Freeze),
            kills: decided(Action::Kill),
        }
    }
}
