//! `sentry run -- CMD`: the command in a run of its own, its exit code, and a report.
//!
//! This process stays outside of the run. Its child, `sentry enter`, enters the run and becomes the
//! command, with the terminal, standard streams, environment and working directory of the caller
//! and in the same process group, so that the terminal's signals reach it directly. Meanwhile this
//! process lets SIGINT and SIGQUIT pass by, as a shell does that waits for a command, and hands
//! SIGTERM and SIGHUP on.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use sentry_proto::v1::{self, ItemKind, item::Item, outcome::Result as OutcomeResult};
use sentry_view::Report;
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal as Listener, SignalKind, signal},
    task::JoinSet,
    time::sleep,
};
use tonic::Code;

use super::{
    act::mode,
    args::RunArgs,
    client::{Client, block_on, connect},
    error::CliError,
    exit::Exit,
    leftovers, live, out, query,
    render::{
        self,
        json::{self, Origin},
        report::{self as report_text, Form},
    },
    story,
};
use sentry_agent::runs::bounded;

/// How long the end waits for a sensor that is away. systemd starts one again after two seconds,
/// and it takes up its runs within a few more; a signal ends the wait.
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// How long a run that finds no room waits for some.
const ROOM_WITHIN: Duration = Duration::from_secs(3);
/// Events that are read for the report before the person who waits for the prompt hears of it: a
/// second's work.
const READ_QUIETLY: u64 = 100_000;
/// Between two times that it asks.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The variable by which the command learns its run.
const RUN_VARIABLE: &str = "AGENTSENTRY_RUN";

pub(super) fn run(args: &RunArgs) -> Result<ExitCode, CliError> {
    // An option that is mistyped would else be executed.
    if let Some(option) = args.command.first().and_then(|word| word.to_str())
        && option.starts_with('-')
    {
        let what = format!(
            "there is no option `{option}` of `sentry run`, and no command begins so; `sentry run --help` \
             lists the options"
        );
        return Err(CliError::Other { what, exit: Exit::Usage });
    }
    block_on(supervise(args)).map_err(|error| {
        // The command's own codes reach up to 255; whatever fails on our side is printed and has
        // one code.
        CliError::Other { what: sentry_service::error_chain(&error), exit: Exit::RunFailed }
    })
}

async fn supervise(args: &RunArgs) -> Result<ExitCode, CliError> {
    let mut client = connect(&args.socket.socket).await?;
    let mut signals = Signals::listen()?;
    let mut restarts = 0;
    loop {
        let run = start(&mut client, args).await?;
        let mut child = match spawn(&run, args) {
            Ok(child) => child,
            Err(error) => {
                // An empty run must not stay open; the failure to start is what is reported.
                drop(client.finish(v1::FinishRequest { run }).await);
                return Err(error);
            }
        };
        let mut attending = JoinSet::new();
        attending.spawn(attend(client.clone(), run.clone()));
        if !args.quiet {
            attending.spawn(live::tell(client.clone(), run.clone()));
        }
        let status = signals.pass_while(&mut child).await?;
        drop(attending);
        let code = code_of(status);
        let finished = finish_when_back(&mut client, &mut signals, &run, args).await;
        match finished {
            // The command has run and its code stands, whether or not there is a report.
            Err(error) => {
                let why = match &error {
                    error if is_away(error) => {
                        format!("the sensor is away; `sentry report {run}` shows it later")
                    }
                    error => sentry_service::error_chain(error),
                };
                out::note(&format!("sentry: no report of run {run}: {why}\n"));
                return Ok(ExitCode::from(code));
            }
            Ok(killed) if killed && restarts < args.restart => {
                restarts += 1;
                if !args.quiet {
                    let of = args.restart;
                    out::note(&format!(
                        "sentry: the sensor killed run {run}; starting again, {restarts} of {of}\n"
                    ));
                }
            }
            Ok(_) => return Ok(ExitCode::from(code)),
        }
    }
}

async fn start(client: &mut Client, args: &RunArgs) -> Result<String, CliError> {
    let command = args.command.iter().map(|argument| argument.to_string_lossy().into_owned());
    let command = bounded::to_send(command.collect());
    let request = v1::StartRequest { name: name(args), mode: mode(args.enforce).into(), command };
    let end = Instant::now() + ROOM_WITHIN;
    let reply = loop {
        match client.start(request.clone()).await {
            // Many may be started at once: those before this one are about to enter their runs.
            Err(status) if status.code() == Code::ResourceExhausted && Instant::now() < end => {
                sleep(ASK_EVERY).await;
            }
            answer => break answer?.into_inner(),
        }
    };
    Ok(reply.run.ok_or(CliError::Incomplete { field: "run" })?.id)
}

/// Says what happens to the run if the sensor stops before it.
async fn attend(mut client: Client, run: String) {
    // A sensor that was killed answers nothing, an older one does not know the call.
    let Ok(reply) = client.attend(v1::AttendRequest { run: run.clone() }).await else { return };
    if reply.into_inner().state() == v1::RunState::Frozen {
        out::note(&format!(
            "sentry: the sensor stops and run {run} stays frozen; start the sensor, then `sentry thaw {run}` \
            lets it go on\n"
        ));
    }
}

/// The given name, or the command's file name.
fn name(args: &RunArgs) -> String {
    let command = args.command.first().map(Path::new);
    let file = || command.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    args.name.clone().or_else(file).unwrap_or_else(|| "agent".into())
}

fn spawn(run: &str, args: &RunArgs) -> Result<Child, CliError> {
    let mut line: Vec<OsString> =
        vec!["enter".into(), "--socket".into(), args.socket.socket.clone().into(), run.into(), "--".into()];
    line.extend(args.command.iter().cloned());
    Command::new(sentry_agent::OWN_IMAGE)
        .arg0("sentry")
        .args(line)
        .env(RUN_VARIABLE, run)
        .spawn()
        .map_err(|source| CliError::System { what: "start the command", source })
}

/// As [`finish`]; a sensor that is just being started again gets the time for it, from when it is
/// found to be away: one that stands still is ended by the watchdog first.
async fn finish_when_back(
    client: &mut Client,
    signals: &mut Signals,
    run: &str,
    args: &RunArgs,
) -> Result<bool, CliError> {
    let mut end = None;
    loop {
        let error = match finish(client, run, args).await {
            Err(error) if is_away(&error) => error,
            result => return result,
        };
        let now = Instant::now();
        if end.is_none() && !args.quiet {
            let limit = BACK_WITHIN.as_secs();
            out::note(&format!("sentry: the sensor is away; waiting for its report, {limit} s at most\n"));
        }
        if now >= *end.get_or_insert(now + BACK_WITHIN) {
            return Err(error);
        }
        tokio::select! {
            () = sleep(ASK_EVERY) => {}
            () = signals.any() => return Err(error),
        }
    }
}

/// Nobody is listening, or the one that answered has ended meanwhile.
fn is_away(error: &CliError) -> bool {
    let gone = |code| matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled);
    matches!(error, CliError::Sensor(status) if gone(status.code()))
}

/// Closes the run and shows its report. Whether the sensor's own decision killed it.
async fn finish(client: &mut Client, run: &str, args: &RunArgs) -> Result<bool, CliError> {
    let report = client.finish(v1::FinishRequest { run: run.to_owned() }).await?.into_inner();
    let report = leftovers::settle(client, report, args.leftovers, args.quiet).await?;
    if !args.quiet || args.report.is_some() {
        let origin = if args.json {
            Origin::of(&client.status(v1::StatusRequest::default()).await?.into_inner())
        } else {
            Origin::default()
        };
        let view = folded(client, &report, &origin, args).await?;
        show(&view, args)?;
    }
    let kills: Vec<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.action() == v1::Action::Kill && outcome.result() == OutcomeResult::Applied)
        .map(|outcome| outcome.decision.as_str())
        .collect();
    if kills.is_empty() || args.restart == 0 {
        return Ok(false);
    }
    // A person who killed the run does not want it back.
    let decisions = query::all(client, run, &[ItemKind::Decision]).await?;
    Ok(decisions.iter().any(|item| {
        matches!(item, Item::Decision(decision)
            if decision.origin.starts_with("detector:") && kills.contains(&decision.id.as_str()))
    }))
}

/// The report with what all events of the run come to. Where these are many a signal ends the
/// reading, and the report names how many were left out.
async fn folded(
    client: &mut Client,
    report: &v1::Report,
    origin: &Origin,
    args: &RunArgs,
) -> Result<Report, CliError> {
    let events = events(report);
    if events <= READ_QUIETLY {
        return story::told(client, report, origin, false).await;
    }
    // Those from here on: an earlier one was for the command.
    let mut signals = Signals::listen()?;
    if !args.quiet {
        out::note(&format!("sentry: reading {events} events for the report; Ctrl-C leaves them out\n"));
    }
    tokio::select! {
        view = story::told(client, report, origin, false) => view,
        () = signals.any() => Ok(origin.report(report)),
    }
}

/// How many events the sensor has of the run.
fn events(report: &v1::Report) -> u64 {
    let run = report.run.as_ref();
    let rings = run.map(|run| [&run.critical, &run.bulk]).into_iter().flatten();
    rings.flatten().map(|ring| ring.delivered).sum()
}

fn show(report: &Report, args: &RunArgs) -> Result<(), CliError> {
    let form = Form { width: out::width(), ..Form::default() };
    let text = if args.json { json::line(report) } else { report_text::text(report, form) };
    match &args.report {
        Some(Some(path)) => append(path, &text),
        _ => {
            out::note(&if args.json { text } else { format!("\n{text}") });
            Ok(())
        }
    }
}

/// One report after the other, where the command was started again.
fn append(path: &PathBuf, text: &str) -> Result<(), CliError> {
    let wrong = |source| CliError::Write { path: path.clone(), source };
    let plain = out::plain(text).map_err(wrong)?;
    let mut file = fs::File::options().create(true).append(true).open(path).map_err(wrong)?;
    std::io::Write::write_all(&mut file, plain.as_bytes()).map_err(wrong)
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(Exit::RunFailed as u8)
}

/// The signals that are not this process's to die of while the command runs.
struct Signals {
    interrupt: Option<Listener>,
    quit: Option<Listener>,
    terminate: Option<Listener>,
    hangup: Option<Listener>,
}

impl Signals {
    /// A signal that the caller has set to be ignored stays so, for the command too: a handler here
    /// would undo it.
    fn listen() -> Result<Self, CliError> {
        let ignored = ignored_signals();
        let listen = |kind: SignalKind| {
            if ignored & (1 << (kind.as_raw_value() - 1)) != 0 {
                return Ok(None);
            }
            signal(kind).map(Some).map_err(|source| CliError::System { what: "listen for signals", source })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        tokio::select! {
            () = next(&mut self.interrupt) => {}
            () = next(&mut self.quit) => {}
            () = next(&mut self.terminate) => {}
            () = next(&mut self.hangup) => {}
        }
    }

    async fn pass_while(&mut self, child: &mut Child) -> Result<ExitStatus, CliError> {
        let pid = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        loop {
            tokio::select! {
                status = child.wait() => {
                    return status.map_err(|source| CliError::System { what: "wait for the command", source });
                }
                () = next(&mut self.terminate) => hand_on(pid, Signal::TERM),
                () = next(&mut self.hangup) => hand_on(pid, Signal::HUP),
                // The terminal has sent these to the command as well.
                () = next(&mut self.interrupt) => {}
                () = next(&mut self.quit) => {}
            }
        }
    }
}

async fn next(listener: &mut Option<Listener>) {
    let came = match listener {
        Some(listener) => listener.recv().await.is_some(),
        None => false,
    };
    if !came {
        std::future::pending::<()>().await;
    }
}

/// The child has not been waited for, so its number is its own.
fn hand_on(pid: Option<Pid>, signal: Signal) {
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, signal)
    {
        out::note(&format!("sentry: cannot hand the signal on: {}\n", render::safe(&error.to_string())));
    }
}

/// Bit `n - 1`: signal `n` is ignored.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_code_is_passed_through() {
        assert_eq!(code_of(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code_of(ExitStatus::from_raw(255 << 8)), 255);
        assert_eq!(code_of(ExitStatus::from_raw(9)), 137);
        assert_eq!(code_of(ExitStatus::from_raw(15)), 143);
    }

    #[test]
    fn sigpipe_is_ignored_by_the_runtime_and_seen_as_such() {
        assert_ne!(ignored_signals() & (1 << 12), 0);
    }
}
