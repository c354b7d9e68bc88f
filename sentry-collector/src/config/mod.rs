//! The configuration: YAML as typed plus flags, parsed into one valid [`Config`] before anything
//! opens.

mod error;

mod example;

mod file;

mod feed;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use sentry_service::{
    check::{Found, Report},
    size::Bytes,
};
use serde_json::{Map, Value, json};

pub use self::error::ConfigError;
pub(crate) use self::example::example;
use self::file::{DEFAULT_DATA_DIR, DEFAULT_GRPC, DEFAULT_GRPC_TCP, DEFAULT_HTTP, File, HttpAddress};
use crate::{
    cli::{DEFAULT_CONFIG, Flags},
    exit::Exit,
    http_name::HttpName,
    ingest::{address::GrpcAddress, gate::Gate},
    tls::{Tls, TlsFiles},
};

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
    /// Where the secret of the keys is; `None`: in the data directory.
    pub key_secret: Option<PathBuf>,
    /// How large the store may grow; `None` keeps everything.
    pub retention_bytes: Option<u64>,
}

// === impl Config ===

impl Config {
    /// The file and the flags together; a flag wins over the file.
    ///
    /// # Errors
    /// Where the file, a flag, or a file they name is missing or invalid: all that is wrong.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        match Self::look(flags) {
            (Some(config), errors) if errors.is_empty() => Ok(config),
            (_, errors) => Err(ConfigError::of(errors)),
        }
    }

    fn look(flags: &Flags) -> (Option<Self>, Vec<ConfigError>) {
        let (path, file, mut errors) = File::read(flags.config.as_deref());
        let Some(file) = file else { return (None, errors) };
        let listen_grpc = listen_grpc(flags, &file).map_err(|error| errors.push(error)).ok();
        let listen_http = listen_http(flags, &file).map_err(|error| errors.push(error)).ok();
        let mut gate = None;
        // Of a file with mistakes in it what belongs together may be missing.
        if let (Some(grpc), Some(http), true) = (&listen_grpc, listen_http, errors.is_empty()) {
            errors.extend(plaintext(grpc, http, &file));
            gate = feed::gate(grpc, &file).map_err(|error| errors.push(error)).ok();
        }
        let mut load = |key, files: Option<&TlsFiles>| {
            let loaded = files.map(Tls::load).transpose();
            let failed = |source| ConfigError::Tls { key, source: Box::new(source) };
            loaded.map_err(|found| errors.extend(found.into_iter().map(failed))).ok().flatten()
        };
        let (tls, http_tls) = (load("tls", file.tls.as_ref()), load("http_tls", file.http_tls.as_ref()));
        if tls.as_ref().is_some_and(|tls| !tls.is_mutual()) {
            errors.push(ConfigError::NoClientCa);
        }
        let (Some(listen_grpc), Some(listen_http), Some(gate), true) =
            (listen_grpc, listen_http, gate, errors.is_empty())
        else {
            return (None, errors);
        };
        let data_dir = flags.data_dir.clone().or(file.data_dir);
        let config = Self {
            file: path,
            listen_grpc,
            gate,
            listen_http,
            data_dir: data_dir.unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR)),
            tls,
            http_tls,
            http_names: file.http_names.0,
            http_patience: file.http_patience_seconds.0,
            key_secret: file.key_secret.map(|place| place.0),
            retention_bytes: file.retention_bytes.0,
        };
        (Some(config), errors)
    }

    /// All that is said of a configuration, at `now`, since 1970: what holds, or all that is wrong
    /// with it and with what it names.
    #[must_use]
    pub fn check(flags: &Flags, now: Duration) -> (Report, Exit) {
        let (config, mut errors) = Self::look(flags);
        let mut found = Found::default();
        for (key, names, tls) in config.iter().flat_map(Self::material) {
            let looked = tls.check(key, names, now);
            found.checked.extend(looked.checked);
            found.warnings.extend(looked.warnings);
            let failed = |source| ConfigError::Tls { key, source: Box::new(source) };
            errors.extend(looked.errors.into_iter().map(failed));
        }
        found.errors = errors.iter().map(ConfigError::problem).collect();
        let exit = if errors.is_empty() { Exit::Ok } else { error::exit_of(&errors) };
        let file = flags.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
        let is_there = config.as_ref().map_or(flags.config.is_some(), |config| config.file.is_some());
        let settings = config.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = config.as_ref().map(Self::values).unwrap_or_default();
        (Report { file, is_there, settings, values, found }, exit)
    }

    /// The TLS material, each with its key and the names that it has to be for.
    fn material(&self) -> impl Iterator<Item = (&'static str, &[HttpName], &Tls)> {
        let feed = self.tls.as_ref().map(|tls| ("tls", <&[HttpName]>::default(), tls));
        let http = self.http_tls.as_ref().map(|tls| ("http_tls", self.http_names.as_slice(), tls));
        feed.into_iter().chain(http)
    }

    fn values(&self) -> Map<String, Value> {
        let names: Vec<String> = self.http_names.iter().map(ToString::to_string).collect();
        let values = json!({
            "listen_grpc": self.listen_grpc.to_string(), "proof": self.gate.to_string(),
            "listen_http": self.listen_http, "http_tls": self.http_tls.is_some(), "http_names": names,
            "http_patience_seconds": self.http_patience.as_secs(), "data_dir": self.data_dir, "key_secret": self.key_secret,
            "retention_bytes": self.retention_bytes.unwrap_or(0),
        });
        values.as_object().cloned().unwrap_or_default()
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = |tls: &Option<Tls>| match tls {
            Some(tls) if tls.is_mutual() => "mutual TLS",
            Some(_) => "TLS",
            None => "plaintext",
        };
        writeln!(f, "listen_grpc: {} ({})", self.listen_grpc, self.gate)?;
        writeln!(f, "listen_http: {} ({})", self.listen_http, tls(&self.http_tls))?;
        for name in &self.http_names {
            writeln!(f, "http_names: {name}")?;
        }
        writeln!(f, "http_patience_seconds: {}", self.http_patience.as_secs())?;
        writeln!(f, "data_dir: {}", self.data_dir.display())?;
        if let Some(path) = &self.key_secret {
            writeln!(f, "key_secret: {}", path.display())?;
        }
        match self.retention_bytes {
            Some(bytes) => write!(f, "retention_bytes: {}", Bytes(bytes)),
            None => write!(f, "retention_bytes: 0 (keeps everything)"),
        }
    }
}

fn flag<T>(
    name: &'static str,
    value: &str,
    parse: impl FnOnce(String) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parse(value.to_owned()).map_err(|what| ConfigError::Flag { flag: name, value: value.to_owned(), what })
}

fn listen_grpc(flags: &Flags, file: &File) -> Result<GrpcAddress, ConfigError> {
    match (&flags.listen_grpc, &file.listen_grpc) {
        (Some(value), _) => flag("--listen-grpc", value, GrpcAddress::try_from),
        (None, Some(address)) => Ok(address.clone()),
        (None, None) => {
            let tcp = file.tls.is_some() || !file.feed_keys.is_empty();
            let default = if tcp { DEFAULT_GRPC_TCP } else { DEFAULT_GRPC };
            flag("listen_grpc", default, GrpcAddress::try_from)
        }
    }
}

fn listen_http(flags: &Flags, file: &File) -> Result<SocketAddr, ConfigError> {
    match (&flags.listen_http, &file.listen_http) {
        (Some(value), _) => Ok(flag("--listen-http", value, HttpAddress::try_from)?.0),
        (None, Some(address)) => Ok(address.0),
        (None, None) => Ok(flag("listen_http", DEFAULT_HTTP, HttpAddress::try_from)?.0),
    }
}

/// Each listener that would be open to the network without TLS.
fn plaintext(grpc: &GrpcAddress, http: SocketAddr, file: &File) -> Vec<ConfigError> {
    let open = |address: SocketAddr, tls: Option<&TlsFiles>| {
        !loopback(address.ip()) && tls.is_none() && !file.allow_plaintext_remote
    };
    let grpc = match grpc {
        GrpcAddress::Unix(path) if file.tls.is_some() => Some(ConfigError::TlsOnUnix { path: path.clone() }),
        GrpcAddress::Tcp(address) if open(*address, file.tls.as_ref()) => {
            Some(ConfigError::PlaintextRemote { key: "listen_grpc", address: *address, tls: "tls" })
        }
        GrpcAddress::Unix(_) | GrpcAddress::Tcp(_) => None,
    };
    let http = open(http, file.http_tls.as_ref()).then_some(ConfigError::PlaintextRemote {
        key: "listen_http",
        address: http,
        tls: "http_tls",
    });
    grpc.into_iter().chain(http).collect()
}

fn loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
