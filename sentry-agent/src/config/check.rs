//! Looks at the files that a valid configuration names for the collector. The sensor itself reads
//! them when it connects, anew each time, so that they can be exchanged while it runs; a mistake in
//! them would show only then.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::{User, geteuid};
use sentry_proto::{
    certificate::{self, End, NotYours, Unusable},
    proof::{FeedKey, KeyError},
};
use tokio_rustls::rustls::{
    self, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::{Collector, Config, Proof, TlsFiles};

/// What is wrong with a file that the configuration names.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("cannot read {} (`{key}`)", path.display())]
    Unreadable { key: &'static str, path: PathBuf, source: io::Error },
    #[error("{} (`{key}`) holds no {what} in PEM form", path.display())]
    Pem { key: &'static str, path: PathBuf, what: &'static str, source: pem::Error },
    #[error("{} (`collector.tls.ca`) holds no usable authority", path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("the certificate {} and the key {} do not work together", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error(
        "{} (`collector.tls.cert`) is not the certificate of this sensor; `sensor.id` has to agree \
         with it",
        path.display()
    )]
    Name { path: PathBuf, source: NotYours },
    #[error("{} (`collector.tls.cert`) does not work", path.display())]
    Unusable { path: PathBuf, source: Unusable },
    #[error("cannot use `collector.key_file`")]
    Key(#[from] KeyError),
}

impl CheckError {
    /// A file is missing or closed to who asks, rather than wrong.
    #[must_use]
    pub fn is_about_reading(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Key(KeyError::Unreadable { .. }))
    }
}

/// What was looked at, a line each; `now` since 1970.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config: &Config, now: Duration) -> Result<Vec<String>, CheckError> {
    match &config.collector {
        Collector::Disabled => Ok(Vec::new()),
        Collector::Enabled { proof: Proof::Tls(files), .. } => tls(files, &config.sensor.id, now),
        Collector::Enabled { proof: Proof::Key(path), .. } => {
            FeedKey::read(path, geteuid().as_raw())?;
            Ok(vec![format!("the key {}: well-formed, closed to others", path.display())])
        }
        Collector::Enabled { proof: Proof::Peer { user: Some(user) }, .. } => {
            let known = user.parse::<u32>().is_ok() || matches!(User::from_name(user), Ok(Some(_)));
            let what =
                if known { "there is such a user" } else { "there is no such user while it does not run" };
            Ok(vec![format!("the collector's user {user}: {what}")])
        }
        Collector::Enabled { proof: Proof::Peer { user: None }, .. } => Ok(Vec::new()),
    }
}

fn tls(files: &TlsFiles, sensor: &str, now: Duration) -> Result<Vec<String>, CheckError> {
    let authorities = certificates("collector.tls.ca", &files.ca)?;
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        let failed = |source| CheckError::Authority { path: files.ca.clone(), source };
        roots.add(authority.clone()).map_err(failed)?;
    }
    let chain = certificates("collector.tls.cert", &files.cert)?;
    let pem = read("collector.tls.key", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|source| CheckError::Pem {
        key: "collector.tls.key",
        path: files.key.clone(),
        what: "private key",
        source,
    })?;
    certificate::check(Some(&chain), sensor)
        .map_err(|source| CheckError::Name { path: files.cert.clone(), source })?;
    for leaf in chain.iter().take(1) {
        certificate::usable(leaf, End::Client, now)
            .map_err(|source| CheckError::Unusable { path: files.cert.clone(), source })?;
    }
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| CheckError::Pair {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })?;
    Ok(vec![
        format!("the authorities of the collector {}: {}", files.ca.display(), authorities.len()),
        format!("the certificate {}: of sensor {sensor}, valid now", files.cert.display()),
        format!("its key {}: fits", files.key.display()),
    ])
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, CheckError> {
    let pem = read(key, path)?;
    let failed = |source| CheckError::Pem { key, path: path.to_owned(), what: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, CheckError> {
    fs::read(path).map_err(|source| CheckError::Unreadable { key, path: path.to_owned(), source })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;
    use crate::config::Flags;

    /// 2030-01-01.
    const NOW: Duration = Duration::from_secs(1_893_456_000);

    struct Files(tempfile::TempDir);

    impl Files {
        /// Material of sensor `s-1`, valid to the given year.
        fn new(name: &str, until: i32) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            let key = KeyPair::generate().unwrap();
            let cert = params.signed_by(&key, &authority).unwrap();
            let files = Self(dir);
            files.write("ca", &authority.pem());
            files.write("cert", &cert.pem());
            files.write("key", &key.serialize_pem());
            files
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        fn check(&self) -> Result<usize, String> {
            let dir = self.0.path().display();
            let text = format!(
                "version: 1\nsensor: {{id: s-1}}\ncollector:\n  endpoint: \
                 https://c.example:4319\n  tls: {{ca: {dir}/ca, cert: {dir}/cert, key: {dir}/key}}\n"
            );
            let config = Config::parse(Path::new("c.yaml"), Some(&text), &Flags::default()).unwrap();
            let error =
                |error: CheckError| sentry_service::error_chain(&error).replace(&format!("{dir}/"), "");
            check(&config, NOW).map(|lines| lines.len()).map_err(error)
        }
    }

    #[test]
    fn good_material_is_named() {
        assert_eq!(Files::new("s-1", 2031).check(), Ok(3));
    }

    #[test]
    fn each_mistake_in_the_material_is_found() {
        assert_eq!(
            Files::new("s-2", 2031).check().unwrap_err(),
            "cert (`collector.tls.cert`) is not the certificate of this sensor; `sensor.id` has \
             to agree with it: the client certificate is for \"s-2\", not for \"s-1\""
        );
        assert_eq!(
            Files::new("s-1", 2029).check().unwrap_err(),
            "cert (`collector.tls.cert`) does not work: it expired 365 days ago"
        );
        for (name, key) in [("ca", "ca"), ("cert", "cert"), ("key", "key")] {
            let files = Files::new("s-1", 2031);
            files.write(name, "nothing");
            let said = files.check().unwrap_err();
            assert!(said.starts_with(&format!("{name} (`collector.tls.{key}`) holds no ")), "{said}");
            fs::remove_file(files.0.path().join(name)).unwrap();
            let said = files.check().unwrap_err();
            assert!(said.starts_with(&format!("cannot read {name} (`collector.tls.{key}`): ")), "{said}");
        }
        let (files, other) = (Files::new("s-1", 2031), Files::new("s-1", 2031));
        fs::copy(other.0.path().join("key"), files.0.path().join("key")).unwrap();
        let said = files.check().unwrap_err();
        assert!(said.starts_with("the certificate cert and the key key do not work together: "), "{said}");
    }
}
