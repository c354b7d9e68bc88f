//! One SQLite database: one writer, five readers with connections of their own.

pub(super) mod schema;

mod clock;

mod job;

mod commands;

mod apply;

mod retention;

pub(super) mod writer;

mod pool;

mod page;

pub(super) mod handle;
