//! The file as typed: its keys, each declared once with its type, its default and its meaning.
//!
//! Limits: the file may have 1 MiB. Unknown keys are refused with their line and column.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sentry_service::{keys, size::Bytes};
use sentry_yaml::{self as yaml, Mistake};
use serde::Deserialize;

use super::error::{ConfigError, MAX_FILE_BYTES};
use crate::{
    cli::DEFAULT_CONFIG,
    http_name::HttpName,
    ingest::address::GrpcAddress,
    tls::{Place, TlsFiles},
};

pub(super) const DEFAULT_GRPC: &str = "unix:/run/agentsentry-collector/feed.sock";
/// Where the file says how sensors prove themselves over TCP.
pub(super) const DEFAULT_GRPC_TCP: &str = "127.0.0.1:4319";
pub(super) const DEFAULT_HTTP: &str = "127.0.0.1:8440";
pub(super) const DEFAULT_DATA_DIR: &str = "/var/lib/agentsentry-collector";
pub(super) const DEFAULT_RETENTION_BYTES: u64 = 10 << 30;
pub(super) const DEFAULT_PATIENCE_SECONDS: u64 = 10;
const MAX_PATIENCE_SECONDS: u64 = 300;
const MAX_HTTP_NAMES: usize = 64;
const MIN_RETENTION_BYTES: u64 = 1 << 20;

keys! {
    /// The file as typed.
    #[derive(Default)]
    pub(super) struct File {
        [checked version: Version]
        listen_grpc: Option<GrpcAddress>,
            || format!("`{DEFAULT_GRPC}`; `{DEFAULT_GRPC_TCP}` with `tls` or `feed_keys`"),
            || "sensors connect here; `IP:PORT` or `unix:/PATH`".into();
        listen_http: Option<HttpAddress>,
            || format!("`{DEFAULT_HTTP}`"),
            || "HTTP API".into();
        data_dir: Option<PathBuf>,
            || format!("`{DEFAULT_DATA_DIR}`"),
            || "the store; refused as `sensor.state_dir` is".into();
        tls: Option<TlsFiles>,
            || "none".into(),
            || "`cert`, `key`, `client_ca` for sensors: mutual TLS".into();
        http_tls: Option<TlsFiles>,
            || "none".into(),
            || "the same for the HTTP API; without `client_ca` clients need no certificate, only their key".into();
        http_names: HttpNames,
            || "none".into(),
            || format!(
                "up to {MAX_HTTP_NAMES} names under which the HTTP API answers beside its addresses, `NAME` \
                or `NAME:PORT`; without a port the one of `listen_http`"
            );
        http_patience_seconds: Patience,
            || DEFAULT_PATIENCE_SECONDS.to_string(),
            || format!(
                "1 to {MAX_PATIENCE_SECONDS}; how long a peer of the HTTP API may take for a request's head, \
                or take nothing of an answer"
            );
        key_secret: Option<Place>,
            || "`keys.secret` in `data_dir`, made by the first start".into(),
            || "what the stored form of API keys is made with: a file of 64 hex digits, or \
                [`credential:NAME`](#keys-from-the-service-manager); with another one no key works".into();
        allow_plaintext_remote: bool,
            || "`false`".into(),
            || "listening beyond loopback without TLS needs it".into();
        retention_bytes: Retention,
            || Bytes(DEFAULT_RETENTION_BYTES).to_string(),
            || "size of the store, in bytes or as `64 GiB`; 0 keeps everything".into();
        feed_users: Vec<String>,
            || "root and the collector's own user".into(),
            || "at a unix socket: users (names or uids) that may speak for the sensor".into();
        feed_sensor: Option<String>,
            || "the first that says hello".into(),
            || "at a unix socket: the sensor id that they speak for".into();
        feed_keys: BTreeMap<String, Place>,
            || "none".into(),
            || "over plaintext TCP: sensor id → key file, or \
                [`credential:NAME`](#keys-from-the-service-manager)".into();
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Version;

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HttpAddress(pub(super) SocketAddr);

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Vec<HttpName>")]
pub(super) struct HttpNames(pub(super) Vec<HttpName>);

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Patience(pub(super) Duration);

#[derive(Debug, Deserialize)]
#[serde(try_from = "Bytes")]
pub(super) struct Retention(pub(super) Option<u64>);

// === impl HttpAddress, Version, HttpNames, Patience, Retention ===

impl TryFrom<String> for HttpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("{text:?} is not IP:PORT ({error})"))
    }
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        if version == 1 {
            Ok(Self)
        } else {
            Err(format!("version {version} is not known to this collector, which reads version 1"))
        }
    }
}

impl TryFrom<Vec<HttpName>> for HttpNames {
    type Error = String;

    fn try_from(names: Vec<HttpName>) -> Result<Self, String> {
        match names.len() {
            0..=MAX_HTTP_NAMES => Ok(Self(names)),
            many => Err(format!("http_names has {many} names; give at most {MAX_HTTP_NAMES}")),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self(Duration::from_secs(DEFAULT_PATIENCE_SECONDS))
    }
}

impl TryFrom<u64> for Patience {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, String> {
        match seconds {
            1..=MAX_PATIENCE_SECONDS => Ok(Self(Duration::from_secs(seconds))),
            _ => Err(format!("http_patience_seconds {seconds} is not from 1 to {MAX_PATIENCE_SECONDS}")),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self(Some(DEFAULT_RETENTION_BYTES))
    }
}

impl TryFrom<Bytes> for Retention {
    type Error = String;

    fn try_from(Bytes(bytes): Bytes) -> Result<Self, String> {
        match bytes {
            0 => Ok(Self(None)),
            MIN_RETENTION_BYTES.. => Ok(Self(Some(bytes))),
            _ => Err(format!(
                "{bytes} bytes is too small a store; give at least {MIN_RETENTION_BYTES} ({}), or 0 to keep everything",
                Bytes(MIN_RETENTION_BYTES)
            )),
        }
    }
}

// === impl File ===

impl File {
    /// The named file, or the usual one if it exists; `None`: there is none. What is right about
    /// it, if that is a whole, and all that is wrong.
    pub(super) fn read(named: Option<&Path>) -> (Option<PathBuf>, Option<Self>, Vec<ConfigError>) {
        let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
        let opened = match fs::File::open(path) {
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                return (None, Some(Self::default()), Vec::new());
            }
            opened => opened,
        };
        let mut text = String::new();
        let read = opened.and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
        let wrong = match read {
            Err(source) => Some(ConfigError::Unreadable { path: path.to_owned(), source }),
            Ok(_) if text.len() as u64 > MAX_FILE_BYTES => {
                Some(ConfigError::TooLarge { path: path.to_owned() })
            }
            Ok(_) => None,
        };
        if let Some(error) = wrong {
            return (Some(path.to_owned()), None, vec![error]);
        }
        let (file, errors) = match yaml::read(&text) {
            Ok(file) => (Some(file), Vec::new()),
            Err(mistakes) => {
                let place = |Mistake { line, column, what }| ConfigError::Invalid {
                    path: path.to_owned(),
                    line,
                    column,
                    what,
                };
                (mistakes.rest, mistakes.all.into_iter().map(place).collect())
            }
        };
        (Some(path.to_owned()), file, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_documentation_has_the_keys_of_the_code() {
        let document = include_str!("../../../docs/configuration.md");
        let mut documented = keys::table_of(document, "## Collector:");
        let mut declared = keys::table(None, File::KEYS);
        documented.sort_unstable();
        declared.sort_unstable();
        assert_eq!(documented, declared);
    }

    #[test]
    fn the_example_has_every_key_and_is_the_defaults() {
        let example = crate::config::example();
        for keys::Key { name, .. } in File::KEYS {
            assert!(
                example.contains(&format!("\n{name}:")) || example.contains(&format!("\n# {name}:")),
                "{name}"
            );
        }
        let read = |text: &str| format!("{:?}", yaml::read::<File>(text));
        let written = ["listen_grpc", "listen_http", "data_dir"];
        let lines =
            example.lines().filter(|line| !written.iter().any(|key| line.starts_with(&format!("{key}:"))));
        let without = lines.collect::<Vec<_>>().join("\n");
        assert_eq!(read(&without), read("version: 1\n"));
        for line in [DEFAULT_GRPC, DEFAULT_HTTP, DEFAULT_DATA_DIR] {
            assert!(example.contains(&format!(": {line}\n")), "{line}");
        }
        assert!(yaml::read::<File>(&example).is_ok());
    }
}
