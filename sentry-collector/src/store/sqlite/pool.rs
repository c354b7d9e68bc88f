//! Readers: connections of their own on threads that may block, four at once for listings and one
//! for commands, each query with a deadline.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::Connection;
use sentry_story::SearchError;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::schema;
use crate::{feed::block::BadBlock, store::error::ReadError};

const READERS: usize = 4;
/// Connections for commands, which do not wait behind listings.
const RESERVED: usize = 1;
const DEADLINE: Duration = Duration::from_secs(5);
/// Steps of SQLite's virtual machine between two checks of the deadline.
const STEPS: i32 = 10_000;

/// Why a query failed.
#[derive(Debug)]
pub(super) enum Failed {
    Sqlite(rusqlite::Error),
    Column {
        relation: &'static str,
        column: &'static str,
    },
    /// A search was not checked before.
    Search(SearchError),
    /// An event is damaged although the checksum of its block is right.
    Block(BadBlock),
}

impl From<SearchError> for Failed {
    fn from(error: SearchError) -> Self {
        Self::Search(error)
    }
}

impl From<BadBlock> for Failed {
    fn from(error: BadBlock) -> Self {
        Self::Block(error)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
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

    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(&self.shared.turns, query).await
    }

    /// As [`Pool::read`], for queries that must not wait for listings.
    pub(super) async fn read_reserved<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.read_with(&self.shared.reserve, query).await
    }

    async fn read_with<T: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        query: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
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
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Failed>) -> Result<T, ReadError> {
        let idle = self.idle.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path).map_err(of_sqlite)?,
        };
        let end = Instant::now() + DEADLINE;
        connection.progress_handler(STEPS, Some(move || Instant::now() >= end)).map_err(of_sqlite)?;
        let answer = query(&connection).map_err(explain);
        // A connection that failed is not used again.
        if answer.is_ok() {
            self.idle.lock().push(connection);
        }
        answer
    }
}

fn explain(failed: Failed) -> ReadError {
    match failed {
        Failed::Sqlite(source) => of_sqlite(source),
        Failed::Column { relation, column } => ReadError::Column { relation, column },
        Failed::Search(source) => ReadError::Failed { source: source.into() },
        Failed::Block(source) => ReadError::Failed { source: source.into() },
    }
}

fn of_sqlite(source: rusqlite::Error) -> ReadError {
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) {
        ReadError::TooSlow { seconds: DEADLINE.as_secs() }
    } else {
        ReadError::Failed { source: source.into() }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
