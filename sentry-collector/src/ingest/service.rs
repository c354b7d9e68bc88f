//! `Feed.Stream`: opens a session for each stream and owns its task until it has ended.
//!
//! Limits: a message may have 4 MiB; every stream has at most 16 answers waiting.

use std::sync::Arc;

use sentry_proto::v1::{
    FromCollector, FromSensor,
    feed_server::{Feed, FeedServer},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming, transport::server::TlsConnectInfo};

use crate::{
    ingest::{gate::Gate, listen::Peer, registry::Registry, session::Session},
    metrics::Metrics,
    store::Store,
};

/// Largest message either way.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;
const ANSWERS: usize = 16;

/// The ingest side of the collector.
#[derive(Clone)]
pub struct FeedService {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled when the collector drains.
    pub(crate) drain: CancellationToken,
    pub(crate) sessions: TaskTracker,
    pub(crate) gate: Arc<Gate>,
}

impl FeedService {
    pub(crate) fn server(self) -> FeedServer<Self> {
        FeedServer::new(self)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

#[tonic::async_trait]
impl Feed for FeedService {
    type StreamStream = ReceiverStream<Result<FromCollector, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<FromSensor>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        if self.drain.is_cancelled() {
            return Err(Status::unavailable("the collector is shutting down; connect again"));
        }
        let (answers, stream) = mpsc::channel(ANSWERS);
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let chain = request.extensions().get::<TlsConnectInfo<Peer>>().and_then(TlsConnectInfo::peer_certs);
        let session = Session::new(self.clone(), peer, chain, answers);
        self.sessions.spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
