//! One stream of one sensor: hello, then items in and acknowledgements and commands out until either side ends it.
//!
//! However it ends, what was handed to the writer is waited for and acknowledged before the status goes out.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prost::Message as _;
use sentry_proto::v1::{self, FromCollector, FromSensor, from_collector, from_sensor};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::{Code, Status, Streaming};

use crate::{
    ingest::{
        auth,
        item::{Batch, check_hello},
        registry::Seat,
        service::FeedService,
    },
    store::{
        StoreGone,
        job::{Opened, Progress},
    },
};

const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a stream waits for the commits of what it sent.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

type Answers = mpsc::Sender<Result<FromCollector, Status>>;

pub(crate) struct Session {
    service: FeedService,
    chain: Option<Arc<Vec<CertificateDer<'static>>>>,
    answers: Answers,
}

/// A session after its hello.
struct Talk<'a> {
    service: &'a FeedService,
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
    /// The transport is gone; nobody hears an answer.
    Gone,
    With(Status),
}

// === impl Session ===

impl Session {
    pub(crate) fn new(
        service: FeedService,
        chain: Option<Arc<Vec<CertificateDer<'static>>>>,
        answers: Answers,
    ) -> Self {
        Self { service, chain, answers }
    }

    pub(crate) async fn run(self, mut inbound: Streaming<FromSensor>) {
        let end = match self.greet(&mut inbound).await {
            Ok(hello) => self.talk(hello, inbound).await,
            Err(end) => end,
        };
        if let End::With(status) = end {
            if refusal(&status) {
                self.service.metrics.refused_streams.fetch_add(1, Relaxed);
            }
            // The sensor may be gone; then nobody waits for the status.
            self.answers.send(Err(status)).await.ok();
        }
    }

    /// The first message, from somebody who may speak for the sensor it names.
    async fn greet(&self, inbound: &mut Streaming<FromSensor>) -> Result<v1::Hello, End> {
        let first = tokio::select! {
            biased;
            () = self.service.drain.cancelled() => return Err(End::With(draining())),
            first = timeout(HELLO_TIMEOUT, inbound.message()) => first,
        };
        let message = match first {
            Err(_elapsed) => return Err(End::With(Status::deadline_exceeded("no hello within 10 s"))),
            Ok(Err(status)) => return Err(End::With(status)),
            Ok(Ok(None)) => return Err(End::Closed),
            Ok(Ok(Some(message))) => message,
        };
        let Some(from_sensor::Message::Hello(hello)) = message.message else {
            return Err(End::With(Status::failed_precondition("the first message must be a hello")));
        };
        check_hello(&hello).map_err(|bad| End::With(Status::invalid_argument(bad.to_string())))?;
        if self.service.certified
            && let Err(not_yours) =
                auth::check(self.chain.as_ref().map(|chain| chain.as_slice()), &hello.sensor)
        {
            tracing::warn!(sensor = hello.sensor, why = %not_yours, "sensor refused");
            return Err(End::With(Status::permission_denied(not_yours.to_string())));
        }
        Ok(hello)
    }

    async fn talk(&self, hello: v1::Hello, inbound: Streaming<FromSensor>) -> End {
        let sensor = hello.sensor.clone();
        let seat = self.service.registry.seat(&sensor);
        let opened = tokio::select! {
            biased;
            () = self.service.drain.cancelled() => return End::With(draining()),
            () = seat.replaced.cancelled() => return End::With(replaced()),
            opened = self.service.store.open_feed(hello) => match opened {
                Ok(opened) => opened,
                Err(StoreGone) => return End::With(draining()),
            },
        };
        tracing::info!(sensor, acked = opened.acked, "sensor connected");
        let welcome = v1::Welcome {
            acked: opened.acked,
            collector: format!("sentry-collector {}", env!("CARGO_PKG_VERSION")),
        };
        if !say(&self.answers, from_collector::Message::Welcome(welcome)).await {
            return End::Gone;
        }
        let talk = Talk {
            service: &self.service,
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
            () = self.service.drain.cancelled() => End::With(draining()),
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
            // A refusal found while settling says more than the end of the stream.
            Ok(End::With(status)) => End::With(status),
            Ok(End::Closed | End::Gone) | Err(_) => end,
        }
    }

    /// Passes commits on as acknowledgements; with `settle`, until all that was handed over is committed.
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
            // The sender lives in `self`, so this fails never.
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
                // The connection broke; what the sensor sent too much or wrongly has codes of its own.
                Err(status) if matches!(status.code(), Code::Unknown | Code::Cancelled) => return End::Gone,
                Err(status) => return End::With(status),
            };
            let size = message.encoded_len();
            let taken = match message.message {
                Some(from_sensor::Message::Items(items)) => self.items(items, size).await,
                Some(from_sensor::Message::CommandResult(result)) => self.result(result).await,
                Some(from_sensor::Message::Hello(_)) => {
                    Err(End::With(Status::failed_precondition("a second hello; open a new stream instead")))
                }
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
        self.service
            .store
            .put(&self.opened, batch, size, Arc::clone(&self.progress))
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
        self.service
            .store
            .command_result(self.sensor.to_owned(), result.key, outcome.encode_to_vec())
            .await
            .map_err(|StoreGone| End::With(draining()))
    }

    /// Sends every unanswered command of this sensor once per stream.
    async fn command(&self) -> End {
        let mut given = HashSet::new();
        loop {
            match self.service.store.open_commands(self.sensor).await {
                Ok(waiting) => {
                    // Answered ones are not listed any more, so this stays as small as the list.
                    given.retain(|key| waiting.iter().any(|command| &command.key == key));
                    for command in waiting {
                        if !given.insert(command.key.clone()) {
                            continue;
                        }
                        let key = command.key.clone();
                        tracing::info!(sensor = self.sensor, key, "command delivered");
                        if !say(self.answers, from_collector::Message::Command(command)).await {
                            return End::Gone;
                        }
                        self.service.store.command_delivered(key);
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

/// Whether the sensor is at fault rather than the moment.
fn refusal(status: &Status) -> bool {
    !matches!(status.code(), Code::Unavailable | Code::Aborted | Code::Cancelled)
}
