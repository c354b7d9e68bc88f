//! Where an authority and what it signed are kept:
//!
//! ```text
//! ca.crt          every authority that is accepted; after a rotation more than one
//! ca.key          key of the one that signs, mode 0600
//! collector/      ca.crt, tls.crt, tls.key: all that the collector needs
//! sensors/NAME/   the same for the sensor of that id
//! ```
//!
//! Each file is written beside its place and moved there, the key last: who finds it finds the
//! rest.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rcgen::KeyPair;

use super::{
    authority::{Authority, Pair},
    certificate::Certificate,
    error::PkiError,
};

pub(super) const CA_CERT: &str = "ca.crt";
pub(super) const CA_KEY: &str = "ca.key";
pub(super) const CERT: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
const COLLECTOR: &str = "collector";
const SENSORS: &str = "sensors";

/// Anybody may read certificates; keys are files that nobody else may read.
const DIRECTORY: u32 = 0o755;
const OPEN: u32 = 0o644;
const CLOSED: u32 = 0o600;

/// The directory.
pub(super) struct Folder {
    pub(super) dir: PathBuf,
}

/// Who has a certificate, and which.
pub(super) struct Held {
    /// `None`: the collector.
    pub(super) sensor: Option<String>,
    pub(super) dir: PathBuf,
    pub(super) cert: Certificate,
}

// === impl Folder ===

impl Folder {
    /// A path that is printed has to work from wherever it is pasted.
    pub(super) fn at(dir: &Path) -> Result<Self, PkiError> {
        let absolute = std::path::absolute(dir);
        absolute.map(|dir| Self { dir }).map_err(|source| PkiError::Write { path: dir.to_owned(), source })
    }

    pub(super) fn place_of(&self, sensor: Option<&str>) -> PathBuf {
        match sensor {
            None => self.dir.join(COLLECTOR),
            Some(name) => self.dir.join(SENSORS).join(name),
        }
    }

    /// Every authority that is accepted.
    pub(super) fn authorities(&self) -> Result<Vec<Certificate>, PkiError> {
        let path = self.dir.join(CA_CERT);
        match read(&path, "the authority's certificate") {
            Err(PkiError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(PkiError::NoAuthority { dir: self.dir.clone() })
            }
            text => certificates(&path, &text?),
        }
    }

    /// The one that signs.
    pub(super) fn authority(&self) -> Result<Authority, PkiError> {
        authority(&self.authorities()?, &self.dir.join(CA_CERT), &self.dir.join(CA_KEY))
    }

    /// Who has a certificate: the collector, then the sensors by their names.
    pub(super) fn held(&self) -> Result<Vec<Held>, PkiError> {
        let sensors = self.dir.join(SENSORS);
        let mut names = Vec::new();
        match fs::read_dir(&sensors) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            entries => {
                let failed = |source| PkiError::Read { what: "the sensors", path: sensors.clone(), source };
                for entry in entries.map_err(failed)? {
                    names.extend(entry.map_err(failed)?.file_name().into_string().ok());
                }
            }
        }
        names.sort_unstable();
        let mut held = Vec::new();
        for sensor in std::iter::once(None).chain(names.into_iter().map(Some)) {
            let dir = self.place_of(sensor.as_deref());
            held.extend(self.held_by(sensor.as_deref())?.map(|cert| Held { sensor, dir, cert }));
        }
        Ok(held)
    }

    /// The certificate of one; `None`: there is none yet.
    pub(super) fn held_by(&self, sensor: Option<&str>) -> Result<Option<Certificate>, PkiError> {
        let path = self.place_of(sensor).join(CERT);
        match read(&path, "a certificate") {
            Err(PkiError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            text => Ok(certificates(&path, &text?)?.into_iter().next()),
        }
    }

    /// Makes these the authorities that are accepted, here and wherever a certificate stands.
    pub(super) fn accept(&self, authorities: &[&Certificate]) -> Result<Vec<Held>, PkiError> {
        let pem: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
        put(&self.dir, CA_CERT, OPEN, &pem)?;
        let held = self.held()?;
        for one in &held {
            put(&one.dir, CA_CERT, OPEN, &pem)?;
        }
        Ok(held)
    }

    pub(super) fn put_authority_key(&self, key: &str) -> Result<(), PkiError> {
        put(&self.dir, CA_KEY, CLOSED, key)
    }
}

/// The one of the authorities in `cert_path` that the key is of.
pub(super) fn authority(
    certs: &[Certificate],
    cert_path: &Path,
    key_path: &Path,
) -> Result<Authority, PkiError> {
    let what = "the key of an authority";
    let pem = || PkiError::Pem { what, path: key_path.to_owned() };
    let key = read(key_path, what)?;
    let key = KeyPair::from_pem(&key).map_err(|_not_pem| pem())?;
    let found = Authority::of(certs, key).map_err(PkiError::Sign)?;
    found.ok_or_else(|| PkiError::Pair { key: key_path.to_owned(), cert: cert_path.to_owned() })
}

/// A certificate with its key and the authorities that its holder accepts.
pub(super) fn put_pair(dir: &Path, authorities: &str, pair: &Pair) -> Result<(), PkiError> {
    put(dir, CA_CERT, OPEN, authorities)?;
    put(dir, CERT, OPEN, &pair.cert)?;
    put(dir, KEY, CLOSED, &pair.key)
}

pub(super) fn make(dir: &Path) -> Result<(), PkiError> {
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY).create(dir);
    made.map_err(|source| PkiError::Write { path: dir.to_owned(), source })
}

pub(super) fn read(path: &Path, what: &'static str) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::Read { what, path: path.to_owned(), source })
}

pub(super) fn certificates(path: &Path, text: &str) -> Result<Vec<Certificate>, PkiError> {
    let wrong = || PkiError::Pem { what: "a certificate", path: path.to_owned() };
    Certificate::all(text).ok_or_else(wrong)
}

/// A new file of that mode, in place of an old one.
fn put(dir: &Path, name: &str, mode: u32, text: &str) -> Result<(), PkiError> {
    let path = dir.join(name);
    write(&path, mode, text).map_err(|source| PkiError::Write { path, source })
}

fn write(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
    // Whatever the umask: a certificate that its reader cannot read is none.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
