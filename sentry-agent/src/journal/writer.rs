//! The thread that writes: its start and its end.

use std::thread;

use tokio::sync::{mpsc, watch};

use super::{
    Journal, JournalError, JournalHandle,
    shared::Control,
    worker::{TURNS_WAITING, Worker, position_of},
};

/// Requests that may wait for the writer.
pub const QUEUE_CAPACITY: usize = 16_384;

/// Owns the writer's thread.
#[derive(Debug)]
pub struct JournalWriter {
    thread: thread::JoinHandle<()>,
    handle: JournalHandle,
}

impl JournalWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has no room for another thread.
    pub fn start(journal: Journal, queue_capacity: usize) -> Result<(Self, JournalHandle), JournalError> {
        let thread = |source| JournalError::Io {
            act: "start the journal's thread for",
            path: std::path::PathBuf::new(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(thread)?;
        let (requests, inbox) = mpsc::channel(queue_capacity.max(1));
        let (places, taken_places) = mpsc::channel(TURNS_WAITING);
        let (position, watched) = watch::channel(position_of(&journal));
        let handle = JournalHandle::new(journal.path().to_owned(), requests, places, watched);
        let worker = Worker::new(journal, inbox, taken_places, position, handle.shared());
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || runtime.block_on(worker.run()))
            .map_err(thread)?;
        Ok((Self { thread, handle: handle.clone() }, handle))
    }

    /// Commits what was submitted and ends the thread.
    ///
    /// # Errors
    ///
    /// The thread had ended before.
    pub async fn close(self) -> Result<(), JournalError> {
        const ACT: &str = "close the journal";
        self.handle.ask(ACT, Control::Close).await??;
        match tokio::task::spawn_blocking(move || self.thread.join()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(JournalError::Closed { act: ACT }),
        }
    }

    /// True once the thread has ended, for whatever reason.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}
