//! The configuration: YAML as typed plus flags, parsed into one valid [`Config`] before anything opens.

mod error;

mod file;

mod feed;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use self::error::ConfigError;
use self::file::{DEFAULT_DATA_DIR, DEFAULT_GRPC, DEFAULT_GRPC_TCP, DEFAULT_HTTP, File, HttpAddress};
use crate::{
    cli::Cli,
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
    /// How large the store may grow; `None` keeps everything.
    pub retention_bytes: Option<u64>,
}

// === impl Config ===

impl Config {
    /// The file and the flags together; a flag wins over the file.
    ///
    /// # Errors
    /// Where the file, a flag, or a file they name is missing or invalid.
    pub fn load(cli: &Cli) -> Result<Self, ConfigError> {
        let (path, file) = File::read(cli.config.as_deref())?;
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
            retention_bytes: file.retention_bytes.0,
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
