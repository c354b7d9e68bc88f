//! One SQLite database: one writer, five readers with connections of their own.

pub(super) mod schema;

pub(super) mod clock;

mod job;

mod commands;

mod keys;

mod audit;

mod suppressions;

mod findings;

mod spans;

mod blocks;

mod gaps;

mod intake;

mod apply;

mod retention;

mod marks;

mod merge;

mod legacy;

pub(super) mod writer;

mod pool;

mod page;

mod rows;

mod cursor;

mod events;

pub(super) mod handle;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod scratch;
