//! Unix time in UTC, without a time-zone library.

/// `2025-11-20 18:52:03.123Z`.
#[must_use]
pub fn utc(unix_ns: u64) -> String {
    let (date, clock) = parts(unix_ns);
    format!("{date} {clock}Z")
}

/// `18:52:03.123`.
#[must_use]
pub fn clock(unix_ns: u64) -> String {
    parts(unix_ns).1
}

/// `2025-11-20T18:52:03.123Z`, as JSON readers know it.
#[must_use]
pub fn rfc3339(unix_ns: u64) -> String {
    let (date, clock) = parts(unix_ns);
    format!("{date}T{clock}Z")
}

fn parts(unix_ns: u64) -> (String, String) {
    let millis = unix_ns / 1_000_000;
    let (seconds, milli) = (millis / 1000, millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let clock = format!("{:02}:{:02}:{:02}.{milli:03}", second / 3600, second / 60 % 60, second % 60);
    (format!("{year:04}-{month:02}-{day:02}"), clock)
}

/// Days since 1970-01-01 → date. Years are counted from March, so that the leap day is the last of
/// its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(rfc3339(1_709_164_800_000_000_000), "2024-02-29T00:00:00.000Z");
        assert_eq!(utc(1_763_664_723_123_456_789), "2025-11-20 18:52:03.123Z");
        assert_eq!(clock(1_763_664_723_123_456_789), "18:52:03.123");
        assert_eq!(utc(4_102_444_799_999_999_999), "2099-12-31 23:59:59.999Z");
        // Total over the whole range.
        assert!(utc(u64::MAX).starts_with("2554-07-21"));
    }
}
