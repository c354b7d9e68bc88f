//! Moments as a person writes them.

use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

/// What a moment can look like, for help and errors.
pub(crate) const FORMS: &str =
    "10m (ago; s, m, h, d), today, yesterday, 14:30, 2026-11-30, 2026-11-30T14:30:00Z";

/// Unix time in ns of `text`; days and times without a zone are UTC, as in all that is shown.
pub(crate) fn parse(text: &str, now_unix_ns: u64) -> Result<u64, String> {
    let today = now_unix_ns - now_unix_ns % DAY_NS;
    let known = match text {
        "now" => Some(now_unix_ns),
        "today" => Some(today),
        "yesterday" => Some(today.saturating_sub(DAY_NS)),
        _ => ago(text).map(|ns| now_unix_ns.saturating_sub(ns)).or_else(|| date_or_time(text, now_unix_ns)),
    };
    known.ok_or_else(|| format!("`{text}` is no moment; write one as {FORMS}"))
}

/// `10m`, with or without a minus.
fn ago(text: &str) -> Option<u64> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    count.checked_mul(seconds)?.checked_mul(SECOND_NS)
}

fn date_or_time(text: &str, now_unix_ns: u64) -> Option<u64> {
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_unix_ns)).ok()?;
    let date = |date: Date| format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    let text = text.trim().replacen(' ', "T", 1);
    let (day, clock) = match text.split_once('T') {
        Some((day, clock)) => (day.to_owned(), clock.to_owned()),
        None if text.contains(':') => (date(now.date()), text.clone()),
        None => (text.clone(), "00:00:00".to_owned()),
    };
    let is_clock_only = !text.contains('T') && text.contains(':');
    let zone = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone);
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = if zone.is_empty() { "Z" } else { zone };
    let moment = OffsetDateTime::parse(&format!("{day}T{clock}{seconds}{zone}"), &Rfc3339).ok()?;
    let ns = u64::try_from(moment.unix_timestamp_nanos()).ok()?;
    // A time of day that is still to come was yesterday's.
    Some(if is_clock_only && ns > now_unix_ns { ns.saturating_sub(DAY_NS) } else { ns })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use sentry_view::time;

    use super::*;

    /// 2025-11-20 18:52:03 UTC.
    const NOW: u64 = 1_763_664_723_000_000_000;

    #[test]
    fn moments_as_a_person_writes_them() {
        for (text, expected) in [
            ("10m", "2025-11-20 18:42:03.000Z"),
            ("-10m", "2025-11-20 18:42:03.000Z"),
            ("2h", "2025-11-20 16:52:03.000Z"),
            ("1d", "2025-11-19 18:52:03.000Z"),
            ("now", "2025-11-20 18:52:03.000Z"),
            ("today", "2025-11-20 00:00:00.000Z"),
            ("yesterday", "2025-11-19 00:00:00.000Z"),
            ("10:00", "2025-11-20 10:00:00.000Z"),
            ("23:00:01", "2025-11-19 23:00:01.000Z"),
            ("2025-11-01", "2025-11-01 00:00:00.000Z"),
            ("2025-11-01 10:30", "2025-11-01 10:30:00.000Z"),
            ("2025-11-01T10:30:00.5Z", "2025-11-01 10:30:00.500Z"),
            ("2025-11-01T10:30:00+02:00", "2025-11-01 08:30:00.000Z"),
        ] {
            assert_eq!(time::utc(parse(text, NOW).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_an_error_that_shows_the_forms() {
        for text in ["", "m", "tomorrow", "25:00", "2025-13-01", "10x", "1.5h", "é", "99999999999999999999d"]
        {
            let error = parse(text, NOW).unwrap_err();
            assert_eq!(error, format!("`{text}` is no moment; write one as {FORMS}"));
        }
    }
}
