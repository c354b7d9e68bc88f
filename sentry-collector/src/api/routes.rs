//! Entries → one router, with the limits that hold for all entries.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use axum::{
    Extension, Router,
    body::{Bytes, HttpBody as _},
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    answer::ApiError,
    description::Description,
    ends::Ends,
    entry::{Entry, Group},
    host, resource,
    state::Api,
    web,
};
use crate::{access::peers::Peers, metrics::Metrics};

const BODY_BYTES: usize = 16 << 10;
/// Most requests at once, per group: neither listings nor questions about commands can delay a
/// command.
const LISTINGS: usize = 64;
const FINDS: usize = 16;
const COMMANDS: usize = 16;
/// A browser that came over TLS once does so for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Limits {
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

pub(crate) fn router(api: Api) -> Router {
    let metrics = Arc::clone(&api.metrics);
    let limited = |requests| {
        let limits = Limits { turns: Arc::new(Semaphore::new(requests)), metrics: Arc::clone(&metrics) };
        from_fn_with_state(limits, limit)
    };
    let (listings, finds, commands) = (limited(LISTINGS), limited(FINDS), limited(COMMANDS));
    let entries = resource::all();
    let description = Description::new(&entries);
    let mut router = Router::new();
    for Entry { path, group, handler, .. } in entries {
        let handler = match group {
            Group::Listings => handler.layer(listings.clone()),
            Group::Finds => handler.layer(finds.clone()),
            Group::Commands => handler.layer(commands.clone()),
            Group::Unlimited => handler,
        };
        router = router.route(&path, handler);
    }
    router
        .fallback(web::serve)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(Extension(description))
        .layer(from_fn_with_state(api.names.clone(), host::check))
        .layer(from_fn_with_state((Arc::clone(&api.access.peers), Arc::clone(&metrics)), admit))
        .layer(from_fn_with_state(api.names.tls(), harden))
        .layer(from_fn_with_state(metrics, count))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(api)
}

/// The OpenAPI document, as it is served.
pub(crate) fn description() -> Bytes {
    Description::new(&resource::all()).text()
}

async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    // Refuses a body by its announced length, before it is sent. A body that exceeds what was
    // announced is cut off later.
    if request.body().size_hint().lower() > BODY_BYTES as u64 {
        return ApiError::TooLarge.into_response();
    }
    let Ok(_turn) = limits.turns.try_acquire() else {
        limits.metrics.api_shed_requests_total.fetch_add(1, Relaxed);
        return ApiError::Busy.into_response();
    };
    match timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => ApiError::Timeout.into_response(),
    }
}

/// Passes on what an address may ask now.
async fn admit(
    State((peers, metrics)): State<(Arc<Peers>, Arc<Metrics>)>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = match ends {
        Ends::Tcp { from, .. } => peers.admit(from, Instant::now()),
        Ends::Unix { .. } => Ok(()),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            metrics.limited_requests_total.fetch_add(1, Relaxed);
            ApiError::TooFast { seconds: wait.as_secs() + 1 }.into_response()
        }
    }
}

/// What browsers must not do with an answer. A handler may say something else of storing it.
async fn harden(State(tls): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    metrics.answered(response.status().as_u16());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sentry-collector packaging DIR` writes it.
    #[test]
    fn the_committed_description_is_the_one_of_the_code() {
        let committed = include_str!("../../../docs/openapi.json");
        let made = String::from_utf8_lossy(&description()).into_owned();
        let differs = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
        assert_eq!(differs, None, "docs/openapi.json has to be written again");
        assert!(made == committed, "docs/openapi.json has to be written again: it is longer or shorter");
    }
}
