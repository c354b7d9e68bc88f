//! Paths → handlers, and the limits that hold for all of them.

use std::{sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use axum::{
    Router,
    body::HttpBody as _,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{sync::Semaphore, time::timeout};

use super::{Api, answer::ApiError, commands, health, host, listings};
use crate::metrics::Metrics;

const BODY_BYTES: usize = 16 << 10;
/// Requests at once, of each group apart: listings cannot keep a command waiting, nor can questions
/// for commands.
const LISTINGS: usize = 64;
const FINDS: usize = 16;
const COMMANDS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Limits {
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

pub(crate) fn router(api: Api) -> Router {
    let metrics = Arc::clone(&api.metrics);
    let limited = |requests, routes: Router<Api>| {
        let limits = Limits { turns: Arc::new(Semaphore::new(requests)), metrics: Arc::clone(&metrics) };
        routes.layer(from_fn_with_state(limits, limit))
    };
    let listings = Router::new()
        .route("/api/v1/sensors", get(listings::sensors))
        .route("/api/v1/agents", get(listings::agents))
        .route("/api/v1/runs", get(listings::runs))
        .route("/api/v1/events", get(listings::events))
        .route("/api/v1/findings", get(listings::findings))
        .route("/api/v1/decisions", get(listings::decisions))
        .route("/api/v1/outcomes", get(listings::outcomes))
        .route("/api/v1/gaps", get(listings::gaps));
    let finds = Router::new().route("/api/v1/commands/{key}", get(commands::find));
    let commands = Router::new().route("/api/v1/runs/{run}/{action}", post(commands::create));
    limited(LISTINGS, listings)
        .merge(limited(FINDS, finds))
        .merge(limited(COMMANDS, commands))
        // Health and metrics answer also when the API is at its limit.
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(async |request: Request| ApiError::NotFound(format!("no path {:?}", request.uri().path())))
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(from_fn_with_state(api.names.clone(), host::check))
        .layer(from_fn_with_state(metrics, count))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(api)
}

async fn limit(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    // Whoever announces too much is told so before sending it; who sends more than announced is cut off later.
    if request.body().size_hint().lower() > BODY_BYTES as u64 {
        return ApiError::TooLarge.into_response();
    }
    let Ok(_turn) = limits.turns.try_acquire() else {
        limits.metrics.shed_requests.fetch_add(1, Relaxed);
        return ApiError::Busy.into_response();
    };
    match timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_elapsed) => ApiError::Timeout.into_response(),
    }
}

async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    metrics.answered(response.status().as_u16());
    response
}
