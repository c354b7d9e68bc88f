//! `GET /api/v1/{sensors,agents,runs,events,findings,decisions,outcomes,gaps}`: `{"items":[…],"next_cursor":…|null}`.

use std::sync::atomic::Ordering::Relaxed;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
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
    query::{self, Items, Next, Take},
};

type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;
type Answer = Result<Response, ApiError>;

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
    let ask = move |connection: &Connection, filter: &Filter, paging, take: Take<'_, _>| {
        query::items(connection, kind, filter, paging, take)
    };
    list(api, listing, pairs, ask, move |row| render::item(kind, row)).await
}

/// Parse, ask, render; the last two on a thread that may block.
async fn list<T: 'static>(
    api: &Api,
    listing: &'static Listing,
    pairs: Pairs,
    ask: impl FnOnce(&Connection, &Filter, Paging, Take<'_, T>) -> rusqlite::Result<Next> + Send + 'static,
    render: impl Fn(&T) -> Result<Value, DecodeError> + Send + 'static,
) -> Answer {
    let Query(pairs) = pairs.map_err(|rejected| ApiError::BadRequest(rejected.body_text()))?;
    let asked = listing.parse(pairs)?;
    let newest_first = asked.paging.newest_first;
    let page = api.store.pool().read(move |connection| {
        let (mut text, mut failed) = ("{\"items\":[".to_owned(), None);
        let begin = text.len();
        // Row by row: of a page only its text is ever in memory.
        let mut take = |row: &T| {
            match render(row) {
                Ok(item) => {
                    if text.len() > begin {
                        text.push(',');
                    }
                    text.push_str(&item.to_string());
                }
                Err(error) => failed = Some(error),
            }
            text.len()
        };
        let next = ask(connection, &asked.filter, asked.paging, &mut take)?;
        Ok((failed.map_or(Ok(text), Err), next))
    });
    let (text, next) = page.await?;
    let mut text = text.map_err(|error| {
        tracing::error!(%error, "a stored item cannot be decoded");
        ApiError::Internal
    })?;
    let cursor = json!(next.map(|last| listing.cursor(last, newest_first)));
    text.push_str(&format!("],\"next_cursor\":{cursor}}}"));
    api.outbox.json(text).ok_or_else(|| {
        api.metrics.shed_requests.fetch_add(1, Relaxed);
        ApiError::Busy
    })
}
