//! The configuration: YAML as typed plus flags, parsed into one valid [`Config`] before anything opens.
//!
//! Limits: the file may have 1 MiB. Unknown keys are refused with their line and column.

mod feed;

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read as _},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use sentry_proto::proof::KeyError;
use serde::Deserialize;

use crate::{
    cli::{Cli, DEFAULT_CONFIG},
    exit::Exit,
    http_name::HttpName,
    ingest::{address::GrpcAddress, gate::Gate},
    tls::{Place, Tls, TlsError, TlsFiles},
};

const DEFAULT_GRPC: &str = "unix:/run/agentsentry-collector/feed.sock";
/// Where the file says how sensors prove themselves over TCP.
const DEFAULT_GRPC_TCP: &str = "127.0.0.1:4319";
const DEFAULT_HTTP: &str = "127.0.0.1:8440";
const DEFAULT_DATA_DIR: &str = "/var/lib/agentsentry-collector";
const DEFAULT_RETENTION_BYTES: u64 = 10 << 30;
const DEFAULT_PATIENCE_SECONDS: u64 = 10;
const MAX_PATIENCE_SECONDS: u64 = 300;
const MAX_HTTP_NAMES: usize = 64;
const MIN_RETENTION_BYTES: u64 = 1 << 20;
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the process runs with. Every value is valid.
#[derive(Debug)]
pub struct Config {
    /// `None`: there is no file, the defaults and the flags hold.
    pub file: Option<PathBuf>,
    pub listen_grpc: GrpcAddress,
    /// How sensors prove who they are.
    pub gate: Gate,
    pub listen_http: SocketAddr,
    pub data_dir: PathBuf,
    /// TLS with client certificates for sensors.
    pub tls: Option<Tls>,
    /// TLS with client certificates for the HTTP API.
    pub http_tls: Option<Tls>,
    /// Under which names the HTTP API answers, beside its addresses.
    pub http_names: Vec<HttpName>,
    /// How long an HTTP connection may stand still.
    pub http_patience: Duration,
    /// How large the store may grow; `None` keeps everything.
    pub retention_bytes: Option<u64>,
}

/// The file as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Checked while it is read.
    #[serde(rename = "version")]
    _version: Version,
    listen_grpc: Option<GrpcAddress>,
    listen_http: Option<HttpAddress>,
    data_dir: Option<PathBuf>,
    tls: Option<TlsFiles>,
    http_tls: Option<TlsFiles>,
    #[serde(default)]
    http_names: HttpNames,
    #[serde(default)]
    http_patience_seconds: Patience,
    #[serde(default)]
    allow_plaintext_remote: bool,
    retention_bytes: Option<Retention>,
    #[serde(default)]
    feed_users: Vec<String>,
    feed_sensor: Option<String>,
    #[serde(default)]
    feed_keys: BTreeMap<String, Place>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
struct Version;

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct HttpAddress(SocketAddr);

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Vec<HttpName>")]
struct HttpNames(Vec<HttpName>);

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Patience(Duration);

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Retention(Option<u64>);

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}; name an existing file with --config", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration {} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("invalid configuration {}:{line}:{column}: {what}", path.display())]
    Invalid { path: PathBuf, line: u64, column: u64, what: String },
    #[error("invalid value {value:?} for {flag}: {what}")]
    Flag { flag: &'static str, value: String, what: String },
    #[error(
        "{key} {address} is not a loopback address and has no TLS: set `{tls}` with cert, key and client_ca, listen on \
         127.0.0.1, or set `allow_plaintext_remote: true` if the network itself is protected"
    )]
    PlaintextRemote { key: &'static str, address: SocketAddr, tls: &'static str },
    #[error("`tls` has no meaning for the unix socket {}: remove it or listen on an address", path.display())]
    TlsOnUnix { path: PathBuf },
    #[error("cannot use `{key}`")]
    Tls { key: &'static str, source: Box<TlsError> },
    #[error(
        "nothing proves who speaks at {address} (listen_grpc): listen on `unix:/PATH`, where the \
         kernel knows who connects, or give each sensor a key in `feed_keys` (`sentry-collector \
         feed-key` makes one), or set `tls`"
    )]
    Unproven { address: SocketAddr },
    #[error("`{key}` has no meaning for {listener}: remove it, or change `listen_grpc`")]
    Meaningless { key: &'static str, listener: &'static str },
    #[error("feed_users: {user:?} {what}")]
    User { user: String, what: &'static str },
    #[error("cannot use the key of sensor {sensor:?} in `feed_keys`")]
    Key { sensor: String, source: Box<KeyError> },
}

// === impl Config ===

impl Config {
    /// The file and the flags together; a flag wins over the file.
    ///
    /// # Errors
    /// Where the file, a flag, or a file they name is missing or invalid.
    pub fn load(cli: &Cli) -> Result<Self, ConfigError> {
        let (path, file) = read(cli.config.as_deref())?;
        let listen_grpc = match &cli.listen_grpc {
            Some(value) => flag("--listen-grpc", value, GrpcAddress::try_from)?,
            None => match &file.listen_grpc {
                Some(address) => address.clone(),
                None => {
                    let tcp = file.tls.is_some() || !file.feed_keys.is_empty();
                    let default = if tcp { DEFAULT_GRPC_TCP } else { DEFAULT_GRPC };
                    flag("listen_grpc", default, GrpcAddress::try_from)?
                }
            },
        };
        let listen_http = match &cli.listen_http {
            Some(value) => flag("--listen-http", value, HttpAddress::try_from)?.0,
            None => match &file.listen_http {
                Some(address) => address.0,
                None => flag("listen_http", DEFAULT_HTTP, HttpAddress::try_from)?.0,
            },
        };
        refuse_plaintext(&listen_grpc, listen_http, &file)?;
        let gate = feed::gate(&listen_grpc, &file)?;
        Ok(Self {
            file: path,
            listen_grpc,
            gate,
            listen_http,
            data_dir: cli
                .data_dir
                .clone()
                .or(file.data_dir)
                .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)),
            tls: load_tls("tls", file.tls.as_ref())?,
            http_tls: load_tls("http_tls", file.http_tls.as_ref())?,
            http_names: file.http_names.0,
            http_patience: file.http_patience_seconds.0,
            retention_bytes: file.retention_bytes.map_or(Some(DEFAULT_RETENTION_BYTES), |bytes| bytes.0),
        })
    }

    /// Looks at what [`Config::load`] need not: whether the certificates are valid at `now`, since
    /// 1970.
    ///
    /// # Errors
    /// Where one is not.
    pub fn check(&self, now: Duration) -> Result<(), ConfigError> {
        for (key, tls) in [("tls", &self.tls), ("http_tls", &self.http_tls)] {
            let checked = tls.as_ref().map_or(Ok(()), |tls| tls.check(now));
            checked.map_err(|source| ConfigError::Tls { key, source: Box::new(source) })?;
        }
        Ok(())
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = |tls: &Option<Tls>| if tls.is_some() { "mutual TLS" } else { "plaintext" };
        writeln!(f, "listen_grpc: {} ({})", self.listen_grpc, self.gate)?;
        writeln!(f, "listen_http: {} ({})", self.listen_http, tls(&self.http_tls))?;
        for name in &self.http_names {
            writeln!(f, "http_names: {name}")?;
        }
        writeln!(f, "http_patience_seconds: {}", self.http_patience.as_secs())?;
        writeln!(f, "data_dir: {}", self.data_dir.display())?;
        match self.retention_bytes {
            Some(bytes) => write!(f, "retention_bytes: {bytes}"),
            None => write!(f, "retention_bytes: 0 (keeps everything)"),
        }
    }
}

// === impl HttpAddress, Version, Patience, Retention ===

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

impl TryFrom<u64> for Retention {
    type Error = String;

    fn try_from(bytes: u64) -> Result<Self, String> {
        match bytes {
            0 => Ok(Self(None)),
            MIN_RETENTION_BYTES.. => Ok(Self(Some(bytes))),
            _ => Err(format!(
                "retention_bytes {bytes} is below {MIN_RETENTION_BYTES}; give at least that, or 0 to keep everything"
            )),
        }
    }
}

// === impl ConfigError ===

impl ConfigError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } => Exit::NoInput,
            Self::Tls { source, .. } if matches!(**source, TlsError::Unreadable { .. }) => Exit::NoInput,
            Self::Key { source, .. } if matches!(**source, KeyError::Unreadable { .. }) => Exit::NoInput,
            Self::Flag { .. } => Exit::Usage,
            Self::TooLarge { .. }
            | Self::Invalid { .. }
            | Self::PlaintextRemote { .. }
            | Self::TlsOnUnix { .. }
            | Self::Tls { .. }
            | Self::Unproven { .. }
            | Self::Meaningless { .. }
            | Self::User { .. }
            | Self::Key { .. } => Exit::Config,
        }
    }
}

fn read(named: Option<&Path>) -> Result<(Option<PathBuf>, File), ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
    let opened = match fs::File::open(path) {
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok((None, File::default()));
        }
        opened => opened,
    };
    let mut text = String::new();
    opened
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    Ok((Some(path.to_owned()), parse(path, &text)?))
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false }).map_err(
        |error| {
            let at = error.location();
            let what = error.without_snippet().to_string();
            ConfigError::Invalid {
                path: path.to_owned(),
                line: at.map_or(1, |at| at.line()),
                column: at.map_or(1, |at| at.column()),
                what,
            }
        },
    )
}

fn flag<T>(
    name: &'static str,
    value: &str,
    parse: impl FnOnce(String) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parse(value.to_owned()).map_err(|what| ConfigError::Flag { flag: name, value: value.to_owned(), what })
}

fn refuse_plaintext(grpc: &GrpcAddress, http: SocketAddr, file: &File) -> Result<(), ConfigError> {
    match grpc {
        GrpcAddress::Unix(path) if file.tls.is_some() => {
            return Err(ConfigError::TlsOnUnix { path: path.clone() });
        }
        GrpcAddress::Tcp(address)
            if !loopback(address.ip()) && file.tls.is_none() && !file.allow_plaintext_remote =>
        {
            return Err(ConfigError::PlaintextRemote { key: "listen_grpc", address: *address, tls: "tls" });
        }
        GrpcAddress::Unix(_) | GrpcAddress::Tcp(_) => {}
    }
    if !loopback(http.ip()) && file.http_tls.is_none() && !file.allow_plaintext_remote {
        return Err(ConfigError::PlaintextRemote { key: "listen_http", address: http, tls: "http_tls" });
    }
    Ok(())
}

fn loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn load_tls(key: &'static str, files: Option<&TlsFiles>) -> Result<Option<Tls>, ConfigError> {
    files.map(Tls::load).transpose().map_err(|source| ConfigError::Tls { key, source: Box::new(source) })
}
