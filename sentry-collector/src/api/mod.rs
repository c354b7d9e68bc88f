//! The HTTP side: listings as JSON, commands, keys, sessions of browsers, health and metrics.
//!
//! `resource::all` lists all entries. The first argument of each handler is the right that it needs
//! (`right::May`); nobody reads without a key, and `access` says who has which.
//!
//! Limits: 64 listings, 64 live streams and 16 each of commands and single questions at once (more
//! get 503), 10 s each, bodies of 16 KiB, 64 MiB for all answers that their readers have not taken
//! yet. For connections see `server` and `places`.

mod answer;

mod ends;

pub(crate) mod host;

pub(crate) mod access;

pub(crate) mod outbox;

pub(crate) mod state;

mod right;

mod key;

mod listing;

mod entry;

mod resource;

mod description;

mod web;

mod routes;

mod pace;

mod places;

pub(crate) mod server;

pub(crate) mod local;

pub(crate) use routes::{description, router};

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod attacks;
