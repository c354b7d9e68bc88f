//! Query strings → filters and paging. Every key that a listing does not know is refused by name.

use sentry_proto::v1::Severity;

use super::answer::ApiError;
use crate::store::filter::{Filter, Paging};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// A listing: its letter in cursors and the filters it knows beside `limit`, `cursor` and `order`.
#[derive(Debug)]
pub(crate) struct Listing {
    letter: char,
    filters: &'static [&'static str],
}

pub(crate) const SENSORS: Listing = Listing { letter: 's', filters: &["since", "until"] };
pub(crate) const AGENTS: Listing = Listing { letter: 'a', filters: &["agent", "since", "until"] };
pub(crate) const RUNS: Listing =
    Listing { letter: 'r', filters: &["run", "agent", "sensor", "since", "until"] };
pub(crate) const EVENTS: Listing =
    Listing { letter: 'e', filters: &["run", "agent", "sensor", "since", "until", "class_uid"] };
pub(crate) const FINDINGS: Listing =
    Listing { letter: 'f', filters: &["run", "agent", "sensor", "since", "until", "severity"] };
pub(crate) const DECISIONS: Listing =
    Listing { letter: 'd', filters: &["run", "agent", "sensor", "since", "until"] };
pub(crate) const OUTCOMES: Listing =
    Listing { letter: 'o', filters: &["run", "agent", "sensor", "since", "until"] };
pub(crate) const GAPS: Listing = Listing { letter: 'g', filters: &["run", "sensor", "since", "until"] };

/// What a request asks of a listing.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) filter: Filter,
    pub(crate) paging: Paging,
}

impl Listing {
    /// Reads the pairs of a query string.
    pub(crate) fn parse(&self, pairs: Vec<(String, String)>) -> Result<Asked, ApiError> {
        let mut filter = Filter::default();
        let mut paging = Paging { after: None, newest_first: true, limit: DEFAULT_LIMIT };
        let mut cursor = None;
        let mut seen: Vec<String> = Vec::new();
        for (key, value) in pairs {
            let common = matches!(key.as_str(), "limit" | "cursor" | "order");
            if !common && !self.filters.contains(&key.as_str()) {
                return Err(bad(format!(
                    "unknown query key {key:?}; known are limit, cursor, order, {}",
                    self.filters.join(", ")
                )));
            }
            if seen.contains(&key) {
                return Err(bad(format!("query key {key:?} is given twice")));
            }
            match key.as_str() {
                "limit" => paging.limit = limit(&value)?,
                "cursor" => cursor = Some(value),
                "order" => paging.newest_first = newest_first(&value)?,
                "run" => filter.run = Some(value),
                "agent" => filter.agent = Some(value),
                "sensor" => filter.sensor = Some(value),
                "since" => filter.since_ms = Some(number(&key, &value)?),
                "until" => filter.until_ms = Some(number(&key, &value)?),
                "class_uid" => filter.class_uid = Some(number(&key, &value)?),
                _ => filter.severity = Some(severity(&value)?),
            }
            seen.push(key);
        }
        if let Some(cursor) = cursor {
            paging.after = Some(self.read_cursor(&cursor, paging.newest_first)?);
        }
        Ok(Asked { filter, paging })
    }

    /// The text that leads to the page after row `last`.
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

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, ApiError> {
    value.parse().map_err(|_error| bad(format!("{key} {value:?} is not a number in range")))
}

/// By name or by OCSF's `severity_id`, which has the same numbers.
fn severity(value: &str) -> Result<i32, ApiError> {
    let named = Severity::from_str_name(&format!("SEVERITY_{}", value.to_ascii_uppercase()));
    let known = named.or_else(|| value.parse().ok().and_then(|number: i32| Severity::try_from(number).ok()));
    match known {
        Some(severity) if severity != Severity::Unspecified => Ok(severity as i32),
        Some(_) | None => Err(bad(format!(
            "severity {value:?} is none of informational, low, medium, high, critical or 1 to 5"
        ))),
    }
}

fn bad(message: String) -> ApiError {
    ApiError::BadRequest(message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(listing: &Listing, pairs: &[(&str, &str)]) -> Result<Asked, ApiError> {
        listing.parse(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn reads_every_filter() {
        let pairs = [("severity", "High"), ("since", "5"), ("until", "9"), ("run", "r"), ("limit", "1000")];
        let asked = parse(&FINDINGS, &pairs).unwrap();
        assert_eq!(asked.filter.severity, Some(4));
        assert_eq!((asked.filter.since_ms, asked.filter.until_ms), (Some(5), Some(9)));
        assert_eq!((asked.paging.limit, asked.paging.newest_first), (1000, true));
        assert_eq!(parse(&FINDINGS, &[("severity", "5")]).unwrap().filter.severity, Some(5));
    }

    #[test]
    fn refuses_what_a_listing_does_not_know() {
        let refused = [
            (&EVENTS, "severity", "high"),
            (&FINDINGS, "class_uid", "2004"),
            (&GAPS, "agent", "a"),
            (&RUNS, "colour", "red"),
            (&RUNS, "limit", "0"),
            (&RUNS, "limit", "1001"),
            (&RUNS, "limit", "-1"),
            (&RUNS, "since", "yesterday"),
            (&RUNS, "order", "random"),
            (&RUNS, "cursor", ""),
            (&RUNS, "cursor", "rd"),
            (&RUNS, "cursor", "rd-5"),
            (&RUNS, "cursor", "ra5"),
            (&RUNS, "cursor", "ed5"),
            (&RUNS, "cursor", "é"),
            (&FINDINGS, "severity", "unspecified"),
            (&FINDINGS, "severity", "0"),
        ];
        for (listing, key, value) in refused {
            assert!(parse(listing, &[(key, value)]).is_err(), "{key}={value}");
        }
        assert!(parse(&RUNS, &[("run", "a"), ("run", "b")]).is_err());
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back(last in 1..i64::MAX, newest_first: bool) {
            let text = EVENTS.cursor(last, newest_first);
            let order = if newest_first { "desc" } else { "asc" };
            let asked = parse(&EVENTS, &[("cursor", &text), ("order", order)]).unwrap();
            prop_assert_eq!(asked.paging.after, Some(last));
        }

        #[test]
        fn any_cursor_is_read_or_refused(text: String) {
            drop(parse(&EVENTS, &[("cursor", &text)]));
        }
    }
}
