//! Why there is no valid configuration.

use std::{io, net::SocketAddr, path::PathBuf};

use sentry_proto::proof::KeyError;
use sentry_service::check::Problem;

use crate::{exit::Exit, tls::TlsError};

/// Largest file that is read.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}; name an existing file with --config", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration {} is larger than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{}:{line}:{column}: {what}", path.display())]
    Invalid { path: PathBuf, line: u64, column: u64, what: String },
    #[error("invalid value {value:?} for {flag}: {what}")]
    Flag { flag: &'static str, value: String, what: String },
    #[error(
        "{key} {address} is not a loopback address and has no TLS: set `{tls}`, \
        listen on 127.0.0.1, or set `allow_plaintext_remote: true` if the network itself is protected"
    )]
    PlaintextRemote { key: &'static str, address: SocketAddr, tls: &'static str },
    #[error("`tls` has no meaning for the unix socket {}: remove it or listen on an address", path.display())]
    TlsOnUnix { path: PathBuf },
    #[error("`tls` has no `client_ca`: sensors prove who they are by a certificate of that authority")]
    NoClientCa,
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
    #[error("{}", in_one(.0))]
    Several(Vec<Self>),
}

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn of(mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 { errors.swap_remove(0) } else { Self::Several(errors) }
    }

    /// As `config check` lists it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let what = sentry_service::error_chain(self);
        match self {
            Self::Invalid { path, line, column, .. } => Problem::in_file(what, path, Some((*line, *column))),
            Self::Unreadable { path, .. } | Self::TooLarge { path } => Problem::in_file(what, path, None),
            Self::Tls { source, .. } => Problem::in_file(what, source.path(), None),
            Self::Flag { .. }
            | Self::PlaintextRemote { .. }
            | Self::TlsOnUnix { .. }
            | Self::NoClientCa
            | Self::Unproven { .. }
            | Self::Meaningless { .. }
            | Self::User { .. }
            | Self::Key { .. }
            | Self::Several(_) => Problem::new(what),
        }
    }

    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } => Exit::NoInput,
            Self::Tls { source, .. } if matches!(**source, TlsError::Unreadable { .. }) => Exit::NoInput,
            Self::Key { source, .. } if matches!(**source, KeyError::Unreadable { .. }) => Exit::NoInput,
            Self::Flag { .. } => Exit::Usage,
            Self::Several(errors) => exit_of(errors),
            Self::TooLarge { .. }
            | Self::Invalid { .. }
            | Self::PlaintextRemote { .. }
            | Self::TlsOnUnix { .. }
            | Self::NoClientCa
            | Self::Tls { .. }
            | Self::Unproven { .. }
            | Self::Meaningless { .. }
            | Self::User { .. }
            | Self::Key { .. } => Exit::Config,
        }
    }
}

/// Of several, a mistake in the configuration: a restart does not cure it.
pub(crate) fn exit_of(errors: &[ConfigError]) -> Exit {
    let mut exits = errors.iter().map(ConfigError::exit);
    let first = exits.clone().next().unwrap_or(Exit::Config);
    exits.find(|exit| *exit == Exit::Config).unwrap_or(first)
}

fn in_one(errors: &[ConfigError]) -> String {
    let texts: Vec<String> = errors.iter().map(|error| sentry_service::error_chain(error)).collect();
    texts.join("; ")
}
