//! Listings: `{"items":[…],"next_cursor":…|null}`. An unknown key is refused by name.

use std::sync::atomic::Ordering::Relaxed;

use axum::{
    extract::{Query as Pairs, rejection::QueryRejection},
    response::Response,
};
use prost::DecodeError;
use sentry_proto::v1;
use serde::Serialize;
use serde_json::json;
use utoipa::{
    PartialSchema as _,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema},
};

use super::{
    answer::ApiError,
    key::{AGENT, Key},
    right::{May, Right},
    state::Api,
};
use crate::{
    access::scope::Need,
    store::{Cell, Condition, Listed, Next, Paging, Query, Source},
};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The query string of a request.
pub(crate) type QueryPairs = Result<Pairs<Vec<(String, String)>>, QueryRejection>;

/// The text of a page so far, or the error.
type Made = Result<String, String>;

/// A listing: its name in the path, its letter in cursors, and the keys that it knows beside
/// `limit`, `cursor` and `order`.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) letter: char,
    pub(crate) keys: &'static [Key],
}

// === impl Listing ===

impl Listing {
    /// Parses the query, then reads the store and writes the answer on a thread that may block.
    /// What is not of the caller's agent is left out, if it has one.
    pub(crate) async fn answer<R: Listed, V: Serialize>(
        &self,
        api: &Api,
        may: &May<impl Right>,
        pairs: QueryPairs,
        show: impl Fn(R) -> Result<V, DecodeError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let query = self.asked(api, may, pairs)?;
        let newest_first = query.paging.newest_first;
        // Row by row, so that only the text of a page is in memory.
        let (made, next) = api.store.page(query, begin(), move |made, row| add(made, show(row))).await?;
        self.finish(api, made, next, newest_first)
    }

    /// As [`Listing::answer`], for events.
    pub(crate) async fn answer_events<V: Serialize>(
        &self,
        api: &Api,
        may: &May<impl Right>,
        pairs: QueryPairs,
        show: impl Fn(&Source, &v1::Event) -> V + Send + 'static,
    ) -> Result<Response, ApiError> {
        let query = self.asked(api, may, pairs)?;
        let newest_first = query.paging.newest_first;
        let step = move |made: &mut Made, source: &Source, event| add(made, Ok(show(source, &event)));
        let (made, next) = api.store.events(query, begin(), step).await?;
        self.finish(api, made, next, newest_first)
    }

    fn asked(&self, api: &Api, may: &May<impl Right>, pairs: QueryPairs) -> Result<Query, ApiError> {
        let Pairs(pairs) = pairs.map_err(|rejected| ApiError::BadRequest(rejected.body_text()))?;
        let query = self.parse(pairs)?;
        match may.agent() {
            Some(agent) => self.own(query, agent).inspect_err(|refused| {
                let target = format!("GET /api/v1/{}", self.name);
                api.access.note_refusal(may.ends(), may.caller(), target, refused);
            }),
            None => Ok(query),
        }
    }

    /// Only the rows of this agent. A listing that cannot tell them apart is refused.
    fn own(&self, mut query: Query, agent: &str) -> Result<Query, ApiError> {
        if self.keys.iter().all(|key| key.name != AGENT.name) {
            return Err(ApiError::Forbidden { needs: Need::Read.scopes(), has: "agent" });
        }
        let own = AGENT.read(agent.to_owned())?;
        let other =
            |asked: &Condition| matches!(asked, Condition::Is("agent", Cell::Text(_))) && *asked != own;
        if query.conditions.iter().any(other) {
            return Err(ApiError::OtherAgent { agent: agent.to_owned() });
        }
        query.conditions.push(own);
        Ok(query)
    }

    fn finish(&self, api: &Api, made: Made, next: Next, newest_first: bool) -> Result<Response, ApiError> {
        let mut text = made.map_err(|error| {
            tracing::error!(error, "a stored item cannot be shown");
            ApiError::Internal
        })?;
        let cursor = json!(next.map(|last| self.cursor(last, newest_first)));
        text.push_str(&format!("],\"next_cursor\":{cursor}}}"));
        api.outbox.json(text).ok_or_else(|| {
            api.metrics.api_shed_requests_total.fetch_add(1, Relaxed);
            ApiError::Busy
        })
    }

    /// Reads the pairs of a query string.
    pub(crate) fn parse(&self, pairs: Vec<(String, String)>) -> Result<Query, ApiError> {
        let mut conditions = Vec::new();
        let mut paging = Paging { after: None, newest_first: true, limit: DEFAULT_LIMIT };
        let mut cursor = None;
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in pairs {
            let key = self.keys.iter().find(|key| key.name == name);
            let common = matches!(name.as_str(), "limit" | "cursor" | "order");
            if !common && key.is_none() {
                let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
                return Err(bad(format!(
                    "unknown query key {name:?}; known are limit, cursor, order, {}",
                    known.join(", ")
                )));
            }
            if seen.contains(&name) {
                return Err(bad(format!("query key {name:?} is given twice")));
            }
            match (key, name.as_str()) {
                (Some(key), _) => conditions.push(key.read(value)?),
                (None, "limit") => paging.limit = limit(&value)?,
                (None, "order") => paging.newest_first = newest_first(&value)?,
                (None, _) => cursor = Some(value),
            }
            seen.push(name);
        }
        if let Some(cursor) = cursor {
            paging.after = Some(self.read_cursor(&cursor, paging.newest_first)?);
        }
        Ok(Query { conditions, paging })
    }

    /// Describes the keys of the query: name, meaning and type.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static str, &'static str, RefOr<Schema>)> {
        let common = [
            ("limit", "Most items of a page, from 1 to 1000 (default: 100).", u32::schema()),
            ("cursor", "`next_cursor` of the page before.", String::schema()),
            ("order", "desc (newest first, the default) or asc.", String::schema()),
        ];
        common.into_iter().chain(self.keys.iter().map(|key| (key.name, key.about, key.schema())))
    }

    /// The schema of an answer, with items of this schema.
    pub(crate) fn page(&self, item: RefOr<Schema>) -> RefOr<Schema> {
        let page = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(item))
            .required("items")
            .property("next_cursor", Option::<String>::schema())
            .required("next_cursor");
        page.into()
    }

    /// The cursor of the page after row `last`.
    pub(crate) fn cursor(&self, last: i64, newest_first: bool) -> String {
        format!("{}{}{last:x}", self.letter, if newest_first { 'd' } else { 'a' })
    }

    fn read_cursor(&self, text: &str, newest_first: bool) -> Result<i64, ApiError> {
        let head = self.cursor(0, newest_first);
        text.strip_prefix(&head[..2])
            .and_then(|row| i64::from_str_radix(row, 16).ok())
            .filter(|row| *row > 0)
            .ok_or_else(|| bad(format!("cursor {text:?} is not one of this listing and order")))
    }
}

fn begin() -> Made {
    Ok("{\"items\":[".to_owned())
}

/// Adds an item to the text of a page, or keeps the error. Returns the bytes so far.
fn add<V: Serialize>(made: &mut Made, item: Result<V, DecodeError>) -> usize {
    let Ok(text) = made else { return 0 };
    if !text.ends_with('[') {
        text.push(',');
    }
    let shown = item.map_err(|error| error.to_string());
    match shown.and_then(|item| serde_json::to_string(&item).map_err(|error| error.to_string())) {
        Ok(item) => {
            text.push_str(&item);
            text.len()
        }
        Err(error) => {
            *made = Err(error);
            0
        }
    }
}

fn limit(value: &str) -> Result<usize, ApiError> {
    value
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| bad(format!("limit {value:?} is not a number from 1 to {MAX_LIMIT}")))
}

fn newest_first(value: &str) -> Result<bool, ApiError> {
    match value {
        "desc" => Ok(true),
        "asc" => Ok(false),
        _ => Err(bad(format!("order {value:?} is neither desc (newest first) nor asc"))),
    }
}

fn bad(message: String) -> ApiError {
    ApiError::BadRequest(message)
}
