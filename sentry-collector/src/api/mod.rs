//! The HTTP side: listings as JSON, commands, health and metrics. Reads are open to whoever reaches the listener;
//! commands need the command token.
//!
//! Limits: 64 listings at once and 16 each of commands and questions for commands (more get 503),
//! 10 s each, bodies of 16 KiB, answers of 64 MiB together that are not taken yet; for connections
//! see `server` and `places`.

mod answer;

mod params;

mod render;

mod listings;

pub(crate) mod token;

pub(crate) mod access;

pub(crate) mod host;

pub(crate) mod outbox;

mod pace;

mod places;

mod commands;

mod health;

mod routes;

pub(crate) mod server;

use std::sync::Arc;

pub(crate) use routes::router;

use crate::{ingest::registry::Registry, metrics::Metrics, store::Store};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) names: host::Names,
    pub(crate) outbox: outbox::Outbox,
    /// What a command needs.
    pub(crate) access: access::Access,
    /// Set while the collector drains.
    pub(crate) drain: tokio_util::sync::CancellationToken,
}
