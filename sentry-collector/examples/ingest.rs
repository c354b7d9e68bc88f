//! Measures how many events per second a collector stores durably, and the size of one on disk.
//!
//! ```text
//! ingest COLLECTOR blocks|events N    N events to this sentry-collector, in blocks or one by one
//! ingest sink blocks|events N         the same messages to a bare tonic server that drops them
//! ```
//!
//! Prints one JSON object: `events`, `per_second` (first message to last acknowledgement), `wire`
//! and `disk` (bytes per event), `cpu_us` (processor time per event of the other side). The events
//! repeat those of a real agent's run (`sentry-story/tests/recorded`), and are made before the
//! clock starts.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    pin::Pin,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use prost::Message as _;
use sentry_proto::{
    block::Packer,
    v1::{
        self, Ack, FromCollector, FromSensor, Hello, Item, Items, Welcome,
        feed_client::FeedClient,
        feed_server::{Feed, FeedServer},
        from_collector, from_sensor, item,
    },
};
use serde_json::json;
use tokio::{net::UnixListener, sync::mpsc, task::JoinSet};
use tokio_stream::{
    Stream, StreamExt as _,
    wrappers::{ReceiverStream, UnixListenerStream},
};
use tonic::{Request, Response, Status, Streaming};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Most bytes that a sensor puts into one message, by the contract.
const MESSAGE_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", socket] => serve(Path::new(socket)).await,
        [target, form @ ("blocks" | "events"), events] => {
            let line = measure(target, form == "blocks", events.parse()?).await?;
            println!("{line}");
            Ok(())
        }
        _ => Err("usage: ingest COLLECTOR|sink blocks|events N".into()),
    }
}

async fn measure(target: &str, in_blocks: bool, events: u64) -> Result<serde_json::Value, Failed> {
    let messages = messages(in_blocks, events)?;
    let wire: usize = messages.iter().map(FromSensor::encoded_len).sum();
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("feed.sock");
    let mut other = start(target, dir.path(), &socket)?;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("unix:{}", socket.display()))?;
    let mut client = FeedClient::new(endpoint.connect().await?);
    let (to, stream) = mpsc::channel(4);
    let mut from = client.stream(ReceiverStream::new(stream)).await?.into_inner();
    to.send(hello()).await?;
    from.message().await?;
    let before = cpu(&other)?;
    let began = Instant::now();
    let mut sending = JoinSet::new();
    sending.spawn(async move {
        for message in messages {
            if to.send(message).await.is_err() {
                break;
            }
        }
        to
    });
    let mut acked = 0;
    while acked < events {
        match from.message().await?.and_then(|message| message.message) {
            Some(from_collector::Message::Ack(Ack { seq })) => acked = seq,
            Some(_) => {}
            None => return Err("the stream ended early".into()),
        }
    }
    let took = began.elapsed();
    let cpu = cpu(&other)? - before;
    // The sender keeps the stream open until everything is acknowledged.
    drop(sending.join_next().await);
    let per_event = |total: f64| total / events as f64;
    end(&mut other)?;
    let disk = fs::metadata(dir.path().join("data/collector.db")).map_or(0, |file| file.len());
    Ok(json!({
        "target": target, "blocks": in_blocks, "events": events,
        "per_second": (events as f64 / took.as_secs_f64()).round(),
        "wire": per_event(wire as f64), "disk": per_event(disk as f64),
        "cpu_us": per_event(cpu.as_secs_f64() * 1e6),
    }))
}

/// Starts the other side and waits until it listens.
fn start(target: &str, dir: &Path, socket: &Path) -> Result<Child, Failed> {
    let mut command;
    if target == "sink" {
        command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg(socket);
    } else {
        let config = dir.join("collector.yaml");
        let listen = format!("listen_grpc: unix:{}\nlisten_http: 127.0.0.1:0\n", socket.display());
        fs::write(&config, format!("version: 1\n{listen}retention_bytes: 0\n"))?;
        command = Command::new(target);
        command.arg("--config").arg(config).arg("--data-dir").arg(dir.join("data"));
    }
    let mut child = command.stdout(Stdio::piped()).env("RUST_LOG", "warn").spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok(child)
}

/// Ends the other side as a service manager would, so that its database is complete.
fn end(child: &mut Child) -> Result<(), Failed> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id())?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    child.wait()?;
    Ok(())
}

/// Processor time of a process so far.
fn cpu(child: &Child) -> Result<Duration, Failed> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // The kernel reports them in hundredths of a second, whatever its own clock.
    Ok(Duration::from_millis(10 * ticks))
}

fn hello() -> FromSensor {
    let hello = Hello {
        sensor: "bench".to_owned(),
        epoch: "e1".to_owned(),
        host: "bench".to_owned(),
        ..Hello::default()
    };
    FromSensor { message: Some(from_sensor::Message::Hello(hello)) }
}

fn messages(in_blocks: bool, count: u64) -> Result<Vec<FromSensor>, Failed> {
    let recorded = recorded()?;
    let lives = (0..).flat_map(|life| recorded.iter().map(move |event| again(life, event)));
    let events: Vec<v1::Event> = lives.take(usize::try_from(count)?).collect();
    let mut packer = Packer::new()?;
    let (mut messages, mut items, mut first, mut next, mut bytes) = (Vec::new(), Vec::new(), 1, 1, 0);
    let mut rest = &events[..];
    while let Some(event) = rest.first() {
        let (item, covered) = if in_blocks {
            let packed = packer.pack(rest)?;
            (item::Item::Block(packed.block.ok_or("an event fits into no block")?), packed.events)
        } else {
            (item::Item::Event(event.clone()), 1)
        };
        let item = Item { item: Some(item) };
        if bytes + item.encoded_len() > MESSAGE_BYTES {
            messages.push(message(first, std::mem::take(&mut items)));
            (first, bytes) = (next, 0);
        }
        bytes += item.encoded_len();
        next += covered as u64;
        items.push(item);
        rest = &rest[covered..];
    }
    messages.push(message(first, items));
    Ok(messages)
}

fn message(first_seq: u64, items: Vec<Item>) -> FromSensor {
    FromSensor { message: Some(from_sensor::Message::Items(Items { first_seq, items })) }
}

/// The events of a coding agent's run.
fn recorded() -> Result<Vec<v1::Event>, Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sentry-story/tests/recorded/codex.zst");
    let bytes = zstd::decode_all(fs::File::open(path)?)?;
    let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        if let Some(item::Item::Event(event)) = Item::decode_length_delimited(&mut rest)?.item {
            events.push(event);
        }
    }
    if events.is_empty() { Err("nothing is recorded".into()) } else { Ok(events) }
}

/// The event as the agent's repetition number `times` would make it.
fn again(times: u64, event: &v1::Event) -> v1::Event {
    let mut event = event.clone();
    event.time_unix_ns += times * 10_000_000_000;
    event.sequence += times * 1_000_000;
    if let Some((before, _)) = event.id.rsplit_once('-') {
        event.id = format!("{before}-{}", event.sequence);
    }
    event
}

/// Takes every message and acknowledges it.
struct Sink;

#[tonic::async_trait]
impl Feed for Sink {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<FromCollector, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<FromSensor>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let answers = request.into_inner().map(|message| {
            let message = match message?.message {
                Some(from_sensor::Message::Items(items)) => {
                    from_collector::Message::Ack(Ack { seq: last(&items) })
                }
                Some(_) | None => from_collector::Message::Welcome(Welcome::default()),
            };
            Ok(FromCollector { message: Some(message) })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn last(items: &Items) -> u64 {
    let covered = items.items.iter().map(|item| match &item.item {
        Some(item::Item::Block(block)) => {
            v1::BlockHead::decode(&*block.head).map_or(0, |head| u64::from(head.count))
        }
        Some(_) | None => 1,
    });
    items.first_seq + covered.sum::<u64>() - 1
}

async fn serve(socket: &Path) -> Result<(), Failed> {
    let incoming = UnixListenerStream::new(UnixListener::bind(socket)?);
    println!("listening");
    let service = FeedServer::new(Sink).max_decoding_message_size(4 << 20);
    tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}
