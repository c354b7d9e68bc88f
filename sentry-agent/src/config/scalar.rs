//! Single values, as typed: each is checked while it is parsed.

use std::{path::PathBuf, time::Duration};

use sentry_service::{credential, identifier, size::Bytes};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::Endpoint;

/// A name that is safe in paths, metrics and certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Identifier(pub(super) String);

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct AbsolutePath(pub(super) PathBuf);

/// A file that the textfile collector of `node_exporter` takes notice of.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct Textfile(pub(super) PathBuf);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Bytes")]
pub(super) struct StoreBytes(pub(super) u64);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Bytes")]
pub(super) struct RingBytes(pub(super) u32);

/// A number of seconds, or text such as `15 s`, `2 min`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) Duration);

/// How often something has to be seen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct Enough(pub(super) u32);

/// Whose credentials `credential:NAME` means, for a command that is not started by it.
const UNIT: &str = "agentsentry.service";
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const STORE_RANGE: std::ops::RangeInclusive<u64> = MIB..=1024 * GIB;
const RING_RANGE: std::ops::RangeInclusive<u64> = 64 * KIB..=GIB;
const ENOUGH_RANGE: std::ops::RangeInclusive<u32> = 1..=1000;
const SECONDS_RANGE: std::ops::RangeInclusive<u64> = 1..=3600;

impl TryFrom<String> for Identifier {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        identifier::check(&text).map(|()| Self(text))
    }
}

impl TryFrom<PathBuf> for AbsolutePath {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        let path = credential::resolve(path, UNIT).map_err(|error| error.to_string())?;
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(format!("the path {:?} is relative; write it from the root", path.display().to_string()))
        }
    }
}

impl TryFrom<PathBuf> for Textfile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        let AbsolutePath(path) = path.try_into()?;
        if path.extension().is_some_and(|extension| extension == "prom") {
            Ok(Self(path))
        } else {
            Err(format!(
                "{:?} does not end in `.prom`: node_exporter would not read it",
                path.display().to_string()
            ))
        }
    }
}

impl TryFrom<Bytes> for StoreBytes {
    type Error = String;

    fn try_from(Bytes(bytes): Bytes) -> Result<Self, String> {
        if STORE_RANGE.contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(format!("{bytes} bytes is out of range; give 1 MiB to 1024 GiB"))
        }
    }
}

impl TryFrom<Bytes> for RingBytes {
    type Error = String;

    fn try_from(Bytes(bytes): Bytes) -> Result<Self, String> {
        match u32::try_from(bytes) {
            Ok(size) if RING_RANGE.contains(&bytes) && size.is_power_of_two() => Ok(Self(size)),
            _ => Err(format!("{bytes} bytes is not a ring size; give a power of two from 64 KiB to 1 GiB")),
        }
    }
}

impl TryFrom<u32> for Enough {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if ENOUGH_RANGE.contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("{number} is out of range; give 1 to 1000"))
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is not an endpoint: {why}; write http://HOST:PORT, https://HOST:PORT or unix:/PATH"
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(wrong("the path is not absolute"))
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        let plain = host.starts_with('[') == host.ends_with(']') && !host.is_empty();
        if !plain || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#')) {
            return Err(wrong("its host is not one"));
        }
        if host.contains(':') && !host.starts_with('[') {
            return Err(wrong("an IPv6 address needs brackets"));
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("its port is not one"))?;
        match scheme {
            "http" => Ok(Self::Http { host: host.into(), port }),
            "https" => Ok(Self::Https { host: host.into(), port }),
            _ => Err(wrong("its scheme is not known")),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim_start() {
            "" | "s" => Some(1),
            "min" | "m" => Some(60),
            _ => None,
        };
        let seconds = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        match seconds {
            Some(seconds) if SECONDS_RANGE.contains(&seconds) => Ok(Self(Duration::from_secs(seconds))),
            Some(seconds) => {
                Err(D::Error::custom(format!("{seconds} s is out of range; give 1 s to 3600 s")))
            }
            None => Err(D::Error::custom(format!(
                "{text:?} is not a time; write seconds, or a number with s or min"
            ))),
        }
    }
}

/// A time as a person writes it.
pub(super) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// A size as a person writes it.
pub(super) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
