//! Items from the journal to one reader: what is stored, then what comes.

use sentry_proto::v1;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::refusal::stopping;
use crate::journal::{Filter, JournalError, JournalHandle};

/// Serves one `Items` call.
pub struct Pump {
    pub journal: JournalHandle,
    pub filter: Filter,
    pub sender: mpsc::Sender<Result<v1::StoredItem, Status>>,
    /// Cancelled when the sensor begins to stop.
    pub stopping: CancellationToken,
}

impl Pump {
    /// Ends with the reader, with the journal, or (without `follow`) when all is served.
    pub async fn run(self, newest: u64, follow: bool) {
        let served = tokio::select! {
            served = self.serve(newest, follow) => served.map_err(Status::from),
            () = self.stopping.cancelled() => Err(stopping()),
        };
        if let Err(status) = served {
            // The reader may be gone already, or be too slow to hear of it.
            let _gone = self.sender.try_send(Err(status));
        }
    }

    async fn serve(&self, newest: u64, follow: bool) -> Result<(), JournalError> {
        self.journal.flush().await?;
        let mut committed = self.journal.watch();
        let mut from = self.journal.start_of(self.filter.clone(), newest).await?;
        loop {
            committed.mark_unchanged();
            let position = self.journal.position();
            let end = position.base + position.last;
            let page = self.journal.page(self.filter.clone(), from).await?;
            for (seq, item) in page.items {
                from = seq + 1;
                if self.sender.send(Ok(v1::StoredItem { seq, item: Some(item) })).await.is_err() {
                    return Ok(());
                }
            }
            if let Some(next) = page.next {
                from = next;
                continue;
            }
            if !follow {
                return Ok(());
            }
            // Nothing that matches stands before `end`.
            from = from.max(end + 1);
            tokio::select! {
                () = self.sender.closed() => return Ok(()),
                changed = committed.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}
