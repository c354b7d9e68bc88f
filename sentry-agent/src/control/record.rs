//! A run with all that it was judged by, for one reader.

use sentry_proto::{
    block::EVENTS,
    v1::{self, item::Item},
};
use sentry_recording::{Encoder, RecordingError};
use sentry_service::error_chain;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::refusal;
use crate::journal::{Filter, JournalHandle};

/// Most bytes of one message.
const MESSAGE_BYTES: usize = 1 << 20;

/// Serves one `Record` call.
pub(super) struct Recorder {
    pub(super) journal: JournalHandle,
    pub(super) run: v1::Run,
    pub(super) sender: Sender<Result<v1::RecordedBytes, Status>>,
    /// Cancelled when the sensor begins to stop.
    pub(super) stopping: CancellationToken,
}

impl Recorder {
    /// Ends with the reader, the sensor, or when all is served.
    pub(super) async fn run(self) {
        let sensor = self.stopping.clone();
        let served = tokio::select! {
            served = self.serve() => served,
            () = sensor.cancelled() => Err(refusal::stopping()),
        };
        if let Err(status) = served {
            // The reader may be gone already, or be too slow to hear of it.
            let _gone = self.sender.try_send(Err(status));
        }
    }

    async fn serve(&self) -> Result<(), Status> {
        let mut encoder = Encoder::new().map_err(refused)?;
        let run = v1::Item { item: Some(Item::Run(self.run.clone())) };
        self.send([encoder.begin(env!("CARGO_PKG_VERSION")), encoder.item(&run)].concat()).await?;
        for part in self.journal.tapes(self.run.id.clone()).await? {
            self.send(encoder.part(&part)).await?;
        }
        let filter = Filter { run: Some(self.run.id.clone()), ..Filter::default() };
        let (mut from, mut events) = (Some(0), Vec::new());
        while let Some(start) = from {
            let page = self.journal.page(filter.clone(), start).await?;
            for (_seq, item) in page.items {
                match item.item {
                    Some(Item::Event(event)) => events.push(event),
                    Some(Item::Gap(_)) => {
                        self.send(encoder.events(&std::mem::take(&mut events)).map_err(refused)?).await?;
                        self.send(encoder.item(&item)).await?;
                    }
                    Some(Item::Finding(_) | Item::Decision(_) | Item::Outcome(_)) => {
                        self.send(encoder.item(&item)).await?;
                    }
                    // The newest state stands at the beginning; blocks come as their events.
                    Some(Item::Run(_) | Item::Block(_)) | None => {}
                }
                if events.len() == EVENTS {
                    self.send(encoder.events(&std::mem::take(&mut events)).map_err(refused)?).await?;
                }
            }
            from = page.next;
        }
        self.send(encoder.events(&events).map_err(refused)?).await?;
        self.send(encoder.end()).await
    }

    async fn send(&self, bytes: Vec<u8>) -> Result<(), Status> {
        for content in bytes.chunks(MESSAGE_BYTES) {
            let message = v1::RecordedBytes { content: content.to_vec() };
            self.sender.send(Ok(message)).await.map_err(|_gone| Status::cancelled("the reader is gone"))?;
        }
        Ok(())
    }
}

fn refused(error: RecordingError) -> Status {
    Status::internal(format!("the run cannot be recorded: {}", error_chain(&error)))
}
