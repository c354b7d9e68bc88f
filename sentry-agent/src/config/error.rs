//! Why there is no valid configuration.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why there is no valid configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}; name an existing file with --config", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the configuration {} is larger than {limit_bytes} bytes", path.display())]
    TooLarge { path: PathBuf, limit_bytes: u64 },
    #[error("{}:{line}:{column}: {what}", path.display())]
    Invalid { path: PathBuf, line: u64, column: u64, what: String },
    #[error("invalid value {value:?} for {flag}: {what}")]
    Flag { flag: &'static str, value: String, what: String },
}

pub(super) fn invalid(path: &Path, at: serde_saphyr::Location, what: String) -> ConfigError {
    ConfigError::Invalid { path: path.into(), line: at.line(), column: at.column(), what }
}
