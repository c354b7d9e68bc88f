//! The HTTP side: listings as JSON, commands, health and metrics. Reads are open to whoever reaches the listener;
//! commands need the command token.
//!
//! What there is stands in `resource::all`; what a request may do is its handler's first argument
//! (`right::May`).
//!
//! Limits: 64 listings at once and 16 each of commands and questions for commands (more get 503),
//! 10 s each, bodies of 16 KiB, answers of 64 MiB together that are not taken yet; for connections
//! see `server` and `places`.

mod answer;

pub(crate) mod token;

pub(crate) mod access;

pub(crate) mod host;

pub(crate) mod outbox;

pub(crate) mod state;

mod right;

mod key;

mod listing;

mod entry;

mod resource;

mod description;

mod routes;

mod pace;

mod places;

pub(crate) mod server;

pub(crate) use routes::{description, router};
