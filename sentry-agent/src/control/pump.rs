//! Items from the journal to one reader: what is stored, then what comes.

use sentry_proto::v1;
use tokio::sync::mpsc;
use tonic::Status;

use crate::{
    error_chain,
    journal::{JournalHandle, Query},
};

/// Rows fetched at once.
const PAGE: u64 = 512;

/// Serves one `Items` call.
pub struct Pump {
    pub journal: JournalHandle,
    pub query: Query,
    pub sender: mpsc::Sender<Result<v1::StoredItem, Status>>,
}

impl Pump {
    /// Ends with the reader, with the journal, or (without `follow`) when all is served.
    pub async fn run(mut self, limit: u64, follow: bool) {
        self.journal.flush().await;
        let mut committed = self.journal.committed();
        committed.mark_unchanged();
        if limit > 0 {
            self.query.newest = Some(limit);
        }
        loop {
            match self.page().await {
                Ok(0) if !follow => return,
                Ok(0) => {
                    tokio::select! {
                        () = self.sender.closed() => return,
                        changed = committed.changed() => if changed.is_err() { return },
                    }
                }
                Ok(_) => {}
                Err(status) => {
                    // The reader may be gone already.
                    let _gone = self.sender.send(Err(status)).await;
                    return;
                }
            }
        }
    }

    /// Sends the next page; says how many items it had.
    async fn page(&mut self) -> Result<usize, Status> {
        let (journal, query) = (self.journal.clone(), self.query.clone());
        let page = tokio::task::spawn_blocking(move || journal.page(&query, PAGE))
            .await
            .map_err(|error| Status::internal(format!("a worker failed: {error}")))?
            .map_err(|error| Status::internal(error_chain(&error)))?;
        let count = page.len();
        for (seq, item) in page {
            self.query.after = seq;
            if self.sender.send(Ok(v1::StoredItem { seq, item: Some(item) })).await.is_err() {
                return Err(Status::cancelled("the reader went away"));
            }
        }
        self.query.newest = None;
        Ok(count)
    }
}
