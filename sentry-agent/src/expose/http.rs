//! `GET /metrics` over HTTP/1 at a unix socket.
//!
//! Limits: eight connections at a time, one more is closed at once; each has one request, whose
//! head has at most 8 KiB, and ten seconds for all of it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use sentry_service::metrics::{Form, text};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::status::metrics::Meter;

/// Scrapers that are served at a time.
const CONNECTIONS: usize = 8;
/// For a connection, from its beginning to its end.
const WITHIN: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 8 << 10;
/// Before the next try, where no connection can be taken: descriptors may be short.
const PAUSE: Duration = Duration::from_secs(1);
const PATH: &str = "/metrics";

/// Answers for ever.
pub async fn serve(listener: UnixListener, meter: Arc<Meter>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Those that are being answered end with this future.
    let mut scrapes = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection to the metrics socket is taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        while scrapes.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let meter = Arc::clone(&meter);
        scrapes.spawn(async move {
            let _place = place;
            // Whoever is too slow, or does not speak HTTP, gets no answer.
            drop(timeout(WITHIN, talk(stream, &meter)).await);
        });
    }
}

async fn talk(stream: UnixStream, meter: &Meter) -> hyper::Result<()> {
    let answer = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, meter);
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

fn answer(request: &Request<Incoming>, meter: &Meter) -> Response<Full<Bytes>> {
    let (status, media_type, body) = match (request.uri().path(), request.method()) {
        (PATH, &Method::GET | &Method::HEAD) => {
            let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
            let form = Form::wanted(accept.unwrap_or_default());
            (StatusCode::OK, form.media_type(), text(&meter.families(), form))
        }
        (PATH, _) => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned()),
        (_, _) => (StatusCode::NOT_FOUND, "text/plain", "only /metrics is here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
