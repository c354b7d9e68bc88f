//! Why there is no valid configuration.

use std::{
    io,
    path::{Path, PathBuf},
};

use sentry_service::check::Problem;

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
    #[error(
        "cannot read the rules {}; name a file, or a directory with files that end in .yaml", path.display()
    )]
    Rules {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("invalid value {value:?} for {flag}: {what}")]
    Flag { flag: &'static str, value: String, what: String },
    #[error("{}", in_one(.0))]
    Several(Vec<Self>),
}

impl ConfigError {
    pub(super) fn of(mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 { errors.swap_remove(0) } else { Self::Several(errors) }
    }

    /// The line of the file that it is about; those of the whole come first.
    pub(super) fn line(&self) -> Option<u64> {
        match self {
            Self::Invalid { line, .. } => Some(*line),
            Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::Rules { .. }
            | Self::Flag { .. }
            | Self::Several(_) => None,
        }
    }

    /// As `config check` lists it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let what = sentry_service::error_chain(self);
        match self {
            Self::Invalid { path, line, column, .. } => Problem::in_file(what, path, Some((*line, *column))),
            Self::Unreadable { path, .. } | Self::TooLarge { path, .. } | Self::Rules { path, .. } => {
                Problem::in_file(what, path, None)
            }
            Self::Flag { .. } | Self::Several(_) => Problem::new(what),
        }
    }

    /// Each thing that is wrong.
    #[must_use]
    pub fn all(&self) -> &[Self] {
        match self {
            Self::Several(errors) => errors,
            one => std::slice::from_ref(one),
        }
    }
}

fn in_one(errors: &[ConfigError]) -> String {
    let texts: Vec<String> = errors.iter().map(|error| sentry_service::error_chain(error)).collect();
    texts.join("; ")
}

pub(super) fn invalid(path: &Path, at: serde_saphyr::Location, what: String) -> ConfigError {
    ConfigError::Invalid { path: path.into(), line: at.line(), column: at.column(), what }
}
