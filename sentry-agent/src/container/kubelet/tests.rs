use std::{collections::BTreeMap, path::Path};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use sentry_proto::kubelet::pods_server::{Pods as PodsApi, PodsServer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_stream::wrappers::UnixListenerStream;

use super::*;
use crate::container::{Engine, Facts, Place, Roots, Rung, look_up};

const A: &str = "85eababe974c1c9331ef9f99ab04faec45dbd66b020728dc744dfd816c5d5776";
const UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn described() -> Described {
    Described {
        pod: Pod {
            uid: UID.into(),
            name: Some("coder-0".into()),
            namespace: Some("agents".into()),
            service_account: Some("coder".into()),
            labels: map(&[("agentsentry.io/agent", "coder")]),
            annotations: map(&[("owner", "ada")]),
            described: true,
        },
        node: Some("node-1".into()),
        containers: vec![Container {
            id: A.into(),
            name: Some("main".into()),
            image: Some("registry.example/coder:1".into()),
            image_digest: Some("sha256:12ab".into()),
        }],
    }
}

/// As a kubelet answers, with more than is read.
fn json() -> String {
    format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{}},"items":[
        {{"metadata":{{"name":"coder-0","namespace":"agents","uid":"{UID}","creationTimestamp":null,
            "labels":{{"agentsentry.io/agent":"coder"}},"annotations":{{"owner":"ada"}}}},
          "spec":{{"serviceAccountName":"coder","nodeName":"node-1","containers":[{{"name":"main"}}]}},
          "status":{{"phase":"Running","containerStatuses":[
            {{"name":"main","image":"registry.example/coder:1","ready":true,
              "imageID":"registry.example/coder@sha256:12ab","containerID":"containerd://{A}"}},
            {{"name":"waiting","image":"x","imageID":"","state":{{"waiting":{{}}}}}}]}}}},
        {{"metadata":{{"name":"without-uid"}}}}]}}"#
    )
}

/// Answers one request with `answer`; yields what was asked.
async fn serve_one(mut stream: impl AsyncRead + AsyncWrite + Unpin, status: &str, answer: &str) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
    stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    String::from_utf8(asked).unwrap()
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn at(port: u16, tls: Option<Tls>, token_file: Option<PathBuf>) -> Kubelet {
    Kubelet::Port { host: "127.0.0.1".into(), port, tls, token_file }
}

#[tokio::test]
async fn the_port_lists_pods_to_whom_has_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let (listener, port) = listen().await;
    let kubelet = at(port, None, Some(token));
    let answer = json();
    let serving = async { serve_one(listener.accept().await.unwrap().0, "200 OK", &answer).await };
    let (list, asked) = tokio::join!(kubelet.list(), serving);
    assert_eq!(list.unwrap(), [described()]);
    assert!(asked.starts_with("GET /pods HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("authorization: bearer s3cret\r\n"), "{asked}");
}

#[tokio::test]
async fn a_refusal_and_another_answer_are_errors_in_words() {
    for (status, answer, words) in [
        ("401 Unauthorized", "", "the kubelet answers 401 Unauthorized"),
        ("200 OK", "[]", "not a list of pods"),
        ("200 OK", r#"{"items":[{"metadata":{"uid":7}}]}"#, "not a list of pods"),
    ] {
        let (listener, port) = listen().await;
        let kubelet = at(port, None, None);
        let serving = async { serve_one(listener.accept().await.unwrap().0, status, answer).await };
        let (list, _asked) = tokio::join!(kubelet.list(), serving);
        let said = list.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn the_token_goes_only_to_the_kubelet_that_the_certificate_is_of() {
    let dir = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["node-1".to_owned()]).unwrap();
    let ca = dir.path().join("kubelet.crt");
    std::fs::write(&ca, cert.pem()).unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let answer = json();
    for (name, fits) in [("node-1", true), ("node-2", false)] {
        let (listener, port) = listen().await;
        let kubelet = at(port, Some(Tls { ca: ca.clone(), name: name.into() }), None);
        let serving = async {
            let stream = acceptor.accept(listener.accept().await.unwrap().0).await.ok()?;
            Some(serve_one(stream, "200 OK", &answer).await)
        };
        let (list, asked) = tokio::join!(kubelet.list(), serving);
        assert_eq!((list.is_ok(), asked.is_some()), (fits, fits), "{name}: {list:?}");
    }
}

/// The kubelet's service, with one pod.
struct Fake(Vec<u8>);

#[tonic::async_trait]
impl PodsApi for Fake {
    async fn list_pods(
        &self,
        _request: tonic::Request<wire::ListPodsRequest>,
    ) -> Result<tonic::Response<wire::ListPodsResponse>, tonic::Status> {
        Ok(tonic::Response::new(wire::ListPodsResponse { pods: vec![self.0.clone()] }))
    }
}

fn serve(path: &Path, pod: Vec<u8>) -> JoinSet<Result<(), tonic::transport::Error>> {
    let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
    let server = tonic::transport::Server::builder().add_service(PodsServer::new(Fake(pod)));
    let mut servers = JoinSet::new();
    servers.spawn(server.serve_with_incoming(incoming));
    servers
}

#[tokio::test]
async fn the_socket_lists_pods() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pods-api.sock");
    let map = |pairs: &[(&str, &str)]| map(pairs).into_iter().collect();
    let pod = wire::Pod {
        metadata: Some(wire::ObjectMeta {
            name: "coder-0".into(),
            namespace: "agents".into(),
            uid: UID.into(),
            labels: map(&[("agentsentry.io/agent", "coder")]),
            annotations: map(&[("owner", "ada")]),
        }),
        spec: Some(wire::PodSpec { service_account_name: "coder".into(), node_name: "node-1".into() }),
        status: Some(wire::PodStatus {
            container_statuses: vec![wire::ContainerStatus {
                name: "main".into(),
                image: "registry.example/coder:1".into(),
                image_id: "registry.example/coder@sha256:12ab".into(),
                container_id: format!("containerd://{A}"),
            }],
            init_container_statuses: Vec::new(),
        }),
    };
    let _servers = serve(&path, pod.encode_to_vec());
    assert_eq!(Kubelet::Socket(path).list().await.unwrap(), [described()]);
    let broken = dir.path().join("broken.sock");
    let _servers = serve(&broken, vec![0xff; 3]);
    let said = Kubelet::Socket(broken).list().await.unwrap_err().to_string();
    assert!(said.contains("something other than pods"), "{said}");
}

#[tokio::test]
async fn what_the_kubelet_lists_completes_the_facts() {
    let dir = tempfile::tempdir().unwrap();
    let pods = Arc::new(Pods::default());
    let roots = Roots { pods: Some(Arc::clone(&pods)), ..Roots::below(dir.path()) };
    let place =
        Place { container_id: Some(A.into()), pod_uid: Some(UID.into()), certain: true, ..Place::default() };
    assert!(!look_up(&place, &roots).complete);
    // The look-up asks for a list.
    pods.wanted().await;
    pods.replace(vec![described()]);
    let expected = Facts {
        engine: Engine::Unknown,
        container_id: Some(A.into()),
        container_name: Some("main".into()),
        image: Some("registry.example/coder:1".into()),
        image_digest: Some("sha256:12ab".into()),
        pod: Some(described().pod),
        node: Some("node-1".into()),
        rung: Rung::Kubelet,
        complete: true,
        ..Facts::default()
    };
    assert_eq!(look_up(&place, &roots), expected);
    // A container within a container says itself in which pod it is.
    let nested = look_up(&Place { nested: true, ..place }, &roots);
    assert_eq!(nested.rung, Rung::Path);
}
