//! Sizes as a configuration has them: a number of bytes, or a number with a unit, such as `64 MiB`.

use serde::{Deserialize, Deserializer, de::Error as _};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Largest first: a size is written with the largest that it is a whole number of.
const UNITS: [(&str, u64); 3] = [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

// === impl Bytes ===

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim_start() {
            "" => Some(1),
            unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
        };
        let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        let wrong = || format!("{text:?} is not a size; write bytes, or a number with KiB, MiB or GiB");
        bytes.map(Self).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(bytes) = self;
        let unit = UNITS.iter().find(|(_, factor)| *bytes > 0 && bytes.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{} {name}", bytes / factor),
            None => write!(f, "{bytes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_size() {
        for (bytes, text) in
            [(0, "0"), (5, "5"), (KIB, "1 KiB"), (10 * GIB, "10 GiB"), (GIB + MIB, "1025 MiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
        assert_eq!("10GiB".parse(), Ok(Bytes(10 * GIB)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "GiB", "1 GB", "-1", "1.5 GiB", "18446744073709551615 KiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
