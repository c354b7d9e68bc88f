//! Room for answers that their readers have not taken yet. Slow readers can use it up for listings
//! only: answers to commands, health and metrics are small and do not need it.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header::CONTENT_TYPE},
    response::Response,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes of all answers together.
const KIB: usize = 64 << 10;

#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<Semaphore>);

/// A text and its room. Both are freed when the kernel has the last byte, or when the connection
/// ends.
struct Held {
    text: String,
    _room: OwnedSemaphorePermit,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(KIB)))
    }

    /// An answer with this JSON; `None` if there is no room for it.
    pub(crate) fn json(&self, mut text: String) -> Option<Response> {
        text.shrink_to_fit();
        let kib = u32::try_from(text.len().div_ceil(1 << 10).min(KIB)).ok()?;
        let room = Arc::clone(&self.0).try_acquire_many_owned(kib).ok()?;
        let mut answer = Response::new(Body::from(Bytes::from_owner(Held { text, _room: room })));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(answer)
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}
