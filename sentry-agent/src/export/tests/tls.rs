//! The two other ways to a collector: mutual TLS, unix socket.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sentry_proto::v1::feed_server::FeedServer;
use tokio::{net::UnixListener, time::timeout};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::{Collector, ExportConfig, HANG, Proof, ROOMY, Sensor, TlsFiles, close_the_books, event, plain};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key, PEM.
fn issue(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn files(dir: &Path, ca: &str, (certificate, key): &(String, String)) -> TlsFiles {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        ca: write("ca.crt", ca),
        cert: write("sensor.crt", certificate),
        key: write("sensor.key", key),
    }
}

#[tokio::test]
async fn mutual_tls_lets_the_right_ones_speak() {
    let (ours, theirs) = (authority(), authority());
    let (certificate, key) = issue(&ours, "localhost");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(ours.pem()));
    let collector = Collector::default();
    let serving = collector.serve(None, Some(tls));
    let config = |tls| ExportConfig {
        uri: format!("https://localhost:{}", serving.address.port()),
        proof: Proof::Tls(tls),
        ..plain(serving.address)
    };

    let dir = tempfile::tempdir().unwrap();
    let right = files(dir.path(), &ours.pem(), &issue(&ours, "sensor"));
    let sensor = Sensor::start(dir.path(), ROOMY, config(right.clone()));
    sensor.journal.submit(event(1, 1));
    timeout(HANG, sensor.journal.watch().wait_for(|position| position.acked == 1)).await.unwrap().unwrap();
    sensor.stop().await;
    close_the_books(&collector.lock(), 1);

    let other = tempfile::tempdir().unwrap();
    let wrong = [
        files(&other.path().join(""), &theirs.pem(), &issue(&ours, "sensor")),
        TlsFiles { ca: other.path().join("absent"), ..right.clone() },
    ];
    for tls in wrong {
        let dir = tempfile::tempdir().unwrap();
        let mut sensor = Sensor::start(dir.path(), ROOMY, config(tls));
        timeout(HANG, sensor.status.wait_for(|status| status.last_error.is_some())).await.unwrap().unwrap();
        sensor.stop().await;
    }
    // A certificate of another authority: the collector hangs up, whenever the handshake gets that
    // far.
    let stranger = files(other.path(), &ours.pem(), &issue(&theirs, "sensor"));
    let dir = tempfile::tempdir().unwrap();
    let mut sensor = Sensor::start(dir.path(), ROOMY, config(stranger));
    timeout(HANG, sensor.status.wait_for(|status| status.last_error.is_some())).await.unwrap().unwrap();
    sensor.stop().await;
    assert_eq!(collector.lock().hellos.len(), 1, "only one was let in");
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("collector.sock");
    let collector = Collector::default();
    let incoming = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
    let server =
        Server::builder().add_service(FeedServer::new(collector.clone())).serve_with_incoming(incoming);
    let server = tokio::spawn(server);
    let uri = format!("unix:{}", socket.display());
    let config = ExportConfig { uri, proof: Proof::Peer { user: None }, longest_wait: HANG, grace: HANG };
    let sensor = Sensor::start(dir.path(), ROOMY, config);
    sensor.journal.submit(event(1, 1));
    sensor.stop().await;
    close_the_books(&collector.lock(), 1);
    server.abort();
}
