//! Starts the real binary, speaks gRPC and HTTP to it, waits on conditions.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sentry_proto::{
    proof::{BYTES, FeedKey, Role, Talk},
    v1::{
        Ack, Challenge, Event, FromCollector, FromSensor, Hello, Item, Items, Proof, Welcome,
        feed_client::FeedClient, from_collector, from_sensor, item,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sentry-collector"))
}

/// Asks until the answer is yes.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

// === Collector ===

/// A running collector; it is killed when the value goes.
pub(crate) struct Collector {
    child: Child,
    pub(crate) grpc: String,
    pub(crate) http: SocketAddr,
    config: PathBuf,
    pub(crate) data: PathBuf,
    _dir: Option<TempDir>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more lines of configuration.
    pub(crate) fn with(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut collector = Self::at(dir.path(), &data, lines);
        collector._dir = Some(dir);
        collector
    }

    pub(crate) fn at(dir: &Path, data: &Path, lines: &str) -> Self {
        let config = dir.join("collector.yaml");
        let listen = match lines {
            _ if lines.contains("listen_grpc") => String::new(),
            _ if lines.starts_with("tls:") => "listen_grpc: 127.0.0.1:0\n".to_owned(),
            _ => format!("listen_grpc: 127.0.0.1:0\n{}", keys(dir)),
        };
        std::fs::write(&config, format!("version: 1\n{listen}listen_http: 127.0.0.1:0\n{lines}\n")).unwrap();
        let (child, grpc, http) = spawn(&config, data);
        Self { child, grpc, http, config, data: data.to_owned(), _dir: None }
    }

    /// Signal 9, then a new process on the same data; the addresses change.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.grpc, self.http) = spawn(&self.config, &self.data);
    }

    pub(crate) fn terminate(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }

    /// The exit code, once it has ended.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the collector ends", || {
            code = self.child.try_wait().unwrap().map(|status| status.code());
            code.is_some()
        });
        code.flatten()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) async fn channel(&self) -> Channel {
        channel(&format!("http://{}", self.grpc)).await
    }

    /// Where sensors connect over TCP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.grpc.parse().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        request(self.http, "GET", path, &self.authorization(), None)
    }

    /// `GET` that must work.
    pub(crate) fn read(&self, path: &str) -> Value {
        let (status, value) = self.get(path);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    pub(crate) fn items(&self, path: &str) -> Vec<Value> {
        self.read(path)["items"].as_array().unwrap().clone()
    }

    /// `POST` with the admin key.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_with(path, &self.authorization(), body)
    }

    /// `POST` with these header lines, each with its line end.
    pub(crate) fn post_with(&self, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        request(self.http, "POST", path, headers, Some(&body.to_string()))
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.data.join("command.token")
    }

    pub(crate) fn admin_key(&self) -> String {
        std::fs::read_to_string(self.data.join("admin.key")).unwrap()
    }

    /// The header line of the admin key.
    pub(crate) fn authorization(&self) -> String {
        bearer(&self.admin_key())
    }

    /// A whole `GET` with the admin key.
    pub(crate) fn get_text(&self, path: &str) -> String {
        with(&get_text(self.http, path), &self.authorization())
    }

    /// Every id of a listing, page by page.
    pub(crate) fn walk(&self, path: &str, id: impl Fn(&Value) -> String) -> Vec<String> {
        let mut ids = Vec::new();
        let mut next = String::new();
        loop {
            let page = self.read(&format!("{path}{next}"));
            ids.extend(page["items"].as_array().unwrap().iter().map(&id));
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return ids,
            }
        }
    }

    pub(crate) fn metric(&self, name: &str) -> u64 {
        let (head, body) = raw(self.http, &get_text(self.http, "/metrics"));
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let line = body.lines().find_map(|line| line.strip_prefix(&format!("agentsentry_collector_{name} ")));
        line.unwrap_or_else(|| panic!("no metric {name} in {body}")).parse().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) async fn channel(uri: &str) -> Channel {
    tonic::transport::Endpoint::from_shared(uri.to_owned()).unwrap().connect().await.unwrap()
}

/// The sensors that a collector over plaintext TCP knows by key.
const KEYED: [&str; 2] = ["s1", "s2"];

pub(crate) fn key_of(sensor: &str) -> FeedKey {
    let mut key = [0; BYTES];
    key[..sensor.len()].copy_from_slice(sensor.as_bytes());
    FeedKey::new(key)
}

/// Configuration lines, with the files they name.
pub(crate) fn keys(dir: &Path) -> String {
    let mut lines = "feed_keys:\n".to_owned();
    for sensor in KEYED {
        let path = dir.join(format!("{sensor}.key"));
        std::fs::write(&path, key_of(sensor).digits()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        lines.push_str(&format!("  {sensor}: {}\n", path.display()));
    }
    lines
}

fn spawn(config: &Path, data: &Path) -> (Child, String, SocketAddr) {
    let mut child = binary()
        .arg("--config")
        .arg(config)
        .arg("--data-dir")
        .arg(data)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: Value = serde_json::from_str(&line).unwrap();
    let http = addresses["http"].as_str().unwrap().parse().unwrap();
    (child, addresses["grpc"].as_str().unwrap().to_owned(), http)
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

// === HTTP ===

pub(crate) fn get_text(http: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")
}

/// The header line of a key.
pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// A request without a body, with these header lines, too.
fn with(text: &str, headers: &str) -> String {
    text.replacen("\r\n\r\n", &format!("\r\n{headers}\r\n"), 1)
}

pub(crate) fn request(
    http: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&str>,
) -> (u16, Value) {
    let text = match body {
        None => with(&get_text(http, path), headers).replacen("GET", method, 1),
        Some(body) => format!(
            "{method} {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    };
    let (head, body) = raw(http, &text);
    let status = head.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {head:?}")).parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// Head and body of the answer to a request that asks to close the connection.
pub(crate) fn raw(http: SocketAddr, text: &str) -> (String, String) {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.to_owned(), body.to_owned())
}

// === Sensor ===

/// The other end of the feed.
pub(crate) struct Sensor {
    to: mpsc::Sender<FromSensor>,
    from: Streaming<FromCollector>,
}

pub(crate) fn hello(sensor: &str, epoch: &str) -> Hello {
    Hello {
        sensor: sensor.to_owned(),
        epoch: epoch.to_owned(),
        host: "build-7".to_owned(),
        version: "0.1.0".to_owned(),
        boot_id: "boot-1".to_owned(),
        tier: "C".to_owned(),
        limits: vec!["cannot refuse an open".to_owned()],
        nonce: vec![7; BYTES],
        last: 0,
    }
}

pub(crate) fn talk<'a>(hello: &'a Hello, challenge: &'a Challenge, address: SocketAddr) -> Talk<'a> {
    Talk {
        sensor: &hello.sensor,
        epoch: &hello.epoch,
        hello: &hello.nonce,
        challenge: &challenge.nonce,
        address,
    }
}

impl Sensor {
    /// Opens a stream without a word.
    pub(crate) async fn silent(channel: Channel) -> Self {
        let (to, stream) = mpsc::channel(64);
        let mut client = FeedClient::new(channel);
        let from = client.stream(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Self { to, from }
    }

    /// As a sensor that the collector knows without a key, or not at all.
    pub(crate) async fn greet(channel: Channel, hello: Hello) -> Result<(Self, Welcome), Status> {
        let sensor = Self::silent(channel).await;
        sensor.say(from_sensor::Message::Hello(hello)).await;
        sensor.welcome().await
    }

    /// As a sensor that has its key.
    pub(crate) async fn prove(collector: &Collector, hello: Hello) -> Result<(Self, Welcome), Status> {
        Self::prove_at(collector.channel().await, collector.address(), hello).await
    }

    /// Over a channel that leads to this address in the end.
    pub(crate) async fn prove_at(
        channel: Channel,
        address: SocketAddr,
        hello: Hello,
    ) -> Result<(Self, Welcome), Status> {
        let (sensor, challenge) = Self::challenged(channel, &hello).await?;
        let (key, talk) = (key_of(&hello.sensor), talk(&hello, &challenge, address));
        assert!(key.holds(Role::Collector, &talk, &challenge.mac), "the collector proves itself first");
        let mac = key.prove(Role::Sensor, &talk);
        sensor.say(from_sensor::Message::Proof(Proof { mac })).await;
        sensor.welcome().await
    }

    /// Up to the challenge.
    pub(crate) async fn challenged(channel: Channel, hello: &Hello) -> Result<(Self, Challenge), Status> {
        let mut sensor = Self::silent(channel).await;
        sensor.say(from_sensor::Message::Hello(hello.clone())).await;
        match sensor.hear().await? {
            Some(from_collector::Message::Challenge(challenge)) => Ok((sensor, challenge)),
            other => panic!("expected a challenge, got {other:?}"),
        }
    }

    async fn welcome(mut self) -> Result<(Self, Welcome), Status> {
        match self.hear().await? {
            Some(from_collector::Message::Welcome(welcome)) => Ok((self, welcome)),
            other => panic!("expected a welcome, got {other:?}"),
        }
    }

    /// Connects as `sensor` and expects to be welcomed.
    pub(crate) async fn connect(collector: &Collector, sensor: &str, epoch: &str) -> (Self, u64) {
        let (sensor, welcome) = Self::prove(collector, hello(sensor, epoch)).await.unwrap();
        (sensor, welcome.acked)
    }

    pub(crate) async fn say(&self, message: from_sensor::Message) -> bool {
        self.to.send(FromSensor { message: Some(message) }).await.is_ok()
    }

    pub(crate) async fn send(&self, first_seq: u64, items: Vec<item::Item>) -> bool {
        let items = items.into_iter().map(|item| Item { item: Some(item) }).collect();
        self.say(from_sensor::Message::Items(Items { first_seq, items })).await
    }

    /// Sends events of one run at these positions as one block.
    pub(crate) async fn send_block(&self, run: &str, positions: std::ops::RangeInclusive<u64>) -> bool {
        let first = *positions.start();
        let events: Vec<Event> = positions.map(|n| crate::items::event(run, n)).collect();
        self.send(first, vec![item::Item::Block(crate::items::block(&events))]).await
    }

    /// Sends events of one run at these positions, `size` to a message.
    pub(crate) async fn send_events(
        &self,
        run: &str,
        positions: std::ops::RangeInclusive<u64>,
        size: usize,
    ) -> bool {
        self.send_made(positions, size, |n| crate::items::event(run, n)).await
    }

    /// As [`Sensor::send_events`], with events that take room: `words` times eight bytes each.
    pub(crate) async fn send_bulky(
        &self,
        run: &str,
        positions: std::ops::RangeInclusive<u64>,
        size: usize,
        words: usize,
    ) -> bool {
        self.send_made(positions, size, |n| crate::items::bulky(run, n, words)).await
    }

    async fn send_made(
        &self,
        positions: std::ops::RangeInclusive<u64>,
        size: usize,
        make: impl Fn(u64) -> Event,
    ) -> bool {
        let all: Vec<u64> = positions.collect();
        for chunk in all.chunks(size) {
            let events = chunk.iter().map(|n| item::Item::Event(make(*n)));
            if !self.send(chunk[0], events.collect()).await {
                return false;
            }
        }
        true
    }

    pub(crate) async fn hear(&mut self) -> Result<Option<from_collector::Message>, Status> {
        let message = timeout(PATIENCE, self.from.message()).await.unwrap()?;
        Ok(message.and_then(|message| message.message))
    }

    /// Waits until everything up to `seq` is acknowledged.
    pub(crate) async fn acked(&mut self, seq: u64) {
        let mut last = 0;
        while last < seq {
            match self.hear().await.unwrap() {
                Some(from_collector::Message::Ack(Ack { seq })) => {
                    assert!(seq > last, "acknowledgements only grow");
                    last = seq;
                }
                other => panic!("expected an acknowledgement, got {other:?}"),
            }
        }
        assert_eq!(last, seq, "acknowledged more than was sent");
    }

    /// Reads to the end of the stream: the highest acknowledgement and the status.
    pub(crate) async fn end(mut self) -> (u64, Status) {
        let mut acked = 0;
        loop {
            match self.hear().await {
                Ok(Some(from_collector::Message::Ack(ack))) => acked = ack.seq,
                Ok(Some(_)) => {}
                Ok(None) => return (acked, Status::new(Code::Ok, "")),
                Err(status) => return (acked, status),
            }
        }
    }

    /// Closes the sending side and reads to the end.
    pub(crate) async fn close(self) -> (u64, Status) {
        let Self { to, from } = self;
        drop(to);
        let (to, _) = mpsc::channel(1);
        Self { to, from }.end().await
    }
}
