//! `GET /api/v1/openapi.json`: the description of the API, OpenAPI 3.1.

use axum::{
    Extension,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use crate::api::{
    description::Description,
    entry::{Entry, Group},
    right::{May, Public},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn entry() -> Entry {
    let about = "This description.";
    Entry::get("/api/v1/openapi.json", Group::Unlimited, "openapi", about, describe)
        .answers_object("200", about)
}

async fn describe(_: May<Public>, Extension(description): Extension<Description>) -> Response {
    ([(CONTENT_TYPE, JSON)], description.text()).into_response()
}
