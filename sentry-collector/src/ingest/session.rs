//! One stream of one sensor: proof, then items in and acknowledgements and commands out until
//! either side ends it. The sensor's place in the registry is taken only once it is proven.
//!
//! However it ends, the session first waits for the writer's commits and acknowledges them, then
//! sends the status.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prost::Message as _;
use sentry_proto::v1::{self, FromCollector, FromSensor, from_collector, from_sensor};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use super::{
    gate::{Gate, NotProven},
    peer::Peer,
    registry::{Registry, Seat},
};
use crate::{
    feed::{
        item::{Batch, check_hello},
        way::Way,
    },
    metrics::Metrics,
    store::{NotOpened, Opened, Progress, Store, StoreGone},
};

/// For the hello and for the answer to the challenge.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a stream waits for the commits of what it sent.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// Refusals that are logged individually.
const LOGGED: u64 = 64;

type Answers = mpsc::Sender<Result<FromCollector, Status>>;

/// What all sessions share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the collector drains.
    pub(crate) drain: CancellationToken,
    pub(crate) gate: Arc<Gate>,
}

pub(crate) struct Session {
    shared: Shared,
    peer: Peer,
    chain: Option<Arc<Vec<CertificateDer<'static>>>>,
    answers: Answers,
}

/// A session after its hello.
struct Talk<'a> {
    shared: &'a Shared,
    answers: &'a Answers,
    seat: &'a Seat,
    sensor: &'a str,
    opened: Opened,
    progress: Arc<watch::Sender<Progress>>,
    /// Highest position handed to the writer.
    sent: AtomicU64,
}

/// Why a stream ends.
enum End {
    /// The sensor closed its side.
    Closed,
    /// The transport is gone: no answer can reach the sensor.
    Gone,
    With(Status),
}

// === impl Session ===

impl Session {
    pub(crate) fn new(
        shared: Shared,
        peer: Peer,
        chain: Option<Arc<Vec<CertificateDer<'static>>>>,
        answers: Answers,
    ) -> Self {
        Self { shared, peer, chain, answers }
    }

    pub(crate) async fn run(self, mut inbound: Streaming<FromSensor>) {
        let end = match self.greet(&mut inbound).await {
            Ok((hello, way)) => self.talk(hello, way, inbound).await,
            Err(end) => end,
        };
        if let End::With(status) = end {
            if refusal(&status) {
                self.shared.metrics.refused_streams.fetch_add(1, Relaxed);
            }
            // The sensor may have gone; then no one waits for the status.
            self.answers.send(Err(status)).await.ok();
        }
    }

    /// The hello of a proven sensor, and the way of its proof.
    async fn greet(&self, inbound: &mut Streaming<FromSensor>) -> Result<(v1::Hello, Way), End> {
        let Some(from_sensor::Message::Hello(hello)) = self.hear(inbound, "no hello within 10 s").await?
        else {
            return Err(End::With(Status::failed_precondition("the first message must be a hello")));
        };
        check_hello(&hello).map_err(|bad| End::With(Status::invalid_argument(bad.to_string())))?;
        let gate = &self.shared.gate;
        let chain = self.chain.as_ref().map(|chain| chain.as_slice());
        let admitted = gate.admit(&hello, &self.peer, chain).map_err(|why| self.turn_away(&hello, &why))?;
        if let Some(way) = admitted {
            return Ok((hello, way));
        }
        let challenge = gate.challenge(&hello, &self.peer).map_err(|why| self.turn_away(&hello, &why))?;
        let question = from_collector::Message::Challenge(challenge.message(&hello));
        if !say(&self.answers, question).await {
            return Err(End::Gone);
        }
        let late = "no answer to the challenge within 10 s";
        let Some(from_sensor::Message::Proof(proof)) = self.hear(inbound, late).await? else {
            let what = "the second message must be the answer to the challenge";
            return Err(End::With(Status::unauthenticated(what)));
        };
        let way = challenge.judge(&hello, &proof).map_err(|why| self.turn_away(&hello, &why))?;
        Ok((hello, way))
    }

    /// One message of the greeting.
    async fn hear(
        &self,
        inbound: &mut Streaming<FromSensor>,
        late: &'static str,
    ) -> Result<Option<from_sensor::Message>, End> {
        let message = tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => return Err(End::With(draining())),
            message = timeout(GREETING_TIMEOUT, inbound.message()) => message,
        };
        match message {
            Err(_elapsed) => Err(End::With(Status::deadline_exceeded(late))),
            Ok(Err(status)) => Err(End::With(status)),
            Ok(Ok(None)) => Err(End::Closed),
            Ok(Ok(Some(message))) => Ok(message.message),
        }
    }

    fn turn_away(&self, hello: &v1::Hello, why: &NotProven) -> End {
        let refused = self.shared.metrics.unproven_streams.fetch_add(1, Relaxed) + 1;
        // A peer that tries again and again must not fill the log.
        if refused <= LOGGED || refused.is_power_of_two() {
            tracing::warn!(sensor = hello.sensor, %why, refused, "sensor refused");
        }
        End::With(Status::from(why))
    }

    async fn talk(&self, hello: v1::Hello, way: Way, inbound: Streaming<FromSensor>) -> End {
        let sensor = hello.sensor.clone();
        let opened = tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => return End::With(draining()),
            opened = self.shared.store.open_feed(hello, way) => match opened {
                Ok(Ok(opened)) => opened,
                Ok(Err(why)) => {
                    tracing::warn!(sensor, %why, "sensor refused");
                    return End::With(Status::from(&why));
                }
                Err(StoreGone) => return End::With(draining()),
            },
        };
        self.peer.prove();
        let seat = self.shared.registry.seat(&sensor);
        tracing::info!(sensor, acked = opened.acked, "sensor connected");
        let welcome = v1::Welcome {
            acked: opened.acked,
            collector: format!("sentry-collector {}", env!("CARGO_PKG_VERSION")),
            blocks: true,
        };
        if !say(&self.answers, from_collector::Message::Welcome(welcome)).await {
            return End::Gone;
        }
        let talk = Talk {
            shared: &self.shared,
            answers: &self.answers,
            seat: &seat,
            sensor: &sensor,
            sent: AtomicU64::new(opened.acked),
            progress: Arc::new(watch::Sender::new(Progress { acked: opened.acked, refused: None })),
            opened,
        };
        let end = talk.run(inbound).await;
        match &end {
            End::With(status) => {
                tracing::info!(sensor, code = ?status.code(), why = status.message(), "stream ended");
            }
            End::Closed | End::Gone => tracing::info!(sensor, "sensor disconnected"),
        }
        end
    }
}

// === impl Talk ===

impl Talk<'_> {
    async fn run(&self, inbound: Streaming<FromSensor>) -> End {
        let mut progress = self.progress.subscribe();
        let mut said = self.opened.acked;
        let end = tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => End::With(draining()),
            () = self.seat.replaced.cancelled() => End::With(replaced()),
            () = self.answers.closed() => End::Gone,
            end = self.acknowledge(&mut progress, &mut said, false) => end,
            end = self.listen(inbound) => end,
            end = self.command() => end,
        };
        if matches!(end, End::Gone) {
            return end;
        }
        match timeout(SETTLE_TIMEOUT, self.acknowledge(&mut progress, &mut said, true)).await {
            // A refusal by the writer explains more than the end of the stream.
            Ok(End::With(status)) => End::With(status),
            Ok(End::Closed | End::Gone) | Err(_) => end,
        }
    }

    /// Passes commits on as acknowledgements; with `settle`, until everything handed over is
    /// committed.
    async fn acknowledge(
        &self,
        progress: &mut watch::Receiver<Progress>,
        said: &mut u64,
        settle: bool,
    ) -> End {
        loop {
            let now = progress.borrow_and_update().clone();
            if now.acked > *said {
                if !say(self.answers, from_collector::Message::Ack(v1::Ack { seq: now.acked })).await {
                    return End::Gone;
                }
                *said = now.acked;
            }
            if let Some(hole) = now.refused {
                return End::With(Status::failed_precondition(hole.to_string()));
            }
            if settle && *said >= self.sent.load(Relaxed) {
                return End::Closed;
            }
            // The sender lives in `self`, so this never fails.
            if progress.changed().await.is_err() {
                return End::Gone;
            }
        }
    }

    /// Takes what the sensor sends until it stops or sends something that is refused.
    async fn listen(&self, mut inbound: Streaming<FromSensor>) -> End {
        loop {
            let message = match inbound.message().await {
                Ok(Some(message)) => message,
                Ok(None) => return End::Closed,
                // The connection broke. Too large or malformed messages have codes of their own.
                Err(status) if matches!(status.code(), Code::Unknown | Code::Cancelled) => return End::Gone,
                Err(status) => return End::With(status),
            };
            let size = message.encoded_len();
            let taken = match message.message {
                Some(from_sensor::Message::Items(items)) => self.items(items, size).await,
                Some(from_sensor::Message::CommandResult(result)) => self.result(result).await,
                Some(from_sensor::Message::Hello(_) | from_sensor::Message::Proof(_)) => Err(End::With(
                    Status::failed_precondition("a second greeting; open a new stream instead"),
                )),
                None => Err(End::With(Status::invalid_argument(
                    "a message is empty or of a kind this collector does not know",
                ))),
            };
            if let Err(end) = taken {
                return end;
            }
        }
    }

    async fn items(&self, items: v1::Items, size: usize) -> Result<(), End> {
        let checked =
            Batch::check(items).map_err(|bad| End::With(Status::invalid_argument(bad.to_string())))?;
        let Some(batch) = checked else { return Ok(()) };
        let last = batch.last;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.opened.reach.check(last, now).map_err(|leap| {
            tracing::warn!(sensor = self.sensor, position = last, "leap refused");
            End::With(Status::failed_precondition(leap.to_string()))
        })?;
        self.shared
            .store
            .apply(&self.opened, batch, size, Arc::clone(&self.progress))
            .await
            .map_err(|StoreGone| End::With(draining()))?;
        self.sent.fetch_max(last, Relaxed);
        Ok(())
    }

    async fn result(&self, result: v1::CommandResult) -> Result<(), End> {
        let Some(outcome) = result.outcome else {
            let why = format!("the result of command {:?} has no outcome", result.key);
            return Err(End::With(Status::invalid_argument(why)));
        };
        self.shared
            .store
            .command_result(self.sensor.to_owned(), result.key, outcome.encode_to_vec())
            .await
            .map_err(|StoreGone| End::With(draining()))
    }

    /// Sends every unanswered command of this sensor once per stream.
    async fn command(&self) -> End {
        let mut given = HashSet::new();
        loop {
            match self.shared.store.open_commands(self.sensor).await {
                Ok(waiting) => {
                    // Answered commands are no longer listed, so this stays as small as the list.
                    given.retain(|key| waiting.iter().any(|command| &command.key == key));
                    for command in waiting {
                        if !given.insert(command.key.clone()) {
                            continue;
                        }
                        if self.shared.store.command_delivered(command.key.clone()).await.is_err() {
                            return End::With(draining());
                        }
                        tracing::info!(sensor = self.sensor, key = command.key, "command delivered");
                        if !say(self.answers, from_collector::Message::Command(command)).await {
                            return End::Gone;
                        }
                    }
                }
                Err(error) => {
                    tracing::error!(sensor = self.sensor, %error, "commands cannot be read");
                    return End::With(Status::unavailable("the store cannot be read; connect again"));
                }
            }
            self.seat.commands.notified().await;
        }
    }
}

async fn say(answers: &Answers, message: from_collector::Message) -> bool {
    answers.send(Ok(FromCollector { message: Some(message) })).await.is_ok()
}

fn draining() -> Status {
    Status::unavailable("the collector is shutting down; connect again")
}

fn replaced() -> Status {
    Status::aborted("a newer stream of this sensor took over")
}

impl From<&NotOpened> for Status {
    fn from(why: &NotOpened) -> Self {
        match why {
            NotOpened::Way { .. } | NotOpened::Holder { .. } => Self::permission_denied(why.to_string()),
            NotOpened::Leap(_) => Self::failed_precondition(why.to_string()),
        }
    }
}

/// Whether the sensor is at fault, so that a retry would not help.
fn refusal(status: &Status) -> bool {
    !matches!(status.code(), Code::Unavailable | Code::Aborted | Code::Cancelled)
}
