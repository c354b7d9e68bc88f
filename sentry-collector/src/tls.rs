//! TLS material: read, checked once, handed to both servers. Client certificates are always asked
//! for.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sentry_proto::certificate::{End, Unusable, usable};
use sentry_service::credential;
use serde::{Deserialize, Deserializer, de::Error as _};
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier},
};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The authorities whose client certificates are accepted.
    #[serde(deserialize_with = "place")]
    pub client_ca: PathBuf,
}

/// Checked material.
pub struct Tls {
    cert: PathBuf,
    leaf: CertificateDer<'static>,
    cert_pem: Vec<u8>,
    key_pem: Vec<u8>,
    client_ca_pem: Vec<u8>,
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

/// Whose credentials `credential:NAME` means, for a command that is not started by it.
const UNIT: &str = "agentsentry-collector.service";

/// A path, or the file of a credential.
fn place<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    credential::resolve(PathBuf::deserialize(from)?, UNIT).map_err(D::Error::custom)
}

/// A file as the configuration names it: by its path, or as `credential:NAME`.
#[derive(Clone, Debug, Deserialize)]
pub struct Place(#[serde(deserialize_with = "place")] pub PathBuf);

// === impl Tls ===

impl Tls {
    /// # Errors
    /// Where a file cannot be read or does not hold what its key says.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let cert_pem = read(&files.cert)?;
        let key_pem = read(&files.key)?;
        let client_ca_pem = read(&files.client_ca)?;
        let (leaf, chain) = certificates(&files.cert, &cert_pem)?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|source| TlsError::Pem {
            path: files.key.clone(),
            what: "private key",
            source,
        })?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.client_ca, &client_ca_pem)?.1 {
            roots
                .add(authority)
                .map_err(|source| TlsError::Authority { path: files.client_ca.clone(), source })?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|source| TlsError::Verifier { path: files.client_ca.clone(), source })?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key))
            .map_err(|source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            cert: files.cert.clone(),
            leaf,
            cert_pem,
            key_pem,
            client_ca_pem,
            server: Arc::new(server),
        })
    }

    /// Whether the certificate works at `now`, since 1970.
    pub(crate) fn check(&self, now: Duration) -> Result<(), TlsError> {
        let unusable = |source| TlsError::Unusable { path: self.cert.clone(), source };
        usable(&self.leaf, End::Server, now).map_err(unusable)
    }

    /// For the gRPC server.
    pub(crate) fn grpc(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.cert_pem, &self.key_pem))
            .client_ca_root(Certificate::from_pem(&self.client_ca_pem))
            .timeout(HANDSHAKE_TIMEOUT)
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

/// The first certificate, and all of them.
fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<(CertificateDer<'static>, Vec<CertificateDer<'static>>), TlsError> {
    let failed = |source| TlsError::Pem { path: path.to_owned(), what: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(failed)?;
    let first = found.first().cloned().ok_or_else(|| failed(rustls::pki_types::pem::Error::NoItemsFound))?;
    Ok((first, found))
}
