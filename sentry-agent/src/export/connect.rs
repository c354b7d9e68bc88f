//! A connection to a collector that can prove itself: by certificate, by a key, or, on a unix
//! socket, by the kernel's word on who listens there.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use nix::unistd::{User, geteuid};
use parking_lot::Mutex;
use sentry_proto::{proof::FeedKey, v1::feed_client::FeedClient};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use super::{ExportError, Proof, TlsFiles};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that does not answer a ping for this long, sent this often, is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The contract's limit for a message.
const MESSAGE_BYTES: usize = 4 << 20;
const ROOT: u32 = 0;

/// Where the collector is.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// `http://HOST:PORT`, `https://HOST:PORT` or `unix:/PATH`.
    pub uri: String,
    /// The one that goes with the scheme.
    pub proof: Proof,
    /// Longest wait before the next try, after repeated failures.
    pub longest_wait: Duration,
    /// How long a stop may wait for the acknowledgement of what is committed.
    pub grace: Duration,
}

/// A connection on which nothing was said yet.
pub(super) struct Link {
    pub(super) client: FeedClient<Channel>,
    /// What both sides have to prove to have, and where the collector was reached; `None` where the
    /// connection itself is the proof.
    pub(super) key: Option<(FeedKey, SocketAddr)>,
}

/// The listener at a unix socket is not the collector.
#[derive(Debug, thiserror::Error)]
enum Stranger {
    #[error(
        "user {uid} listens at {path}, not root, nor the sensor's own user: set `collector.user` \
         if that is who the collector runs as"
    )]
    NotRoot { uid: u32, path: PathBuf },
    #[error("user {uid} listens at {path}, not {user} (`collector.user`), root or the sensor's own user")]
    NotTheUser { uid: u32, path: PathBuf, user: String },
    #[error("there is no user {user} (`collector.user`) now; does the collector run?")]
    NoUser { user: String },
}

pub(super) async fn connect(config: &ExportConfig) -> Result<Link, ExportError> {
    let failed = |act| {
        let uri = config.uri.clone();
        move |source| ExportError::Connect { act, uri, source }
    };
    // The address of a unix socket is never resolved; HTTP/2 wants one for its `:authority`.
    let uri = if config.uri.starts_with("unix:") { "http://collector.local" } else { &config.uri };
    let mut endpoint = Endpoint::from_shared(uri.to_owned())
        .map_err(failed("read the address"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let (channel, key) = match &config.proof {
        Proof::Tls(files) => {
            endpoint = endpoint.tls_config(tls(files)?).map_err(failed("set up TLS for"))?;
            (endpoint.connect().await, None)
        }
        Proof::Key(path) => {
            let key = FeedKey::read(path, geteuid().as_raw()).map_err(Box::new)?;
            let reached = Arc::new(Mutex::new(None));
            let channel = endpoint.connect_with_connector(tcp(Arc::clone(&reached))).await;
            let reached = *reached.lock();
            (channel, reached.map(|address| (key, address)))
        }
        Proof::Peer { user } => {
            let path = PathBuf::from(config.uri.strip_prefix("unix:").unwrap_or_default());
            (endpoint.connect_with_connector(unix(path, user.clone())).await, None)
        }
    };
    let client = FeedClient::new(channel.map_err(failed("connect to"))?)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES);
    if matches!(config.proof, Proof::Key(_)) && key.is_none() {
        return Err(ExportError::Unproven { what: "the address that was reached is not known" });
    }
    Ok(Link { client, key })
}

/// Connects by TCP and notes where to.
fn tcp(
    reached: Arc<Mutex<Option<SocketAddr>>>,
) -> impl tower::Service<Uri, Response = TokioIo<TcpStream>, Error = io::Error, Future: Send> + Send + use<> {
    tower::service_fn(move |uri: Uri| {
        let reached = Arc::clone(&reached);
        async move {
            let address = uri.authority().map_or("", |authority| authority.as_str());
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            *reached.lock() = Some(stream.peer_addr()?);
            Ok(TokioIo::new(stream))
        }
    })
}

/// Connects to a unix socket, if one who may be the collector listens there.
fn unix(
    path: PathBuf,
    user: Option<String>,
) -> impl tower::Service<Uri, Response = TokioIo<UnixStream>, Error = io::Error, Future: Send> + Send + use<>
{
    tower::service_fn(move |_uri: Uri| {
        let (path, user) = (path.clone(), user.clone());
        async move {
            let stream = UnixStream::connect(&path).await?;
            // The user that called listen(2), whatever happened to the file since.
            let uid = stream.peer_cred()?.uid();
            if uid != ROOT && uid != geteuid().as_raw() {
                may_be_collector(uid, path, user).map_err(io::Error::other)?;
            }
            Ok(TokioIo::new(stream))
        }
    })
}

/// The name is looked up each time: the user of a service may be made when it starts.
fn may_be_collector(uid: u32, path: PathBuf, user: Option<String>) -> Result<(), Stranger> {
    let Some(user) = user else { return Err(Stranger::NotRoot { uid, path }) };
    let known = user.parse().ok().or_else(|| User::from_name(&user).ok()?.map(|user| user.uid.as_raw()));
    match known {
        Some(known) if known == uid => Ok(()),
        Some(_) => Err(Stranger::NotTheUser { uid, path, user }),
        None => Err(Stranger::NoUser { user }),
    }
}

fn tls(files: &TlsFiles) -> Result<ClientTlsConfig, ExportError> {
    let identity = Identity::from_pem(read(&files.cert)?, read(&files.key)?);
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&files.ca)?)).identity(identity))
}

fn read(path: &Path) -> Result<Vec<u8>, ExportError> {
    fs::read(path).map_err(|source| ExportError::TlsFile { path: path.to_owned(), source })
}
