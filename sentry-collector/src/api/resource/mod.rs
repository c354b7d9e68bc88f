//! What the API offers: a file for each resource, and the one table of them.

pub(crate) mod activity;
pub(crate) mod agents;
pub(crate) mod audit;
pub(crate) mod commands;
pub(crate) mod decisions;
pub(crate) mod events;
pub(crate) mod findings;
pub(crate) mod gaps;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod login;
pub(crate) mod openapi;
pub(crate) mod outcomes;
pub(crate) mod runs;
pub(crate) mod sensors;
pub(crate) mod sessions;
pub(crate) mod suppressions;
pub(crate) mod triage;

use super::entry::Entry;

/// Every entry. The router and the OpenAPI document are made from this list.
pub(crate) fn all() -> Vec<Entry> {
    vec![
        sensors::entry(),
        sessions::entry(),
        agents::entry(),
        runs::entry(),
        activity::entry(),
        events::entry(),
        findings::entry(),
        triage::get(),
        triage::post(),
        suppressions::list(),
        suppressions::post(),
        suppressions::delete(),
        decisions::entry(),
        outcomes::entry(),
        gaps::entry(),
        commands::post(),
        commands::get(),
        live::entry(),
        login::post(),
        login::get(),
        login::delete(),
        login::link(),
        keys::list(),
        keys::post(),
        keys::delete(),
        keys::delete_all(),
        audit::entry(),
        openapi::entry(),
        health::healthz(),
        health::readyz(),
        health::metrics(),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::{events::EVENTS, findings::FINDINGS, gaps::GAPS, runs::RUNS};
    use crate::{
        api::{answer::ApiError, listing::Listing},
        store::{Cell, Condition, Query},
    };

    fn parse(listing: &Listing, pairs: &[(&str, &str)]) -> Result<Query, ApiError> {
        listing.parse(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn reads_every_filter() {
        let pairs = [("severity", "High"), ("since", "5"), ("until", "9"), ("run", "r"), ("limit", "1000")];
        let asked = parse(&FINDINGS, &pairs).unwrap();
        let severity = |number| Condition::Is("severity", Cell::Integer(number));
        let run = Condition::Is("run", Cell::Text("r".to_owned()));
        let expected = [severity(4), Condition::From("time_ms", 5), Condition::Below("time_ms", 9), run];
        assert_eq!(asked.conditions, expected);
        assert_eq!((asked.paging.limit, asked.paging.newest_first), (1000, true));
        assert_eq!(parse(&FINDINGS, &[("severity", "5")]).unwrap().conditions, [severity(5)]);
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
