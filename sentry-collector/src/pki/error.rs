//! Why there is no certificate.

use std::{io, path::PathBuf};

use super::authority::Holder;
use crate::exit::Exit;

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("there is no authority in {}; `sentry-collector pki init` makes one", dir.display())]
    NoAuthority { dir: PathBuf },
    #[error("{} is there already; {next}", path.display())]
    Exists { path: PathBuf, next: &'static str },
    #[error("cannot read {}, {what}", path.display())]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not {what} in PEM", path.display())]
    Pem { what: &'static str, path: PathBuf },
    #[error("the key {} belongs to no certificate in {}", key.display(), cert.display())]
    Pair { key: PathBuf, cert: PathBuf },
    #[error("{name:?} cannot stand in a certificate: {why}")]
    Name { name: String, why: String },
    #[error("the authority in {} expired on {on}; `sentry-collector pki rotate` makes a new one", dir.display())]
    Expired { dir: PathBuf, on: String },
    #[error("cannot make the certificate")]
    Sign(#[source] rcgen::Error),
    #[error("cannot write {}; name a directory that is yours", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "certificates of an old authority are in use: {}. Make new ones with `--force` and bring \
         them to their hosts first; or refuse them from now on with `retire --force`",
        .0.join(", ")
    )]
    InUse(Vec<String>),
}

// === impl PkiError ===

impl PkiError {
    /// Of a certificate for that holder.
    pub(super) fn signing(holder: Holder<'_>, error: rcgen::Error) -> Self {
        let name = match holder {
            Holder::Sensor(id) => id.to_owned(),
            Holder::Collector(names) => names.join(", "),
        };
        match error {
            rcgen::Error::InvalidAsn1String(_) => Self::Name { name, why: error.to_string() },
            other => Self::Sign(other),
        }
    }

    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoAuthority { .. } | Self::Read { .. } => Exit::NoInput,
            Self::Pem { .. } | Self::Pair { .. } | Self::Expired { .. } => Exit::Config,
            Self::Name { .. } => Exit::Usage,
            Self::Sign(_) | Self::InUse(_) => Exit::Other,
            Self::Exists { .. } | Self::Write { .. } => Exit::CannotCreate,
        }
    }
}
