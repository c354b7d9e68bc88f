//! The file as typed. Every scalar is checked while it is parsed, so that an error carries its line and column.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use sentry_detect::{rule::settings::Settings, run::Mode};
use sentry_service::credential;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;

use super::{Endpoint, select::MatchFile};
use crate::AgentName;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[expect(dead_code, reason = "parsing it is the check")]
    version: Version,
    #[serde(default)]
    pub(super) sensor: SensorFile,
    #[serde(default)]
    pub(super) journal: JournalFile,
    #[serde(default)]
    pub(super) rings: RingsFile,
    #[serde(default)]
    pub(super) evidence: EvidenceFile,
    pub(super) collector: Option<CollectorFile>,
    #[serde(default)]
    pub(super) export: ExportFile,
    #[serde(default)]
    pub(super) detect: Settings,
    #[serde(default)]
    pub(super) containers: ContainersFile,
    #[serde(default)]
    pub(super) agents: Vec<AgentFile>,
    #[serde(default)]
    pub(super) pods: PodsFile,
    pub(super) discover: Option<DiscoverFile>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Version;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SensorFile {
    pub(super) id: Option<Identifier>,
    pub(super) state_dir: Option<AbsolutePath>,
    pub(super) socket: Option<AbsolutePath>,
    pub(super) group: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalFile {
    pub(super) spool_bytes: Option<StoreBytes>,
    pub(super) keep_bytes: Option<StoreBytes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RingsFile {
    pub(super) critical_bytes: Option<RingBytes>,
    pub(super) bulk_bytes: Option<RingBytes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceFile {
    pub(super) hash_executed: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainersFile {
    pub(super) containerd: Option<AbsolutePath>,
    pub(super) storage: Option<AbsolutePath>,
    pub(super) docker: Option<AbsolutePath>,
    pub(super) node: Option<Identifier>,
    pub(super) kubelet: Option<Spanned<Endpoint>>,
    pub(super) token_file: Option<Spanned<AbsolutePath>>,
    pub(super) ca: Option<Spanned<AbsolutePath>>,
}

/// `disabled`, or where and how.
#[derive(Debug)]
pub(super) enum CollectorFile {
    Disabled,
    Enabled(Box<EnabledFile>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnabledFile {
    pub(super) endpoint: Spanned<Endpoint>,
    pub(super) tls: Option<TlsFile>,
    pub(super) key_file: Option<AbsolutePath>,
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) allow_plaintext_remote: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportFile {
    pub(super) file: Option<FileSinkFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSinkFile {
    pub(super) path: AbsolutePath,
    pub(super) max_bytes: Option<StoreBytes>,
    pub(super) keep: Option<u8>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub(super) ca: AbsolutePath,
    pub(super) cert: AbsolutePath,
    pub(super) key: AbsolutePath,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentFile {
    pub(super) name: Spanned<AgentName>,
    #[serde(default)]
    pub(super) mode: Mode,
    /// Thresholds of its own; those that it does not give are those of `detect`.
    pub(super) limits: Option<Spanned<BTreeMap<String, serde_json::Value>>>,
    #[serde(default, rename = "match")]
    pub(super) matches: Vec<Spanned<MatchFile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PodsFile {
    pub(super) labelled: Option<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DiscoverFile {
    Off,
    Report,
    Tag,
}

/// A name that is safe in paths, metrics and certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Identifier(pub(super) String);

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct AbsolutePath(pub(super) PathBuf);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Bytes")]
pub(super) struct StoreBytes(pub(super) u64);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Bytes")]
pub(super) struct RingBytes(pub(super) u32);

/// A number of bytes, or text such as `64 MiB`.
struct Bytes(u64);

/// Whose credentials `credential:NAME` means, for a command that is not started by it.
const UNIT: &str = "agentsentry.service";
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const STORE_RANGE: std::ops::RangeInclusive<u64> = MIB..=1024 * GIB;
const RING_RANGE: std::ops::RangeInclusive<u64> = 64 * KIB..=GIB;
const MAX_IDENTIFIER: usize = 128;

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("version {other} is not known to this sensor, which reads version 1")),
        }
    }
}

impl TryFrom<String> for Identifier {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= MAX_IDENTIFIER && text.chars().all(allowed) {
            Ok(Self(text))
        } else {
            Err(format!(
                "{text:?} is not a name: use letters, digits, `.`, `_` and `-`, a letter or digit first, at most \
                 {MAX_IDENTIFIER}"
            ))
        }
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

impl<'de> Deserialize<'de> for CollectorFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = CollectorFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`disabled` or a map with `endpoint`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CollectorFile, E> {
                match text {
                    "disabled" => Ok(CollectorFile::Disabled),
                    _ => Err(E::custom(format!("{text:?} is neither `disabled` nor a map with `endpoint`"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CollectorFile, A::Error> {
                EnabledFile::deserialize(MapAccessDeserializer::new(map))
                    .map(|file| CollectorFile::Enabled(Box::new(file)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim_start() {
            "" => Some(1),
            "KiB" => Some(KIB),
            "MiB" => Some(MIB),
            "GiB" => Some(GIB),
            _ => None,
        };
        let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
        bytes.map(Self).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is not a size; write bytes, or a number with KiB, MiB or GiB"))
        })
    }
}
