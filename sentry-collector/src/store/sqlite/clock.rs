//! The time that rows are stamped with.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in ms; a clock before 1970 counts as 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
