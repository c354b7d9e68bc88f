//! `/healthz` (the process answers), `/readyz` (it can take and commit items), `/metrics`. On
//! loopback they need no key.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use sentry_service::metrics::{Form, text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{
    entry::{Entry, Group},
    right::{May, Near},
    state::Api,
};

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// Why it is not.
    reasons: Vec<String>,
}

pub(super) fn healthz() -> Entry {
    Entry::get("/healthz", Group::Unlimited, "healthz", "Whether the process answers.", alive)
        .answers::<Health>("200", "It does.")
}

pub(super) fn readyz() -> Entry {
    let about = "Whether the collector can take and commit items.";
    Entry::get("/readyz", Group::Unlimited, "readyz", about, ready)
        .answers::<Readiness>("200", "It can.")
        .answers::<Readiness>("503", "It cannot, and why.")
}

pub(super) fn metrics() -> Entry {
    let about = "What the collector counts about itself.";
    Entry::get("/metrics", Group::Unlimited, "metrics", about, counted).answers_text(
        "200",
        "Metrics in Prometheus text format; in OpenMetrics where that is accepted.",
        Form::Prometheus.media_type(),
    )
}

async fn alive(_: May<Near>) -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn ready(_: May<Near>, State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let mut reasons = Vec::new();
    let trouble = api.store.trouble().borrow().clone();
    reasons.extend(trouble);
    if api.drain.is_cancelled() {
        reasons.push("the collector is shutting down".to_owned());
    }
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons }))
}

async fn counted(_: May<Near>, State(api): State<Api>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let form = Form::wanted(accept);
    ([(header::CONTENT_TYPE, form.media_type())], text(&api.metrics.families(), form))
}
