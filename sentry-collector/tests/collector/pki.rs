//! `sentry-collector pki`: what it makes works at once, is never overwritten unasked, and can be
//! exchanged.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::harness::{Collector, Sensor, hello, run};

struct Pki {
    dir: tempfile::TempDir,
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// What a sensor has: its authorities, certificate and key.
#[derive(Clone)]
struct Held {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pki {
    /// An authority, with certificates of the collector and of sensor `s1`.
    fn new() -> Self {
        let pki = Self { dir: tempfile::tempdir().unwrap() };
        pki.does(&["init"]);
        pki.does(&["collector", "127.0.0.1", "collector.example"]);
        pki.does(&["sensor", "s1"]);
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("pki").join(name)
    }

    fn says(&self, arguments: &[&str]) -> Said {
        let dir = self.path("");
        let output = run(&[&["pki"], arguments, &["--dir", dir.to_str().unwrap()]].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(dir.to_str().unwrap(), "PKI/");
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What is printed where it has to work.
    fn does(&self, arguments: &[&str]) -> String {
        let said = self.says(arguments);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{arguments:?}");
        said.out
    }

    fn shown(&self) -> Value {
        serde_json::from_str(&self.does(&["show", "--json"])).unwrap()
    }

    fn start(&self) -> Collector {
        let at = |name: &str| self.path("collector").join(name).display().to_string();
        let lines = format!(
            "tls:\n  cert: {}\n  key: {}\n  client_ca: {}",
            at("tls.crt"),
            at("tls.key"),
            at("ca.crt")
        );
        Collector::at(self.dir.path(), &self.dir.path().join("data"), &lines)
    }

    fn held(&self, sensor: &str) -> Held {
        let read = |name: &str| fs::read(self.path("sensors").join(sensor).join(name)).unwrap();
        Held { ca: read("ca.crt"), cert: read("tls.crt"), key: read("tls.key") }
    }
}

async fn connect(collector: &Collector, held: &Held) -> Result<Channel, String> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&held.ca))
        .identity(Identity::from_pem(&held.cert, &held.key));
    let endpoint = Endpoint::from_shared(format!("https://{}", collector.grpc)).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.map_err(|error| format!("{error:?}"))
}

/// Whether the collector and the one who has this take each other.
async fn works(collector: &Collector, held: &Held) -> bool {
    // With TLS 1.3 the client may learn of the refusal only when it speaks.
    let Ok(channel) = connect(collector, held).await else { return false };
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_works_at_once_and_for_nobody_else() {
    let pki = Pki::new();
    let collector = pki.start();
    let channel = connect(&collector, &pki.held("s1")).await.unwrap();
    assert!(Sensor::greet(channel.clone(), hello("s1", "e1")).await.is_ok());
    let Err(refused) = Sensor::greet(channel, hello("s2", "e1")).await else {
        unreachable!("the certificate is of s1")
    };
    assert_eq!(refused.code(), Code::PermissionDenied, "{}", refused.message());
    assert!(!works(&collector, &Pki::new().held("s1")).await, "of another authority");
}

#[test]
fn keys_are_closed_and_certificates_are_not() {
    let pki = Pki::new();
    for name in ["", "collector", "sensors", "sensors/s1"] {
        assert_eq!(mode(&pki.path(name)) & 0o700, 0o700, "{name}");
    }
    for name in ["ca.key", "collector/tls.key", "sensors/s1/tls.key"] {
        assert_eq!(mode(&pki.path(name)), 0o600, "{name}");
    }
    for name in ["ca.crt", "collector/ca.crt", "collector/tls.crt", "sensors/s1/ca.crt", "sensors/s1/tls.crt"]
    {
        assert_eq!(mode(&pki.path(name)), 0o644, "{name}");
    }
}

#[test]
fn nothing_is_replaced_unasked() {
    let pki = Pki::new();
    let files = ["ca.key", "ca.crt", "collector/tls.key", "sensors/s1/tls.key", "sensors/s1/tls.crt"];
    let read = || files.map(|name| fs::read(pki.path(name)).unwrap());
    let before = read();
    for (arguments, path) in [
        (&["init"][..], "PKI/ca.key"),
        (&["collector"], "PKI/collector/tls.key"),
        (&["sensor", "s1"], "PKI/sensors/s1/tls.key"),
    ] {
        let said = pki.says(arguments);
        assert_eq!((said.code, said.out.as_str()), (Some(73), ""), "{arguments:?}");
        let start = format!("sentry-collector: {path} is there already; ");
        assert!(said.err.starts_with(&start) && said.err.contains("--force"), "{}", said.err);
        assert!(read() == before, "{arguments:?} left everything as it was");
    }
    let said = pki.does(&["sensor", "s1", "--force"]);
    assert!(said.starts_with("replaced: the certificate of sensor s1, which was valid until "), "{said}");
    let said = pki.does(&["init", "--force"]);
    assert!(said.starts_with("replaced: the authority in PKI/\n"), "{said}");
    for who in ["collector", "sensor s1"] {
        assert!(said.contains(&format!("\nrefused from now on: the certificate of {who}\n")), "{said}");
    }
}

#[test]
fn the_lines_that_are_printed_are_a_configuration() {
    let pki = Pki::new();
    let said = pki.does(&["collector", "--force"]);
    let (_, lines) = said.split_once("in the collector's configuration:\n").unwrap();
    let lines = lines.replace("PKI/", pki.path("").to_str().unwrap());
    let file = pki.dir.path().join("c.yaml");
    fs::write(&file, format!("version: 1\n{lines}")).unwrap();
    let output = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said = pki.does(&["sensor", "s2"]);
    let (_, lines) = said.split_once("on its host:\n").unwrap();
    let expected = "sensor:\n  id: s2\ncollector:\n  endpoint: https://127.0.0.1:4319\n  tls:\n    \
                    ca: PKI/sensors/s2/ca.crt\n    cert: PKI/sensors/s2/tls.crt\n    key: PKI/sensors/s2/tls.key\n";
    assert_eq!(lines, expected);
}

#[test]
fn show_lists_who_has_a_certificate_until_when() {
    let pki = Pki::new();
    pki.does(&["sensor", "s0", "--days", "10"]);
    let shown = pki.shown();
    let certificates = shown["certificates"].as_array().unwrap();
    let sensors: Vec<&Value> = certificates.iter().map(|one| &one["sensor"]).collect();
    assert_eq!(sensors, [&Value::Null, &"s0".into(), &"s1".into()]);
    assert_eq!(certificates[0]["names"], serde_json::json!(["127.0.0.1", "collector.example"]));
    let authority = &shown["authorities"][0];
    assert_eq!((shown["authorities"].as_array().unwrap().len(), &authority["signs"]), (1, &true.into()));
    assert!(certificates.iter().all(|one| one["signed_by"] == authority["key"]), "{shown:#}");
    let text = pki.does(&["show"]);
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    assert!(line("sensor s0").contains("(in 9 days)"), "{text}");
    assert!(line("collector").contains("127.0.0.1, collector.example"), "{text}");
    assert!(line("Agent Sentry authority ").contains("signs"), "{text}");
}

#[test]
fn a_certificate_lives_no_longer_than_its_authority() {
    let pki = Pki { dir: tempfile::tempdir().unwrap() };
    pki.does(&["init", "--days", "20"]);
    pki.does(&["sensor", "s1"]);
    let shown = pki.shown();
    assert_eq!(shown["certificates"][0]["valid_until"], shown["authorities"][0]["valid_until"]);
}

#[test]
fn what_cannot_be_certified_is_refused() {
    let pki = Pki { dir: tempfile::tempdir().unwrap() };
    for arguments in [&["collector", "c.example"][..], &["sensor", "s1"], &["rotate"], &["retire"], &["show"]]
    {
        let said = pki.says(arguments);
        assert_eq!(said.code, Some(66), "{arguments:?}: {}", said.err);
        assert!(said.err.contains("`sentry-collector pki init` makes one"), "{}", said.err);
    }
    pki.does(&["init"]);
    for arguments in
        [&["sensor", "../s1"], &["sensor", "a b"], &["collector", "https://c"], &["collector", "c:1"]]
    {
        let said = pki.says(arguments);
        assert_eq!(said.code, Some(64), "{arguments:?}: {}", said.err);
        assert!(said.err.contains("cannot stand in a certificate"), "{}", said.err);
    }
    assert_eq!(pki.shown()["certificates"], serde_json::json!([]));
    fs::copy(Pki::new().path("ca.key"), pki.path("ca.key")).unwrap();
    let said = pki.says(&["sensor", "s1"]);
    assert_eq!(said.code, Some(78), "{}", said.err);
    assert!(said.err.contains("belongs to no certificate in"), "{}", said.err);
}

#[test]
fn a_new_certificate_of_the_collector_is_for_the_same_names() {
    let pki = Pki::new();
    pki.does(&["collector", "--force"]);
    let names = serde_json::json!(["127.0.0.1", "collector.example"]);
    assert_eq!(pki.shown()["certificates"][0]["names"], names);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_exchanged_step_by_step() {
    let pki = Pki::new();
    let mut collector = pki.start();
    let old = pki.held("s1");

    // Both ends accept both.
    pki.does(&["rotate"]);
    let shown = pki.shown();
    assert_eq!(shown["authorities"].as_array().unwrap().len(), 2, "{shown:#}");
    assert!(works(&collector, &old).await, "the collector still runs as it was");
    collector.kill_and_restart();
    let between = pki.held("s1");
    assert!(between.ca.len() > old.ca.len() && between.cert == old.cert);
    assert!(works(&collector, &old).await && works(&collector, &between).await);

    // Nobody loses a certificate unasked.
    let said = pki.says(&["retire"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("in use: collector, sensor s1."), "{}", said.err);

    // The sensor first, then the collector; each works with the other's old one.
    pki.does(&["sensor", "s1", "--force"]);
    let new = pki.held("s1");
    assert!(works(&collector, &new).await && works(&collector, &old).await);
    pki.does(&["collector", "--force"]);
    collector.kill_and_restart();
    assert!(works(&collector, &new).await && works(&collector, &between).await);

    // The old one is refused.
    pki.does(&["retire"]);
    collector.kill_and_restart();
    let last = pki.held("s1");
    assert!(works(&collector, &last).await && works(&collector, &new).await);
    let stale = Held { ca: last.ca.clone(), ..old };
    assert!(!works(&collector, &stale).await, "a certificate of the old authority");
    let shown = pki.shown();
    assert_eq!(shown["authorities"].as_array().unwrap().len(), 1, "{shown:#}");
    assert!(pki.does(&["retire"]).contains("nothing was changed"));
}
