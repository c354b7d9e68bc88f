//! Looks at the files that a valid configuration names for the collector. The sensor itself reads
//! them when it connects, anew each time, so that they can be exchanged while it runs; a mistake in
//! them would show only then.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nix::unistd::{User, geteuid};
use sentry_proto::{
    certificate::{self, End, NotYours, Unusable},
    proof::{FeedKey, KeyError},
};
use sentry_service::check::Problem;
use tokio_rustls::rustls::{
    self, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::{Collector, Config, Endpoint, Proof, TlsFiles};

/// Permissions of whoever is neither the owner nor of the group.
const OTHERS: u32 = 0o007;

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
    #[error("the collector's certificate {} does not work at {endpoint}", path.display())]
    Collector { path: PathBuf, endpoint: Endpoint, source: rustls::Error },
    #[error(
        "`collector.endpoint` is no https address, where a certificate would be shown; leave          `--collector-cert` out"
    )]
    NoEndpoint,
}

impl CheckError {
    /// A file is missing or closed to who asks, rather than wrong.
    #[must_use]
    pub fn is_about_reading(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Key(KeyError::Unreadable { .. }))
    }

    /// As `config check` lists it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let what = sentry_service::error_chain(self);
        match self {
            Self::Unreadable { path, .. }
            | Self::Pem { path, .. }
            | Self::Authority { path, .. }
            | Self::Pair { key: path, .. }
            | Self::Name { path, .. }
            | Self::Unusable { path, .. }
            | Self::Collector { path, .. } => Problem::in_file(what, path, None),
            Self::Key(_) | Self::NoEndpoint => Problem::new(what),
        }
    }
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct Looked {
    /// What is well, a line each.
    pub checked: Vec<String>,
    /// What works now, and soon will not, or is unwise.
    pub warnings: Vec<String>,
    pub errors: Vec<CheckError>,
}

/// Looks at all files, at `now`, since 1970. `collector` is a certificate of the collector, to be
/// compared with what this sensor expects.
#[must_use]
pub fn check(config: &Config, collector: Option<&Path>, now: Duration) -> Looked {
    let mut looked = Looked::default();
    match &config.collector {
        Collector::Disabled => {}
        Collector::Enabled { endpoint, proof: Proof::Tls(files) } => {
            tls(files, &config.sensor.id, now, &mut looked);
            if let Some(path) = collector {
                let found = of_collector(&files.ca, path, endpoint, now);
                looked.note(found.map(|()| {
                    format!("the collector's certificate {}: works at {endpoint}", path.display())
                }));
            }
            return looked;
        }
        Collector::Enabled { proof: Proof::Key(path), .. } => {
            let found = FeedKey::read(path, geteuid().as_raw()).map_err(CheckError::from);
            let line = |_| format!("the key {}: well-formed, closed to others", path.display());
            looked.note(found.map(line));
        }
        Collector::Enabled { proof: Proof::Peer { user: Some(user) }, .. } => {
            let known = user.parse::<u32>().is_ok() || matches!(User::from_name(user), Ok(Some(_)));
            let what =
                if known { "there is such a user" } else { "there is no such user while it does not run" };
            looked.checked.push(format!("the collector's user {user}: {what}"));
        }
        Collector::Enabled { proof: Proof::Peer { user: None }, .. } => {}
    }
    if collector.is_some() {
        looked.errors.push(CheckError::NoEndpoint);
    }
    looked
}

impl Looked {
    /// What is well, or what is wrong.
    fn note(&mut self, found: Result<String, CheckError>) {
        match found {
            Ok(line) => self.checked.push(line),
            Err(error) => self.errors.push(error),
        }
    }

    /// The value, or what is wrong with it.
    fn take<T>(&mut self, found: Result<T, CheckError>) -> Option<T> {
        found.map_err(|error| self.errors.push(error)).ok()
    }

    fn expiry(&mut self, path: &Path, key: &str, cert: &CertificateDer<'_>, now: Duration) {
        if let Some(when) = certificate::ends_soon(cert, now) {
            self.warnings.push(format!("{} (`{key}`) {when}", path.display()));
        }
    }
}

fn tls(files: &TlsFiles, sensor: &str, now: Duration, looked: &mut Looked) {
    if let Some(authorities) = looked.take(certificates("collector.tls.ca", &files.ca)) {
        looked.take(roots(&files.ca, &authorities).map(drop));
        let line = format!("the authorities of the collector {}: {}", files.ca.display(), authorities.len());
        looked.checked.push(line);
        for authority in &authorities {
            looked.expiry(&files.ca, "collector.tls.ca", authority, now);
        }
    }
    let key = looked.take(private_key(&files.key));
    let Some(chain) = looked.take(certificates("collector.tls.cert", &files.cert)) else { return };
    let name = certificate::check(Some(&chain), sensor);
    let name = name.map_err(|source| CheckError::Name { path: files.cert.clone(), source });
    let usable = chain.first().map_or(Ok(()), |leaf| certificate::usable(leaf, End::Client, now));
    let usable = usable.map_err(|source| CheckError::Unusable { path: files.cert.clone(), source });
    // Each of the two by itself: both may be wrong.
    let is_good = [looked.take(name), looked.take(usable)].iter().all(Option::is_some);
    if is_good {
        looked
            .checked
            .push(format!("the certificate {}: of sensor {sensor}, valid now", files.cert.display()));
        for leaf in chain.iter().take(1) {
            looked.expiry(&files.cert, "collector.tls.cert", leaf, now);
        }
    }
    let Some(key) = key else { return };
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let pair =
        pair.map_err(|source| CheckError::Pair { cert: files.cert.clone(), key: files.key.clone(), source });
    looked.note(pair.map(|_| format!("its key {}: fits", files.key.display())));
    if fs::metadata(&files.key).is_ok_and(|about| about.mode() & OTHERS != 0) {
        looked.warnings.push(format!("{} (`collector.tls.key`) is open to other users", files.key.display()));
    }
}

/// Whether this sensor would take who shows that certificate at its endpoint.
fn of_collector(ca: &Path, path: &Path, endpoint: &Endpoint, now: Duration) -> Result<(), CheckError> {
    let Endpoint::Https { host, .. } = endpoint else { return Err(CheckError::NoEndpoint) };
    let wrong = |source| CheckError::Collector { path: path.to_owned(), endpoint: endpoint.clone(), source };
    let chain = certificates("--collector-cert", path)?;
    let roots = roots(ca, &certificates("collector.tls.ca", ca)?)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| wrong(rustls::Error::General(error.to_string())))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(bare.to_owned());
    let name = name.map_err(|error| wrong(rustls::Error::General(error.to_string())))?;
    let Some((leaf, between)) = chain.split_first() else { return Ok(()) };
    let verified = verifier.verify_server_cert(leaf, between, &name, &[], UnixTime::since_unix_epoch(now));
    verified.map(drop).map_err(wrong)
}

fn roots(path: &Path, authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, CheckError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        let failed = |source| CheckError::Authority { path: path.to_owned(), source };
        roots.add(authority.clone()).map_err(failed)?;
    }
    Ok(roots)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CheckError> {
    let pem = read("collector.tls.key", path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|source| CheckError::Pem {
        key: "collector.tls.key",
        path: path.to_owned(),
        what: "private key",
        source,
    })
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
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;
    use crate::config::Flags;

    /// 2030-01-01.
    const NOW: Duration = Duration::from_secs(1_893_456_000);

    struct Files {
        dir: tempfile::TempDir,
        /// A certificate of the collector to compare with.
        collector: Option<PathBuf>,
    }

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
            let files = Self { dir, collector: None };
            files.write("ca", &authority.pem());
            files.write("cert", &cert.pem());
            files.write("key", &key.serialize_pem());
            files
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        }

        /// How much was checked, and the warnings; or all that is wrong.
        fn check(&self) -> Result<(usize, Vec<String>), String> {
            let dir = self.dir.path().display();
            let text = format!(
                "version: 1\nsensor: {{id: s-1}}\ncollector:\n  endpoint: \
                 https://c.example:4319\n  tls: {{ca: {dir}/ca, cert: {dir}/cert, key: {dir}/key}}\n"
            );
            let config = Config::parse(Path::new("c.yaml"), Some(&text), &Flags::default()).unwrap();
            let looked = check(&config, self.collector.as_deref(), NOW);
            let errors: Vec<String> =
                looked.errors.iter().map(|error| sentry_service::error_chain(error)).collect();
            let bare = |text: &str| text.replace(&format!("{dir}/"), "");
            if errors.is_empty() {
                Ok((looked.checked.len(), looked.warnings.iter().map(|line| bare(line)).collect()))
            } else {
                Err(bare(&errors.join("; ")))
            }
        }
    }

    #[test]
    fn good_material_is_named() {
        assert_eq!(Files::new("s-1", 2031).check(), Ok((3, Vec::new())));
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
            fs::remove_file(files.dir.path().join(name)).unwrap();
            let said = files.check().unwrap_err();
            assert!(said.starts_with(&format!("cannot read {name} (`collector.tls.{key}`): ")), "{said}");
        }
        let (files, other) = (Files::new("s-1", 2031), Files::new("s-1", 2031));
        fs::copy(other.dir.path().join("key"), files.dir.path().join("key")).unwrap();
        let said = files.check().unwrap_err();
        assert!(said.starts_with("the certificate cert and the key key do not work together: "), "{said}");
    }

    #[test]
    fn all_that_is_wrong_with_the_material_is_found_at_once() {
        let files = Files::new("s-2", 2029);
        files.write("ca", "nothing");
        files.write("key", "nothing");
        let said = files.check().unwrap_err();
        let starts = [
            "ca (`collector.tls.ca`) holds no",
            "key (`collector.tls.key`) holds no",
            "cert (`collector.tls.cert`) is not",
            "cert (`collector.tls.cert`) does not work",
        ];
        let found: Vec<&str> = said.split("; ").collect();
        assert!(starts.iter().all(|start| found.iter().any(|one| one.starts_with(start))), "{said}");
    }

    #[test]
    fn what_soon_expires_or_is_open_is_a_warning() {
        let files = Files::new("s-1", 2030);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "s-1");
        params.not_after = rcgen::date_time_ymd(2030, 1, 20);
        let key = KeyPair::generate().unwrap();
        files.write("cert", &params.self_signed(&key).unwrap().pem());
        files.write("key", &key.serialize_pem());
        fs::set_permissions(files.dir.path().join("key"), PermissionsExt::from_mode(0o644)).unwrap();
        let expected = [
            "cert (`collector.tls.cert`) expires in 19 days",
            "key (`collector.tls.key`) is open to other users",
        ];
        assert_eq!(files.check(), Ok((3, expected.map(str::to_owned).to_vec())));
    }

    #[test]
    fn the_collectors_certificate_is_compared_with_what_the_sensor_expects() {
        let mut files = Files::new("s-1", 2031);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        files.write("ca", &authority.pem());
        files.collector = Some(files.dir.path().join("collector"));
        let key = KeyPair::generate().unwrap();
        let of = |name: &str, authority: &CertifiedIssuer<'_, KeyPair>| {
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            files.write("collector", &params.signed_by(&key, authority).unwrap().pem());
            files.check()
        };
        assert_eq!(of("c.example", &authority), Ok((4, Vec::new())));
        let said = of("other.example", &authority).unwrap_err();
        let start = "the collector's certificate collector does not work at https://c.example:4319: ";
        assert!(said.starts_with(start) && said.contains("other.example"), "{said}");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let stranger = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let said = of("c.example", &stranger).unwrap_err();
        assert!(said.starts_with(start), "{said}");
    }
}
