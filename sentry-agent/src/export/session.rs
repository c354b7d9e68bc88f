//! One stream: the greeting, then items out, acknowledgements and commands in.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use prost::Message as _;
use sentry_proto::v1::{self, FromSensor, from_collector, from_sensor};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{
    ExportError, connect,
    exporter::Exporter,
    greeting::{self, say},
};
use crate::journal::{Batch, Form};

/// Most bytes of one message, unless a single item has more.
pub const BATCH_BYTES: usize = 1 << 20;
/// Most bytes that wait for an acknowledgement.
pub const WINDOW_BYTES: usize = 8 << 20;
/// For the whole greeting.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// Messages between the reader of the journal and the connection.
const OUTBOX: usize = 2;

pub(super) enum End {
    /// The sensor stops and everything is acknowledged.
    Drained,
    Failed(ExportError),
}

pub(super) struct Session<'a> {
    exporter: &'a Exporter,
    /// Up to here each item waits for its acknowledgement: one of them was refused.
    suspect_until: u64,
    out: watch::Sender<Out>,
    /// Newest acknowledged position, from the Welcome on.
    acked: watch::Sender<u64>,
    welcomed_at: Option<u64>,
    /// How the collector takes events.
    form: Form,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Out {
    /// Position of the item that waits alone.
    alone: Option<u64>,
    last: u64,
}

impl<'a> Session<'a> {
    pub(super) fn new(exporter: &'a Exporter, suspect_until: u64) -> Self {
        Self {
            exporter,
            suspect_until,
            out: watch::Sender::default(),
            acked: watch::Sender::new(0),
            welcomed_at: None,
            form: Form::Single,
        }
    }

    pub(super) async fn run(
        &mut self,
        results: &mut mpsc::Receiver<v1::CommandResult>,
        token: &CancellationToken,
    ) -> End {
        match self.open().await {
            Ok((outbox, inbound, epoch)) => {
                let this = &*self;
                let end = tokio::select! {
                    biased;
                    ended = this.listen(inbound, &outbox, &epoch, results) => ended,
                    ended = this.send_items(&outbox, &epoch) => ended,
                    ended = this.drain(token) => match ended {
                        Ok(()) => return End::Drained,
                        Err(error) => Err(error),
                    },
                };
                match end {
                    Ok(never) => match never {},
                    Err(error) => End::Failed(error),
                }
            }
            Err(error) => End::Failed(error),
        }
    }

    /// The collector acknowledged something new.
    pub(super) fn made_progress(&self) -> bool {
        self.welcomed_at.is_some_and(|at| *self.acked.borrow() > at)
    }

    /// Deals with a refusal. Returns up to where the next stream should send one by one.
    pub(super) async fn suspect(&self, error: &ExportError) -> u64 {
        let acked = *self.acked.borrow();
        let out = *self.out.borrow();
        if !error.refuses_content() || self.welcomed_at.is_none() {
            // An interruption says nothing about the items.
            return if acked < self.suspect_until { self.suspect_until } else { 0 };
        }
        let Some(seq) = out.alone.filter(|seq| *seq == acked + 1) else { return out.last };
        // Exactly one item was out: that one it is.
        tracing::error!(
            item.seq = seq,
            error = sentry_service::error_chain(error),
            "collector refuses an item, dropped"
        );
        if let Err(error) = self.exporter.journal.give_up(seq).await {
            tracing::error!(
                item.seq = seq,
                error = sentry_service::error_chain(&error),
                "refused item not dropped"
            );
        }
        0
    }

    async fn open(
        &mut self,
    ) -> Result<(mpsc::Sender<FromSensor>, Streaming<v1::FromCollector>, Arc<str>), ExportError> {
        let Exporter { config, journal, hello, status, .. } = self.exporter;
        let position = journal.position();
        let epoch = Arc::clone(&position.epoch);
        let hello = v1::Hello { epoch: epoch.to_string(), last: position.last, ..hello.clone() };
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let (inbound, welcome) = timeout(
            WELCOME_TIMEOUT,
            greeting::greet(connect::connect(config).await?, hello, &outbox, outgoing),
        )
        .await
        .unwrap_or(Err(ExportError::Protocol { what: "no welcome from the collector within 10 s" }))?;
        let sent = self.exporter.note_sent(&epoch, 0);
        if welcome.acked > sent {
            let why = format!(
                "the collector has {} positions of epoch {epoch}, of which this journal can have \
                 sent {sent}: an older copy of the journal came back, or somebody else was \
                 taken for this sensor",
                welcome.acked
            );
            journal.begin_epoch(&epoch, why).await?;
            return Err(ExportError::Protocol {
                what: "the collector has more of this epoch than the journal sent; a new epoch begins",
            });
        }
        journal.ack(&epoch, welcome.acked);
        self.acked.send_replace(welcome.acked);
        self.welcomed_at = Some(welcome.acked);
        self.form = if welcome.blocks { Form::Blocks } else { Form::Single };
        tracing::info!(
            collector.uri = config.uri,
            collector.acked = welcome.acked,
            "stream to the collector open"
        );
        status.send_modify(|status| {
            status.connected = Some(welcome.collector);
            status.streams += 1;
            status.last_error = None;
        });
        Ok((outbox, inbound, epoch))
    }

    /// Sends what is committed, as long as the window has room.
    async fn send_items(
        &self,
        outbox: &mpsc::Sender<FromSensor>,
        epoch: &Arc<str>,
    ) -> Result<std::convert::Infallible, ExportError> {
        let journal = &self.exporter.journal;
        let mut committed = journal.watch();
        let mut acked = self.acked.subscribe();
        let mut cursor = *acked.borrow_and_update() + 1;
        let mut window = Window::default();
        loop {
            window.free(*acked.borrow_and_update());
            let position = committed.borrow_and_update().clone();
            if position.epoch != *epoch {
                return Err(ExportError::Protocol { what: "the journal was replaced; a new epoch begins" });
            }
            let alone = cursor <= self.suspect_until;
            let room = if alone { window.is_empty() } else { window.bytes < WINDOW_BYTES };
            // One byte has room for one item. What is refused of a block is one of its events.
            let (form, max_bytes) = if alone { (Form::Single, 1) } else { (self.form, BATCH_BYTES) };
            let wanted = room && cursor <= position.last;
            let batch = if wanted { self.read(cursor, epoch, form, max_bytes).await? } else { None };
            let Some(batch) = batch else {
                // Neither sender ends before this: one is the journal's, one is ours.
                tokio::select! {
                    changed = committed.changed() => {
                        if changed.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                    _ = acked.changed() => {}
                }
                continue;
            };
            let (last, count) = (batch.last, batch.held);
            let items = v1::Items { first_seq: cursor, items: batch.items };
            window.take(last, items.encoded_len());
            self.out.send_replace(Out { alone: alone.then_some(cursor), last });
            self.exporter.note_sent(epoch, last);
            if !say(outbox, from_sensor::Message::Items(items)).await {
                // The stream has ended; what it ended with comes in on the other side.
                std::future::pending::<()>().await;
            }
            self.exporter.status.send_modify(|status| status.sent += count);
            cursor = last + 1;
        }
    }

    /// The next items; `None` where positions exist but nothing is kept of them yet.
    async fn read(
        &self,
        cursor: u64,
        epoch: &Arc<str>,
        form: Form,
        max_bytes: usize,
    ) -> Result<Option<Batch>, ExportError> {
        let batch = self.exporter.journal.read_as(form, cursor, max_bytes).await?;
        if *batch.epoch != **epoch {
            return Err(ExportError::Protocol { what: "the journal was replaced; a new epoch begins" });
        }
        Ok((!batch.items.is_empty()).then_some(batch))
    }

    /// Takes acknowledgements and commands; sends results.
    async fn listen(
        &self,
        mut inbound: Streaming<v1::FromCollector>,
        outbox: &mpsc::Sender<FromSensor>,
        epoch: &Arc<str>,
        results: &mut mpsc::Receiver<v1::CommandResult>,
    ) -> Result<std::convert::Infallible, ExportError> {
        loop {
            let message = tokio::select! {
                message = inbound.message() => message.map_err(ExportError::refused)?,
                Some(result) = results.recv() => {
                    self.answer(outbox, result).await;
                    continue;
                }
            };
            let Some(message) = message else {
                return Err(ExportError::Protocol { what: "the collector closed it" });
            };
            match message.message {
                Some(from_collector::Message::Ack(ack)) => {
                    if ack.seq > self.out.borrow().last.max(*self.acked.borrow()) {
                        return Err(ExportError::Protocol {
                            what: "the collector acknowledged what was not sent",
                        });
                    }
                    self.exporter.journal.ack(epoch, ack.seq);
                    self.acked.send_if_modified(|acked| {
                        let newer = ack.seq > *acked;
                        *acked = ack.seq.max(*acked);
                        newer
                    });
                }
                Some(from_collector::Message::Command(command)) => {
                    if let Some(result) = self.exporter.desk.take(command).await? {
                        self.answer(outbox, result).await;
                    }
                }
                Some(from_collector::Message::Welcome(_) | from_collector::Message::Challenge(_)) => {
                    return Err(ExportError::Protocol { what: "the collector greeted a second time" });
                }
                // From a newer collector: it gets no answer.
                None => tracing::warn!("unknown message from the collector"),
            }
        }
    }

    /// Where the stream has ended the collector asks again on the next one.
    async fn answer(&self, outbox: &mpsc::Sender<FromSensor>, result: v1::CommandResult) {
        let key = result.key.clone();
        if !say(outbox, from_sensor::Message::CommandResult(result)).await {
            tracing::info!(command.key = key, "result of a command waits for the next stream");
        }
    }

    /// Ends when the sensor stops and what was committed by then is acknowledged.
    async fn drain(&self, token: &CancellationToken) -> Result<(), ExportError> {
        token.cancelled().await;
        let target = self.exporter.journal.flush().await?.last;
        let mut acked = self.acked.subscribe();
        // The sender is ours, so this ends with the condition.
        drop(acked.wait_for(|acked| *acked >= target).await);
        Ok(())
    }
}

/// What is sent and not acknowledged.
#[derive(Debug, Default)]
struct Window {
    sent: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Window {
    fn take(&mut self, last: u64, bytes: usize) {
        self.sent.push_back((last, bytes));
        self.bytes += bytes;
    }

    fn free(&mut self, acked: u64) {
        while let Some((_, bytes)) = self.sent.pop_front_if(|(last, _)| *last <= acked) {
            self.bytes -= bytes;
        }
    }

    fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}
