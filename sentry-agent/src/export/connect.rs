//! A connection to the collector: plain, TLS or unix socket.

use std::{fs, path::Path, time::Duration};

use sentry_proto::v1::feed_client::FeedClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{ExportConfig, ExportError, TlsFiles};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that does not answer a ping for this long, sent this often, is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The contract's limit for a message.
const MESSAGE_BYTES: usize = 4 << 20;

pub(super) async fn connect(config: &ExportConfig) -> Result<FeedClient<Channel>, ExportError> {
    let failed = |act| {
        let uri = config.uri.clone();
        move |source| ExportError::Connect { act, uri, source }
    };
    let mut endpoint = Endpoint::from_shared(config.uri.clone())
        .map_err(failed("read the address"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    if let Some(files) = &config.tls {
        endpoint = endpoint.tls_config(tls(files)?).map_err(failed("set up TLS for"))?;
    }
    let channel = endpoint.connect().await.map_err(failed("connect to"))?;
    Ok(FeedClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES))
}

fn tls(files: &TlsFiles) -> Result<ClientTlsConfig, ExportError> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&files.ca)?));
    if let Some((certificate, key)) = &files.identity {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

fn read(path: &Path) -> Result<Vec<u8>, ExportError> {
    fs::read(path).map_err(|source| ExportError::TlsFile { path: path.to_owned(), source })
}
