//! What the handlers share.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{access::Access, host::Names, outbox::Outbox};
use crate::{ingest::registry::Registry, metrics::Metrics, store::Store};

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) names: Names,
    pub(crate) outbox: Outbox,
    /// Whom to let in.
    pub(crate) access: Access,
    /// Places of live streams.
    pub(crate) streams: Arc<Semaphore>,
    /// How often a live stream says that it is alive.
    pub(crate) heartbeat: Duration,
    /// Set while the collector drains.
    pub(crate) drain: CancellationToken,
}
