//! The HTTP side: listings as JSON, commands, health and metrics. Reads are open to whoever reaches the listener;
//! commands need the command token.
//!
//! Limits: 64 requests at once (more get 503), 10 s each, bodies of 16 KiB, 512 connections.

mod answer;

mod params;

mod render;

mod listings;

pub(crate) mod token;

pub(crate) mod access;

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
    /// What a command needs.
    pub(crate) access: access::Access,
    /// Set while the collector drains.
    pub(crate) drain: tokio_util::sync::CancellationToken,
}
