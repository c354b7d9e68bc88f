//! Items from the journal to one reader: what is stored, then what comes.

use std::{collections::VecDeque, time::Duration};

use sentry_proto::v1::{self, item::Item};
use sentry_story::Search;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::refusal::stopping;
use crate::journal::{Filter, JournalError, JournalHandle};

/// Between two looks of a reader that follows.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Most positions of matches that are remembered to find the newest; who asks for more gets all.
const NEWEST: u64 = 100_000;

/// Serves one `Items` call.
pub struct Pump {
    pub journal: JournalHandle,
    pub filter: Filter,
    pub search: Option<Search>,
    pub sender: mpsc::Sender<Result<v1::StoredItem, Status>>,
    /// Cancelled when the sensor begins to stop.
    pub stopping: CancellationToken,
}

impl Pump {
    /// Ends with the reader, with the journal, or (without `follow`) when all is served.
    pub async fn run(mut self, newest: u64, follow: bool) {
        let sensor = self.stopping.clone();
        let served = tokio::select! {
            served = self.serve(newest, follow) => served.map_err(Status::from),
            () = sensor.cancelled() => Err(stopping()),
        };
        if let Err(status) = served {
            // The reader may be gone already, or be too slow to hear of it.
            let _gone = self.sender.try_send(Err(status));
        }
    }

    async fn serve(&mut self, newest: u64, follow: bool) -> Result<(), JournalError> {
        self.journal.flush().await?;
        let mut committed = self.journal.watch();
        let mut from = self.start(newest).await?;
        loop {
            committed.mark_unchanged();
            let position = self.journal.position();
            let end = position.base + position.last;
            let page = self.journal.page(self.filter.clone(), from).await?;
            for (seq, item) in page.items {
                from = seq + 1;
                if !self.is_wanted(&item) {
                    continue;
                }
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
            // Every run has a reader that follows: commits of other runs are looked at together.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where the newest `newest` items that are wanted begin; 0 asks for all.
    async fn start(&mut self, newest: u64) -> Result<u64, JournalError> {
        if self.search.is_none() {
            return self.journal.start_of(self.filter.clone(), newest).await;
        }
        let first = self.journal.start_of(self.filter.clone(), 0).await?;
        if newest == 0 || newest > NEWEST {
            return Ok(first);
        }
        let mut wanted = VecDeque::new();
        // What comes meanwhile is newer than all that is looked for here.
        let end = self.journal.position();
        let end = end.base + end.last;
        let mut from = Some(first);
        while let Some(at) = from.filter(|at| *at <= end) {
            let page = self.journal.page(self.filter.clone(), at).await?;
            for (seq, item) in page.items {
                if self.is_wanted(&item) {
                    wanted.push_back(seq);
                }
            }
            let beyond = wanted.len().saturating_sub(usize::try_from(newest).unwrap_or(usize::MAX));
            wanted.drain(..beyond);
            if self.sender.is_closed() {
                break;
            }
            from = page.next;
        }
        // Without any, all of it was looked at in vain: it is not looked at again.
        Ok(wanted.front().copied().unwrap_or(end + 1))
    }

    fn is_wanted(&mut self, item: &v1::Item) -> bool {
        match (&mut self.search, &item.item) {
            (Some(search), Some(Item::Event(event))) => search.matches(event),
            _ => true,
        }
    }
}
