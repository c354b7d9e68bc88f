//! What the journal remembers beside items: the collector's commands, and where the ledger stood.

use prost::Message as _;
use rusqlite::{OptionalExtension as _, params};
use sentry_proto::v1;

use super::{COMMANDS_KEPT, Journal, JournalError, row::sql, schema};
use crate::ledger::start::Remembered;

/// What is known of a command's idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandState {
    /// Never seen; from now on it counts as begun.
    New,
    /// Begun before, by this life of the sensor or one that ended in the middle of it; no result.
    Begun,
    Done(v1::CommandResult),
}

impl Journal {
    /// Notes that a command begins, unless it is known.
    ///
    /// # Errors
    ///
    /// It could not be noted: do not act.
    pub fn begin_command(&mut self, key: &str) -> Result<CommandState, JournalError> {
        let known = self.command(key).map_err(JournalError::of("look up a command"))?;
        if let Some(state) = known {
            return Ok(state);
        }
        self.transact("note a command", |connection, _, _| {
            connection.execute("INSERT INTO commands (key, body) VALUES (?1, NULL)", [key])?;
            connection
                .execute(
                    "DELETE FROM commands WHERE number <= (SELECT MAX(number) FROM commands) - ?1",
                    [sql(COMMANDS_KEPT)],
                )
                .map(drop)
        })?;
        Ok(CommandState::New)
    }

    /// Notes a command's result.
    ///
    /// # Errors
    ///
    /// It could not be noted.
    pub fn finish_command(&mut self, result: &v1::CommandResult) -> Result<(), JournalError> {
        self.transact("note a command's result", |connection, _, _| {
            let body = result.encode_to_vec();
            connection
                .execute("UPDATE commands SET body = ?2 WHERE key = ?1", params![result.key, body])
                .map(drop)
        })
    }

    /// The ledger as it was remembered.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn remembered_ledger(&self) -> Result<Option<Remembered>, JournalError> {
        let error = JournalError::of("read what is remembered of the ledger");
        let chain_uid = schema::meta(&self.connection, "ledger_chain").map_err(&error)?;
        let seq = schema::meta_number(&self.connection, "ledger_seq").map_err(&error)?;
        Ok(chain_uid.map(|chain_uid| Remembered { chain_uid, seq }))
    }

    /// Remembers where the ledger stands: whoever takes the ledger away has to change this, too.
    ///
    /// # Errors
    ///
    /// It was not written.
    pub fn remember_ledger(&mut self, ledger: &Remembered) -> Result<(), JournalError> {
        self.transact("remember the ledger", |connection, _, _| {
            schema::set_meta(connection, "ledger_chain", &ledger.chain_uid)?;
            schema::set_meta(connection, "ledger_seq", &ledger.seq.to_string())
        })
    }

    fn command(&self, key: &str) -> rusqlite::Result<Option<CommandState>> {
        let mut select = self.connection.prepare_cached("SELECT body FROM commands WHERE key = ?1")?;
        let body: Option<Option<Vec<u8>>> = select.query_row([key], |row| row.get(0)).optional()?;
        Ok(body.map(|body| match body.and_then(|body| v1::CommandResult::decode(body.as_slice()).ok()) {
            Some(result) => CommandState::Done(result),
            None => CommandState::Begun,
        }))
    }
}
