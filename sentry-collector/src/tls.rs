//! TLS material: read, checked once, handed to both servers. Sensors always show a certificate; who
//! uses the HTTP API has a key, and a certificate where the configuration wants one.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sentry_proto::certificate::{End, Unusable, ends_soon, usable};
use sentry_service::credential;
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tonic::transport::{self, Identity, ServerTlsConfig};

use crate::{http_name::HttpName, pki::certificate::Certificate};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Permissions of whoever is neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Which files hold the material, PEM each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain of this collector, leaf first.
    #[serde(deserialize_with = "place")]
    pub cert: PathBuf,
    /// Its private key.
    #[serde(deserialize_with = "place")]
    pub key: PathBuf,
    /// The authorities whose client certificates are accepted; `None`: clients need none.
    #[serde(default, deserialize_with = "optional_place")]
    pub client_ca: Option<PathBuf>,
}

/// Checked material.
pub struct Tls {
    files: TlsFiles,
    chain: Vec<CertificateDer<'static>>,
    authorities: Vec<CertificateDer<'static>>,
    cert_pem: Vec<u8>,
    key_pem: Vec<u8>,
    client_ca_pem: Option<Vec<u8>>,
    server: Arc<ServerConfig>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} holds no {what} in PEM form", path.display())]
    Pem { path: PathBuf, what: &'static str, source: rustls::pki_types::pem::Error },
    #[error("{} holds no usable authority", path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("{} gives no verifier of clients", path.display())]
    Verifier { path: PathBuf, source: VerifierBuilderError },
    #[error("the certificate {} and the key {} do not work together", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("the certificate {} does not work", path.display())]
    Unusable { path: PathBuf, source: Unusable },
}

impl TlsError {
    /// The file that is wrong.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Pem { path, .. }
            | Self::Authority { path, .. }
            | Self::Verifier { path, .. }
            | Self::Pair { key: path, .. }
            | Self::Unusable { path, .. } => path,
        }
    }
}

/// Whose credentials `credential:NAME` means, for a command that is not started by it.
const UNIT: &str = "agentsentry-collector.service";

/// A path, or the file of a credential.
fn place<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    credential::resolve(PathBuf::deserialize(from)?, UNIT).map_err(D::Error::custom)
}

fn optional_place<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    place(from).map(Some)
}

/// A file as the configuration names it: by its path, or as `credential:NAME`.
#[derive(Clone, Debug, Deserialize)]
pub struct Place(#[serde(deserialize_with = "place")] pub PathBuf);

// === impl Tls ===

impl Tls {
    /// # Errors
    /// Each file that cannot be read or does not hold what its key says.
    pub fn load(files: &TlsFiles) -> Result<Self, Vec<TlsError>> {
        let clients = files.client_ca.as_deref().map(verifier).transpose();
        let parts = (chain(&files.cert), private_key(&files.key), clients);
        let (cert, key, clients) = match parts {
            (Ok(cert), Ok(key), Ok(clients)) => (cert, key, clients),
            (cert, key, clients) => {
                return Err([cert.err(), key.err(), clients.err()].into_iter().flatten().collect());
            }
        };
        let ((cert_pem, chain), (key_pem, key)) = (cert, key);
        let (client_ca_pem, authorities, verifier) = match clients {
            Some((pem, authorities, verifier)) => (Some(pem), authorities, verifier),
            None => (None, Vec::new(), WebPkiClientVerifier::no_client_auth()),
        };
        let certificates = chain.clone();
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key))
            .map_err(|source| {
                vec![TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source }]
            })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            files: files.clone(),
            chain: certificates,
            authorities,
            cert_pem,
            key_pem,
            client_ca_pem,
            server: Arc::new(server),
        })
    }

    /// Looks at what [`Tls::load`] need not, at `now`, since 1970: whether the certificate works,
    /// and until when, and whether it is for these names. `key` is where the configuration has it.
    pub(crate) fn check(&self, key: &'static str, names: &[HttpName], now: Duration) -> Looked {
        let mut looked = Looked::default();
        let TlsFiles { cert: path, key: key_path, client_ca } = &self.files;
        for leaf in self.chain.iter().take(1) {
            if let Err(source) = usable(leaf, End::Server, now) {
                looked.errors.push(TlsError::Unusable { path: path.clone(), source });
                continue;
            }
            looked.expiry(path, &format!("{key}.cert"), leaf, now);
            for name in names.iter().filter(|name| !is_for(leaf, &name.host)) {
                looked.warnings.push(format!(
                    "{} (`{key}.cert`) is not for {}, which `http_names` has",
                    path.display(),
                    name.host
                ));
            }
            let names = Certificate::of(leaf).map(|cert| cert.names.join(", ")).unwrap_or_default();
            looked.checked.push(format!("the certificate {}: for {names}, valid now", path.display()));
            looked.checked.push(format!("its key {}: fits", key_path.display()));
        }
        if let Some(path) = client_ca {
            let authorities = self.authorities.len();
            looked.checked.push(format!("the authorities of clients {}: {authorities}", path.display()));
            for authority in &self.authorities {
                looked.expiry(path, &format!("{key}.client_ca"), authority, now);
            }
        }
        if fs::metadata(key_path).is_ok_and(|about| about.mode() & OTHERS != 0) {
            looked.warnings.push(format!("{} (`{key}.key`) is open to other users", key_path.display()));
        }
        looked
    }

    /// For the gRPC server.
    pub(crate) fn grpc(&self) -> ServerTlsConfig {
        let config = ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.cert_pem, &self.key_pem))
            .timeout(HANDSHAKE_TIMEOUT);
        match &self.client_ca_pem {
            Some(pem) => config.client_ca_root(transport::Certificate::from_pem(pem)),
            None => config,
        }
    }

    /// Whether clients show a certificate.
    pub(crate) fn is_mutual(&self) -> bool {
        self.client_ca_pem.is_some()
    }

    /// For the HTTP server.
    pub(crate) fn http(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

impl fmt::Debug for Tls {
    // The key must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

/// A text, and the certificates in it, of which there is one at least.
fn chain(path: &Path) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>), TlsError> {
    let pem = read(path)?;
    let failed = |source| TlsError::Pem { path: path.to_owned(), what: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(failed(rustls::pki_types::pem::Error::NoItemsFound)) } else { Ok((pem, found)) }
}

fn private_key(path: &Path) -> Result<(Vec<u8>, PrivateKeyDer<'static>), TlsError> {
    let pem = read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    key.map(|key| (pem, key)).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        source,
    })
}

/// The authorities of clients, and what verifies clients by them.
type Clients = (Vec<u8>, Vec<CertificateDer<'static>>, Arc<dyn ClientCertVerifier>);

fn verifier(path: &Path) -> Result<Clients, TlsError> {
    let (pem, authorities) = chain(path)?;
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        let added = roots.add(authority.clone());
        added.map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    let provider = Arc::new(ring::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = built.map_err(|source| TlsError::Verifier { path: path.to_owned(), source })?;
    Ok((pem, authorities, verifier))
}

fn is_for(leaf: &CertificateDer<'_>, host: &str) -> bool {
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(leaf), ServerName::try_from(host)) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

/// What was looked at.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What is well, a line each.
    pub(crate) checked: Vec<String>,
    /// What works now, and soon will not, or is unwise.
    pub(crate) warnings: Vec<String>,
    pub(crate) errors: Vec<TlsError>,
}

impl Looked {
    fn expiry(&mut self, path: &Path, key: &str, cert: &CertificateDer<'_>, now: Duration) {
        if let Some(when) = ends_soon(cert, now) {
            self.warnings.push(format!("{} (`{key}`) {when}", path.display()));
        }
    }
}
