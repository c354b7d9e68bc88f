//! Commands: each key is carried out once, its result is noted and repeated.
//!
//! A key is noted as begun before the app hears of it. A sensor that ends in between does not act
//! again when the command is repeated: it answers that it was interrupted. Where the key cannot be
//! noted, a freeze or a kill is carried out all the same.

use std::{
    collections::HashSet,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use sentry_proto::v1;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot, watch};

use crate::journal::{CommandState, JournalError, JournalHandle};

/// Results of commands that wait for a stream.
pub const RESULTS: usize = 64;

/// A command of the collector, to be carried out once.
#[derive(Debug)]
pub struct CommandRequest {
    pub command: v1::Command,
    /// Takes the verified outcome.
    pub reply: oneshot::Sender<v1::Outcome>,
}

pub(super) struct Desk {
    journal: JournalHandle,
    app: mpsc::Sender<CommandRequest>,
    /// Keys that the app has.
    in_flight: watch::Sender<HashSet<String>>,
    /// Commands on their way from a stream to [`Desk::note_results`].
    given: mpsc::Sender<Given>,
    waiting: AsyncMutex<mpsc::Receiver<Given>>,
    results: mpsc::Sender<v1::CommandResult>,
}

/// A command that the app has.
struct Given {
    command: v1::Command,
    outcome: oneshot::Receiver<v1::Outcome>,
}

impl Desk {
    /// Also returns where results come out, for whichever stream is open.
    pub(super) fn new(
        journal: JournalHandle,
        app: mpsc::Sender<CommandRequest>,
    ) -> (Self, mpsc::Receiver<v1::CommandResult>) {
        let (results, outbox) = mpsc::channel(RESULTS);
        let (given, waiting) = mpsc::channel(RESULTS);
        let desk = Self {
            journal,
            app,
            in_flight: watch::Sender::default(),
            given,
            waiting: AsyncMutex::new(waiting),
            results,
        };
        (desk, outbox)
    }

    /// Takes a command. `Some` answers it at once; otherwise the result comes later.
    pub(super) async fn take(&self, command: v1::Command) -> Result<Option<v1::CommandResult>, JournalError> {
        if self.in_flight.borrow().contains(&command.key) {
            return Ok(None);
        }
        // Room first: a key that is noted as begun must reach the app.
        let (Ok(to_app), Ok(to_notes)) = (self.app.try_reserve(), self.given.try_reserve()) else {
            let known = self.journal.command_result(command.key.clone()).await?;
            let busy = || failed(&command, "the sensor has too many commands waiting; command again");
            return Ok(Some(known.unwrap_or_else(busy)));
        };
        let state = match self.journal.begin_command(command.key.clone()).await {
            Err(error) if stops(&command) => {
                tracing::error!(
                    command.key = command.key,
                    error = &error as &dyn std::error::Error,
                    "command not noted, carried out all the same"
                );
                CommandState::New
            }
            other => other?,
        };
        match state {
            CommandState::Done(result) => Ok(Some(result)),
            CommandState::Begun => Ok(Some(failed(
                &command,
                "the sensor restarted while it acted on this; look at the run and command again",
            ))),
            CommandState::New => {
                tracing::info!(command.key = command.key, run.id = command.run, "command from the collector");
                self.in_flight.send_modify(|keys| {
                    keys.insert(command.key.clone());
                });
                let (reply, outcome) = oneshot::channel();
                to_app.send(CommandRequest { command: command.clone(), reply });
                to_notes.send(Given { command, outcome });
                Ok(None)
            }
        }
    }

    /// Notes each result in the journal, then offers it to the stream. Runs for ever.
    pub(super) async fn note_results(&self) {
        let mut waiting = self.waiting.lock().await;
        let mut acting = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(given) = waiting.recv() => acting.push(async move {
                    let outcome = given.outcome.await;
                    (given.command, outcome)
                }),
                Some((command, outcome)) = acting.next() => {
                    let result = match outcome {
                        Ok(outcome) => v1::CommandResult { key: command.key.clone(), outcome: Some(outcome) },
                        Err(oneshot::error::RecvError { .. }) => {
                            failed(&command, "the sensor gave the command up")
                        }
                    };
                    self.note(result).await;
                }
                else => return,
            }
        }
    }

    async fn note(&self, result: v1::CommandResult) {
        if let Err(error) = self.journal.finish_command(result.clone()).await {
            tracing::error!(
                command.key = result.key,
                error = &error as &dyn std::error::Error,
                "result of a command not noted"
            );
        }
        self.in_flight.send_modify(|keys| {
            keys.remove(&result.key);
        });
        // Without room the collector asks again and gets it from the journal.
        drop(self.results.try_send(result));
    }

    /// Waits until the app has no command in its hands.
    pub(super) async fn idle(&self) {
        // The sender is ours, so this ends with the condition.
        drop(self.in_flight.subscribe().wait_for(HashSet::is_empty).await);
    }
}

/// A run that has to stop does not wait for a full disk. Without the note the act is repeated where
/// its answer is lost: that harms nobody.
fn stops(command: &v1::Command) -> bool {
    matches!(command.action(), v1::Action::Freeze | v1::Action::Kill)
}

fn failed(command: &v1::Command, why: &str) -> v1::CommandResult {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let outcome = v1::Outcome {
        run: command.run.clone(),
        action: command.action,
        result: v1::outcome::Result::Failed.into(),
        why: why.to_owned(),
        time_unix_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        ..v1::Outcome::default()
    };
    v1::CommandResult { key: command.key.clone(), outcome: Some(outcome) }
}
