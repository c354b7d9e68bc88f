//! Runs and those who act on them, by a short name.

use sentry_view::Decision;

use super::safe;

/// The beginning of a run's id that no other run of the same millisecond's host has.
pub(crate) fn short(id: &str) -> String {
    safe(id.get(..13).unwrap_or(id))
}

/// `by user 1000: told to`, `by rule exec-loop`.
pub(crate) fn asked_by(decision: &Decision) -> String {
    let who = match decision.origin.split_once(':') {
        Some(("detector", rule)) => return format!("by rule {}", safe(rule)),
        Some(("user", "0")) => "by root".to_owned(),
        Some(("user", uid)) => format!("by user {}", safe(uid)),
        Some(("collector", _)) => "by the collector".to_owned(),
        Some(_) | None => format!("by {}", safe(&decision.origin)),
    };
    if decision.reason.is_empty() { who } else { format!("{who}: {}", safe(&decision.reason)) }
}
