//! `GET /api/v1/{sensors,agents,runs,events,findings,decisions,outcomes,gaps}`: `{"items":[…],"next_cursor":…|null}`.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use prost::DecodeError;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    Api,
    answer::ApiError,
    params::{self, Listing},
    render,
};
use crate::store::{
    filter::{Filter, Paging},
    query::{self, Items, Page},
};

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;
type Answer = Result<Json<Value>, ApiError>;

pub(crate) async fn sensors(State(api): State<Api>, pairs: Pairs) -> Answer {
    let registry = api.registry.clone();
    list(&api, &params::SENSORS, pairs, query::sensors, move |row| {
        Ok(render::sensor(row, registry.connected(&row.sensor)))
    })
    .await
}

pub(crate) async fn agents(State(api): State<Api>, pairs: Pairs) -> Answer {
    list(&api, &params::AGENTS, pairs, query::agents, |row| Ok(render::agent(row))).await
}

pub(crate) async fn runs(State(api): State<Api>, pairs: Pairs) -> Answer {
    let registry = api.registry.clone();
    list(&api, &params::RUNS, pairs, query::runs, move |row| {
        render::run(row, registry.connected(&row.sensor))
    })
    .await
}

pub(crate) async fn gaps(State(api): State<Api>, pairs: Pairs) -> Answer {
    list(&api, &params::GAPS, pairs, query::gaps, render::gap).await
}

pub(crate) async fn events(State(api): State<Api>, pairs: Pairs) -> Answer {
    items(&api, &params::EVENTS, pairs, Items::Events).await
}

pub(crate) async fn findings(State(api): State<Api>, pairs: Pairs) -> Answer {
    items(&api, &params::FINDINGS, pairs, Items::Findings).await
}

pub(crate) async fn decisions(State(api): State<Api>, pairs: Pairs) -> Answer {
    items(&api, &params::DECISIONS, pairs, Items::Decisions).await
}

pub(crate) async fn outcomes(State(api): State<Api>, pairs: Pairs) -> Answer {
    items(&api, &params::OUTCOMES, pairs, Items::Outcomes).await
}

async fn items(api: &Api, listing: &'static Listing, pairs: Pairs, kind: Items) -> Answer {
    let ask = move |connection: &Connection, filter: &Filter, paging| {
        query::items(connection, kind, filter, paging)
    };
    list(api, listing, pairs, ask, move |row| render::item(kind, row)).await
}

/// Parse, ask, render; the last two on a thread that may block.
async fn list<T: 'static>(
    api: &Api,
    listing: &'static Listing,
    pairs: Pairs,
    ask: impl FnOnce(&Connection, &Filter, Paging) -> rusqlite::Result<Page<T>> + Send + 'static,
    render: impl Fn(&T) -> Result<Value, DecodeError> + Send + 'static,
) -> Answer {
    let Query(pairs) = pairs.map_err(|rejected| ApiError::BadRequest(rejected.body_text()))?;
    let asked = listing.parse(pairs)?;
    let newest_first = asked.paging.newest_first;
    let answer = api
        .store
        .pool()
        .read(move |connection| {
            let page = ask(connection, &asked.filter, asked.paging)?;
            let items: Result<Vec<Value>, DecodeError> = page.rows.iter().map(render).collect();
            Ok((items, page.next))
        })
        .await?;
    let (items, next) = answer;
    let items = items.map_err(|error| {
        tracing::error!(%error, "a stored item cannot be decoded");
        ApiError::Internal
    })?;
    Ok(Json(json!({"items": items, "next_cursor": next.map(|last| listing.cursor(last, newest_first))})))
}
