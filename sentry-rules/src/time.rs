//! Times as people write them: `500ms`, `10s`, `5m`, `1h`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_secs(3_600);

/// A time from 1 ms to an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    pub(crate) fn ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit_ms = match unit.trim_start() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" | "min" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let ms = unit_ms.and_then(|unit: u64| number.parse::<u64>().ok()?.checked_mul(unit));
        match ms.map(Duration::from_millis) {
            Some(time) if (LEAST..=MOST).contains(&time) => Ok(Self(time)),
            Some(_) => Err(format!("{text:?} is out of range; give 1ms to 1h")),
            None => Err(format!("{text:?} is not a time; write a number with ms, s, m or h, such as 10s")),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms if ms % 60_000 == 0 => write!(f, "{} min", ms / 60_000),
            ms if ms % 1_000 == 0 => write!(f, "{} s", ms / 1_000),
            ms => write!(f, "{ms} ms"),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_range() {
        let ms = |text| Time::parse(text).map(|time| time.0.as_millis());
        assert_eq!(
            [ms("500ms"), ms("10s"), ms("5 m"), ms("1h")],
            [Ok(500), Ok(10_000), Ok(300_000), Ok(3_600_000)]
        );
        for wrong in ["", "10", "s", "0s", "2h", "-1s", "1.5s", "99999999999999999999s", "10 days"] {
            assert!(Time::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Time(Duration::from_secs(90)).to_string(), "90 s");
    }
}
