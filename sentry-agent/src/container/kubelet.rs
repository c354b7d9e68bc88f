//! Asking this node's kubelet which pods it runs: by its Pods API on a unix socket (Kubernetes
//! 1.35, on by default from 1.37), or by `/pods` on its port.
//!
//! Limits: an answer has at most 32 MiB and comes within ten seconds. The kubelet is asked every
//! ten seconds, and at most twice a second where a pod is looked for that is not in the list.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use sentry_proto::kubelet::{self as wire, pods_client::PodsClient};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tonic::transport::Endpoint;

use super::{
    Pod,
    pods::{Container, Described, Pods},
    roots::text,
};

const ANSWER_LIMIT_BYTES: usize = 32 << 20;
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Where the kubelet is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kubelet {
    /// The socket of the Pods API.
    Socket(PathBuf),
    /// The port of the kubelet, on this host.
    Port {
        host: String,
        port: u16,
        /// Whom the kubelet's certificate is from; `None`: plain HTTP.
        tls: Option<Tls>,
        /// A token of a service account that may `get` `nodes/pods`; read anew for every request.
        token_file: Option<PathBuf>,
    },
}

/// How the kubelet proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub ca: PathBuf,
    /// The name in the certificate: the node's.
    pub name: String,
}

/// Why there is no list of pods.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    #[error("cannot read {path} for the kubelet")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no certificate in {path} can be used to prove the kubelet")]
    Ca { path: PathBuf },
    #[error("{name:?} is no name that a certificate can have; set `containers.node`")]
    Name { name: String },
    #[error("cannot set up TLS for the kubelet")]
    Tls(#[from] rustls::Error),
    #[error("cannot reach the kubelet")]
    Connect(#[from] io::Error),
    #[error("cannot reach the socket of the kubelet's Pods API")]
    Channel(#[from] tonic::transport::Error),
    #[error("the kubelet refuses the list of its pods: {0}")]
    Call(Box<tonic::Status>),
    #[error("the kubelet does not answer as it should")]
    Http(#[from] hyper::Error),
    #[error("the kubelet's answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the kubelet answers {0}: 401 and 403 ask for a token that may get nodes/pods (before Kubernetes \
        1.33: nodes/proxy)"
    )]
    Status(StatusCode),
    #[error("the kubelet's answer is not a list of pods")]
    Json(#[from] serde_json::Error),
    #[error("the kubelet's answer holds something other than pods")]
    Pod(#[from] prost::DecodeError),
    #[error("the kubelet has not answered within {} s", ANSWERED_WITHIN.as_secs())]
    Late,
}

/// Keeps `pods` filled, for as long as it is polled.
pub async fn keep(kubelet: Kubelet, pods: Arc<Pods>) {
    let mut failing = false;
    loop {
        match kubelet.list().await {
            Ok(list) => {
                pods.replace(list);
                if std::mem::take(&mut failing) {
                    tracing::info!("the kubelet lists its pods again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        error = %sentry_service::error_chain(&error),
                        "no list of pods from the kubelet; labels of pods stay unknown"
                    );
                }
            }
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
        // The time running out is as good as being asked.
        let _asked = tokio::time::timeout(ASK_EVERY, pods.wanted()).await;
    }
}

impl Kubelet {
    /// The pods of this node.
    ///
    /// # Errors
    /// Where the kubelet cannot be reached, does not prove itself, refuses, or answers something
    /// else.
    pub async fn list(&self) -> Result<Vec<Described>, KubeletError> {
        let list = async {
            match self {
                Self::Socket(path) => by_socket(path.clone()).await,
                Self::Port { host, port, tls, token_file } => {
                    let authority = format!("{host}:{port}");
                    let token = token_file.as_ref().map(read_token).transpose()?;
                    let stream = TcpStream::connect(&authority).await?;
                    let answer = match tls {
                        None => get(stream, &authority, token).await?,
                        Some(tls) => {
                            get(tls.connector()?.connect(tls.name()?, stream).await?, &authority, token)
                                .await?
                        }
                    };
                    let list: List = serde_json::from_slice(&answer)?;
                    Ok(list.items.into_iter().flatten().filter_map(Item::described).collect())
                }
            }
        };
        tokio::time::timeout(ANSWERED_WITHIN, list).await.map_err(|_elapsed| KubeletError::Late)?
    }
}

impl Tls {
    fn connector(&self) -> Result<TlsConnector, KubeletError> {
        let bad = || KubeletError::Ca { path: self.ca.clone() };
        let certificates = CertificateDer::pem_file_iter(&self.ca).map_err(|_unreadable| bad())?;
        let mut roots = RootCertStore::empty();
        let (added, _unfit) = roots.add_parsable_certificates(certificates.filter_map(Result::ok));
        if added == 0 {
            return Err(bad());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn name(&self) -> Result<ServerName<'static>, KubeletError> {
        ServerName::try_from(self.name.clone())
            .map_err(|_invalid| KubeletError::Name { name: self.name.clone() })
    }
}

fn read_token(path: &PathBuf) -> Result<String, KubeletError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| KubeletError::File { path: path.clone(), source })?;
    Ok(text.trim().to_owned())
}

/// One request for `/pods` on a connection of its own.
async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    authority: &str,
    token: Option<String>,
) -> Result<Bytes, KubeletError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::get("/pods").header(header::HOST, authority);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| KubeletError::Body(error.into()))?;
    let answer = async move {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(KubeletError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), ANSWER_LIMIT_BYTES).collect().await;
        Ok(body.map_err(KubeletError::Body)?.to_bytes())
    };
    // The connection ends with its sender.
    let (answer, _closed) = tokio::join!(answer, connection);
    answer
}

async fn by_socket(path: PathBuf) -> Result<Vec<Described>, KubeletError> {
    let connect = tower::service_fn(move |_uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The address of a unix socket is never resolved.
    let channel = Endpoint::from_static("http://kubelet.local").connect_with_connector(connect).await?;
    let mut client = PodsClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES);
    let answer = client
        .list_pods(wire::ListPodsRequest {})
        .await
        .map_err(|status| KubeletError::Call(Box::new(status)))?;
    let decoded = answer.into_inner().pods.into_iter().map(|pod| wire::Pod::decode(pod.as_slice()));
    let decoded: Vec<wire::Pod> = decoded.collect::<Result<_, _>>()?;
    Ok(decoded.into_iter().filter_map(|pod| Item::from(pod).described()).collect())
}

/// `/pods`: a `PodList`, of which only this is read.
#[derive(Default, Deserialize)]
struct List {
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    uid: String,
    name: String,
    namespace: String,
    labels: Option<std::collections::BTreeMap<String, String>>,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    service_account_name: String,
    node_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    image: String,
    #[serde(rename = "imageID")]
    image_id: String,
    #[serde(rename = "containerID")]
    container_id: String,
}

impl Item {
    /// `None` without a uid.
    fn described(self) -> Option<Described> {
        let Self { metadata, spec, status } = self;
        let statuses = status.container_statuses.into_iter().chain(status.init_container_statuses).flatten();
        Some(Described {
            pod: Pod {
                uid: text(metadata.uid)?,
                name: text(metadata.name),
                namespace: text(metadata.namespace),
                service_account: text(spec.service_account_name),
                labels: metadata.labels.unwrap_or_default(),
                annotations: metadata.annotations.unwrap_or_default(),
                described: true,
            },
            node: text(spec.node_name),
            containers: statuses.filter_map(ContainerStatus::container).collect(),
        })
    }
}

impl ContainerStatus {
    /// `None` for a container that has not been made yet.
    fn container(self) -> Option<Container> {
        let (_engine, id) = self.container_id.split_once("://")?;
        Some(Container {
            id: text(id)?,
            name: text(self.name),
            image: text(self.image),
            image_digest: self.image_id.split_once('@').and_then(|(_, digest)| text(digest)),
        })
    }
}

impl From<wire::Pod> for Item {
    fn from(pod: wire::Pod) -> Self {
        let (metadata, spec, status) =
            (pod.metadata.unwrap_or_default(), pod.spec.unwrap_or_default(), pod.status.unwrap_or_default());
        let statuses = |statuses: Vec<wire::ContainerStatus>| {
            let status = |status: wire::ContainerStatus| ContainerStatus {
                name: status.name,
                image: status.image,
                image_id: status.image_id,
                container_id: status.container_id,
            };
            Some(statuses.into_iter().map(status).collect())
        };
        Self {
            metadata: Metadata {
                uid: metadata.uid,
                name: metadata.name,
                namespace: metadata.namespace,
                labels: Some(metadata.labels.into_iter().collect()),
                annotations: Some(metadata.annotations.into_iter().collect()),
            },
            spec: Spec { service_account_name: spec.service_account_name, node_name: spec.node_name },
            status: Status {
                container_statuses: statuses(status.container_statuses),
                init_container_statuses: statuses(status.init_container_statuses),
            },
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
