//! `/healthz` (the process answers), `/readyz` (it can take and commit items), `/metrics`.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use super::Api;

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(crate) async fn readyz(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let mut reasons = Vec::new();
    let trouble = api.store.trouble().borrow().clone();
    reasons.extend(trouble);
    if api.drain.is_cancelled() {
        reasons.push("the collector is shutting down".to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": reasons.is_empty(), "reasons": reasons})))
}

pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, PROMETHEUS)], api.metrics.render())
}
