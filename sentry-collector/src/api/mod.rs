//! The HTTP side: listings as JSON, commands, health and metrics. Everyone who can reach the
//! listener may read; commands need the command token.
//!
//! `resource::all` lists all entries. The first argument of each handler is the right that it needs
//! (`right::May`).
//!
//! Limits: 64 listings, 64 live streams and 16 each of commands and single questions at once (more
//! get 503), 10 s each, bodies of 16 KiB, 64 MiB for all answers that their readers have not taken
//! yet. For connections see `server` and `places`.

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

mod web;

mod routes;

mod pace;

mod places;

pub(crate) mod server;

pub(crate) use routes::{description, router};
