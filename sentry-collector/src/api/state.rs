//! What the handlers share.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::response::Response;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{access::Access, answer::ApiError, host::Names, outbox::Outbox};
use crate::{
    ingest::registry::Registry,
    metrics::Metrics,
    store::{Condition, Listed, Paging, Query, Store},
};

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

// === impl Api ===

impl Api {
    /// The newest rows of a relation, newest first.
    pub(crate) async fn rows<R: Listed + Send>(
        &self,
        conditions: Vec<Condition>,
        limit: usize,
    ) -> Result<Vec<R>, ApiError> {
        let query = Query { conditions, paging: Paging { after: None, newest_first: true, limit } };
        let step = |rows: &mut Vec<R>, row| {
            rows.push(row);
            0
        };
        Ok(self.store.page(query, Vec::new(), step).await?.0)
    }

    /// An answer that may be large.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<Response, ApiError> {
        let text = serde_json::to_string(value).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written");
            ApiError::Internal
        })?;
        self.outbox.json(text).ok_or_else(|| {
            self.metrics.api_shed_requests_total.fetch_add(1, Relaxed);
            ApiError::Busy
        })
    }

    /// A commit that cannot happen now would only hold the caller until the timeout.
    pub(crate) fn may_commit(&self) -> Result<(), ApiError> {
        let trouble = self.store.trouble().borrow().clone();
        trouble.map_or(Ok(()), |trouble| Err(ApiError::Unavailable(trouble)))
    }
}
