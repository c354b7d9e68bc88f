//! `Feed.Stream`: opens a session for each stream and owns its task until it has ended.
//!
//! Limits: a message may have 4 MiB; every stream has at most 16 answers waiting.

use sentry_proto::v1::{
    FromCollector, FromSensor,
    feed_server::{Feed, FeedServer},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming, transport::server::TlsConnectInfo};

use super::{
    peer::Peer,
    session::{Session, Shared},
};

/// Largest message either way.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;
const ANSWERS: usize = 16;

/// The ingest side of the collector.
#[derive(Clone)]
pub struct FeedService {
    pub(crate) shared: Shared,
    pub(crate) sessions: TaskTracker,
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
        if self.shared.drain.is_cancelled() {
            return Err(Status::unavailable("the collector is shutting down; connect again"));
        }
        let (answers, stream) = mpsc::channel(ANSWERS);
        let peer = request.extensions().get::<Peer>().cloned().unwrap_or_default();
        let chain = request.extensions().get::<TlsConnectInfo<Peer>>().and_then(TlsConnectInfo::peer_certs);
        let session = Session::new(self.shared.clone(), peer, chain, answers);
        self.sessions.spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
