//! Certificates: the right sensor gets in, everybody else stays out.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType,
    string::Ia5String,
};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::harness::{Collector, Sensor, get_text, hello, run};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

struct Issued {
    cert: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = subject(name);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn issue(&self, name: &str, names: Vec<SanType>) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

/// Configuration lines under `key`, with the files they name.
fn material(dir: &Path, key: &str, server: &Issued, clients: &Authority) -> String {
    let write = |name: &str, text: &str| {
        let path = dir.join(format!("{key}-{name}"));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    format!(
        "{key}:\n  cert: {}\n  key: {}\n  client_ca: {}",
        write("cert.pem", &server.cert),
        write("key.pem", &server.key),
        write("ca.pem", &clients.pem())
    )
}

struct Rig {
    dir: tempfile::TempDir,
    servers: Authority,
    clients: Authority,
    server: Issued,
}

impl Rig {
    fn new() -> Self {
        let servers = Authority::new("servers");
        let server = servers.issue("collector", vec![SanType::IpAddress([127, 0, 0, 1].into())]);
        Self { dir: tempfile::tempdir().unwrap(), clients: Authority::new("clients"), servers, server }
    }

    fn start(&self) -> Collector {
        let lines = material(self.dir.path(), "tls", &self.server, &self.clients);
        Collector::at(self.dir.path(), &self.dir.path().join("data"), &lines)
    }

    /// A channel that trusts the server and shows `client`, if any.
    async fn connect(&self, collector: &Collector, client: Option<&Issued>) -> Result<Channel, String> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.servers.pem()));
        if let Some(client) = client {
            tls = tls.identity(Identity::from_pem(&client.cert, &client.key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", collector.grpc)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.map_err(|error| format!("{error:?}"))
    }

    /// Whether somebody with this certificate is welcomed as `sensor`.
    async fn greets(
        &self,
        collector: &Collector,
        client: &Issued,
        sensor: &str,
    ) -> Result<(), (Code, String)> {
        let channel = self.connect(collector, Some(client)).await.unwrap();
        match Sensor::greet(channel, hello(sensor, "e1")).await {
            Ok(_) => Ok(()),
            Err(status) => Err((status.code(), status.message().to_owned())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_must_be_for_the_sensor() {
    let rig = Rig::new();
    let collector = rig.start();
    let by_uri = rig.clients.issue("whatever", vec![uri("agentsentry:sensor:s1")]);
    let by_name = rig.clients.issue("s2", Vec::new());
    let nobody = rig.clients.issue("", Vec::new());
    assert_eq!(rig.greets(&collector, &by_uri, "s1").await, Ok(()));
    assert_eq!(rig.greets(&collector, &by_name, "s2").await, Ok(()));
    for (client, sensor) in [(&by_uri, "s2"), (&by_uri, "whatever"), (&by_name, "s1"), (&nobody, "s1")] {
        let (code, message) = rig.greets(&collector, client, sensor).await.unwrap_err();
        assert_eq!(code, Code::PermissionDenied, "{message}");
        assert!(message.contains("client certificate"), "{message}");
    }
    let ids: Vec<_> = collector
        .items("/api/v1/sensors")
        .iter()
        .map(|sensor| sensor["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["s2", "s1"], "who was refused left no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_or_another_authority_stays_out() {
    let rig = Rig::new();
    let collector = rig.start();
    let stranger = Authority::new("clients").issue("s1", vec![uri("agentsentry:sensor:s1")]);
    let refused = |channel: Result<Channel, String>| async {
        // With TLS 1.3 the client may learn of the refusal only when it speaks.
        match channel {
            Err(_) => true,
            Ok(channel) => {
                let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
                health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_err()
            }
        }
    };
    assert!(refused(rig.connect(&collector, None).await).await, "no certificate");
    assert!(refused(rig.connect(&collector, Some(&stranger)).await).await, "another authority");
    let plain = Endpoint::from_shared(format!("http://{}", collector.grpc)).unwrap().connect().await;
    assert!(refused(plain.map_err(|error| error.to_string())).await, "plaintext");
    let known = rig.clients.issue("s1", Vec::new());
    assert!(!refused(rig.connect(&collector, Some(&known)).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_speaks_tls_too() {
    let rig = Rig::new();
    let lines = material(rig.dir.path(), "http_tls", &rig.server, &rig.clients);
    let collector = Collector::at(rig.dir.path(), &rig.dir.path().join("data"), &lines);
    let person = rig.clients.issue("somebody", Vec::new());
    let stranger = Authority::new("clients").issue("somebody", Vec::new());
    let ask = |who: Option<&Issued>| {
        let (cert, key, ca) = (
            rig.dir.path().join("me.pem"),
            rig.dir.path().join("me.key"),
            rig.dir.path().join("servers.pem"),
        );
        fs::write(&ca, rig.servers.pem()).unwrap();
        if let Some(who) = who {
            fs::write(&cert, &who.cert).unwrap();
            fs::write(&key, &who.key).unwrap();
        }
        tls_get(collector.http, &ca, who.map(|_| (cert.as_path(), key.as_path())))
    };
    assert!(ask(Some(&person)).unwrap().contains("\"status\":\"ok\""));
    assert!(ask(Some(&stranger)).is_err());
    assert!(ask(None).is_err());
    drop(collector);
    // Without an authority of clients nobody needs a certificate.
    let lines: Vec<&str> = lines.lines().filter(|line| !line.contains("client_ca")).collect();
    let data = rig.dir.path().join("data");
    let collector = Collector::at(rig.dir.path(), &data, &lines.join("\n"));
    let answer = tls_get(collector.http, &rig.dir.path().join("servers.pem"), None).unwrap();
    assert!(
        answer.contains("\"status\":\"ok\"") && answer.contains("strict-transport-security: "),
        "{answer}"
    );
}

#[test]
fn sensors_need_an_authority() {
    let rig = Rig::new();
    let lines = material(rig.dir.path(), "tls", &rig.server, &rig.clients);
    let lines: Vec<&str> = lines.lines().filter(|line| !line.contains("client_ca")).collect();
    let path = rig.dir.path().join("c.yaml");
    fs::write(&path, format!("version: 1\n{}\n", lines.join("\n"))).unwrap();
    let output = run(&["config", "check", "--config", path.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(78) && said.contains("`tls` has no `client_ca`"), "{said}");
}

/// `GET /healthz` over TLS.
fn tls_get(
    http: std::net::SocketAddr,
    ca: &Path,
    identity: Option<(&Path, &Path)>,
) -> Result<String, std::io::Error> {
    use std::{
        io::{Read as _, Write as _},
        sync::Arc,
    };
    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, RootCertStore, StreamOwned,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap(),
    };
    let name = ServerName::from(http.ip());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, std::net::TcpStream::connect(http)?);
    stream.write_all(get_text(http, "/healthz").as_bytes())?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // The answer is whole; the other side need not say goodbye.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => Ok(answer),
        Err(error) => Err(error),
        Ok(_) => Ok(answer),
    }
}

#[test]
fn refuses_material_that_is_none() {
    let rig = Rig::new();
    let other = rig.servers.issue("other", Vec::new());
    let mixed = Issued { cert: rig.server.cert.clone(), key: other.key };
    let empty = Issued { cert: String::new(), key: rig.server.key.clone() };
    for server in [mixed, empty] {
        let lines = material(rig.dir.path(), "tls", &server, &rig.clients);
        let path = rig.dir.path().join("c.yaml");
        fs::write(&path, format!("version: 1\n{lines}\n")).unwrap();
        let output = run(&["config", "check", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(78), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
