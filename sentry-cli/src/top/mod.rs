//! `sentry top`: the runs in a terminal, live, and the keys that stop them.
//!
//! - `model`: what is shown and what a key means; pure.
//! - `draw`: the model as cells of a terminal; pure.
//! - here: the terminal, the clock and the sensor.

mod draw;

mod model;

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};
use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_view::{Finding, Outcome, Run};
use tonic::Code;

use self::model::{Ask, Reading, Top};
use super::{
    args::TopArgs,
    client::{Client, connect},
    error::CliError,
    exit::Exit,
    explain, out, query,
    render::{
        finding,
        json::Origin,
        report::{self, Form},
        safe,
    },
    story,
};

/// The newest findings of the selected run that are shown below the list.
const FINDINGS: u64 = 3;
/// Longest wait for one answer of the sensor: the terminal stands still meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(args: &TopArgs) -> Result<Exit, CliError> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(CliError::Other {
            what: "`sentry top` needs a terminal to draw on; `sentry agents --json` prints the same runs"
                .into(),
            exit: Exit::Usage,
        });
    }
    let sensor = Sensor::connect(args)?;
    let reading = sensor.reading(None, false)?;
    let mut terminal =
        ratatui::try_init().map_err(|source| CliError::System { what: "use the terminal", source })?;
    let ended = Screen { sensor, top: Top::new(colours()), every: Duration::from_secs(args.every) }
        .show(&mut terminal, reading);
    ratatui::restore();
    ended.map(|()| Exit::Ok)
}

/// `NO_COLOR`, <https://no-color.org>: set to anything but nothing.
fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

struct Screen {
    sensor: Sensor,
    top: Top,
    every: Duration,
}

impl Screen {
    fn show(&mut self, terminal: &mut DefaultTerminal, first: Reading) -> Result<(), CliError> {
        let broken = |source| CliError::System { what: "draw on the terminal", source };
        let started = Instant::now();
        self.top.read(first, started.elapsed());
        let mut next = self.every;
        loop {
            terminal.draw(|frame| draw::draw(frame, &self.top)).map_err(broken)?;
            let left = if self.top.due() { Duration::ZERO } else { next.saturating_sub(started.elapsed()) };
            if event::poll(left).map_err(broken)? {
                // A resize needs no more than the next draw.
                if let Event::Key(key) = event::read().map_err(broken)?
                    && key.kind != KeyEventKind::Release
                {
                    match self.top.key(key) {
                        Some(Ask::Quit) => return Ok(()),
                        Some(ask) => self.ask(ask),
                        None => {}
                    }
                }
                if !self.top.due() {
                    continue;
                }
            }
            // A sensor that restarts is met again: what was there stays on the screen meanwhile.
            match self.sensor.reading(self.top.selected(), self.top.all()) {
                Ok(reading) => self.top.read(reading, started.elapsed()),
                Err(error) => self.top.failed(sentry_service::error_chain(&error)),
            }
            next = started.elapsed() + self.every;
        }
    }

    fn ask(&mut self, ask: Ask) {
        let answer = match ask {
            Ask::Quit => return,
            Ask::Act { action, run } => match self.sensor.act(action.wire(), &run) {
                Ok(line) => return self.top.note(line),
                Err(error) => Err(error),
            },
            Ask::Explain { run } => self.sensor.explain(&run).map(|text| ("What was found", text)),
            Ask::Report { run } => self.sensor.report(&run).map(|text| ("Report", text)),
        };
        match answer {
            Ok((title, text)) => self.top.open(title, text),
            Err(error) => self.top.note(sentry_service::error_chain(&error)),
        }
    }
}

/// The sensor, asked on this thread.
struct Sensor {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Sensor {
    fn connect(args: &TopArgs) -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::System { what: "start the runtime", source })?;
        let client = runtime.block_on(connect(&args.socket.socket))?;
        Ok(Self { runtime, client })
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_late| {
                let what = format!("the sensor has not answered within {} s", PATIENCE.as_secs());
                Err(CliError::Other { what, exit: Exit::Unavailable })
            })
        })
    }

    fn reading(&self, selected: Option<&str>, all: bool) -> Result<Reading, CliError> {
        let mut client = self.client.clone();
        self.wait(async {
            let runs = query::runs(&mut client, all).await?.iter().map(Run::from).collect();
            let status = client.status(v1::StatusRequest::default()).await?.into_inner();
            let findings = match selected {
                Some(run) => known(newest_findings(&mut client, run, FINDINGS).await)?,
                None => Vec::new(),
            };
            Ok(Reading { runs, findings, health: status.health })
        })
    }

    fn act(&self, action: v1::Action, run: &str) -> Result<String, CliError> {
        let mut client = self.client.clone();
        let request = v1::ActRequest {
            target: run.to_owned(),
            action: action.into(),
            reason: "asked for in sentry top".into(),
        };
        self.wait(async {
            let reply = client.act(request).await?.into_inner();
            let outcome =
                reply.outcome.as_ref().map(Outcome::from).ok_or(CliError::Incomplete { field: "outcome" })?;
            text(&finding::outcome_line(&outcome))
        })
    }

    fn explain(&self, run: &str) -> Result<String, CliError> {
        let mut client = self.client.clone();
        self.wait(async {
            let Some(newest) = newest_findings(&mut client, run, 1).await?.pop() else {
                return Ok("Nothing was found in this run so far.\n".into());
            };
            text(&finding::explain(&explain::gather(&mut client, run, &newest.id).await?))
        })
    }

    fn report(&self, run: &str) -> Result<String, CliError> {
        let mut client = self.client.clone();
        self.wait(async {
            let report = story::of_target(&mut client, Some(run), &Origin::default(), false).await?;
            text(&report::text(&report, Form { width: out::width(), ..Form::default() }))
        })
    }
}

/// Oldest first.
async fn newest_findings(client: &mut Client, run: &str, limit: u64) -> Result<Vec<Finding>, CliError> {
    let findings = query::newest_of(client, run, &[ItemKind::Finding], limit).await?;
    let finding = |item| match item {
        Item::Finding(finding) => Some(Finding::from(&finding)),
        _ => None,
    };
    Ok(findings.into_iter().filter_map(finding).collect())
}

/// Of a run that the sensor does not have any more nothing is known.
fn known(findings: Result<Vec<Finding>, CliError>) -> Result<Vec<Finding>, CliError> {
    match findings {
        Err(CliError::Sensor(status)) if status.code() == Code::NotFound => Ok(Vec::new()),
        findings => findings,
    }
}

/// Without the colours of a line of text: cells have their own. What an agent wrote was made
/// harmless when the text was made; what is left are line ends.
fn text(answer: &str) -> Result<String, CliError> {
    let plain = out::plain(answer).map_err(|source| CliError::System { what: "read the answer", source })?;
    Ok(plain.lines().map(|line| safe(line) + "\n").collect())
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn a_run_that_the_sensor_has_deleted_has_no_findings() {
        let gone = Status::not_found("there is no run of this id");
        assert!(matches!(known(Err(gone.into())), Ok(findings) if findings.is_empty()));
        let stopped = Status::unavailable("the sensor stops");
        assert!(known(Err(stopped.into())).is_err());
        assert!(matches!(known(Ok(vec![Finding::default()])), Ok(findings) if findings.len() == 1));
    }
}
