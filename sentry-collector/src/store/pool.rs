//! Readers: connections of their own on threads that may block, four at once for listings and one
//! for commands, each query with a deadline.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::schema;

const READERS: usize = 4;
/// For commands, which do not wait behind listings.
const RESERVED: usize = 1;
const DEADLINE: Duration = Duration::from_secs(5);
/// Virtual machine steps between looks at the deadline.
const STEPS: i32 = 10_000;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the query took over {} s; narrow it with filters", DEADLINE.as_secs())]
    TooSlow,
    #[error("the store cannot be read")]
    Failed { source: rusqlite::Error },
    #[error("the reader is gone")]
    Gone,
}

#[derive(Clone, Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    turns: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        let turns = Arc::new(Semaphore::new(READERS));
        let reserve = Arc::new(Semaphore::new(RESERVED));
        Self { shared: Arc::new(Shared { path, turns, reserve, idle: Mutex::default() }) }
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(&self.shared.turns, query).await
    }

    /// As [`Pool::read`], for what must not wait for listings.
    pub(super) async fn read_reserved<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(&self.shared.reserve, query).await
    }

    async fn read_with<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_closed| ReadError::Gone)?;
        let shared = Arc::clone(&self.shared);
        let answer = spawn_blocking(move || {
            let answer = shared.read(query);
            drop(turn);
            answer
        });
        answer.await.map_err(|_panicked| ReadError::Gone)?
    }
}

impl Shared {
    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, ReadError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(explain)?,
        };
        let end = Instant::now() + DEADLINE;
        connection.progress_handler(STEPS, Some(move || Instant::now() >= end)).map_err(explain)?;
        let answer = query(&connection).map_err(explain);
        // A connection that failed is not used again.
        if answer.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}

fn explain(source: rusqlite::Error) -> ReadError {
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
        ReadError::TooSlow
    } else {
        ReadError::Failed { source }
    }
}
