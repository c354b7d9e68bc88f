//! A collector in this process: real gRPC over loopback, a store in memory, and moods.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use sentry_proto::{
    block,
    proof::{BYTES, FeedKey, Role, Talk},
    v1::{self, FromCollector, FromSensor, feed_server, from_collector, from_sensor, item},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::{Notify, mpsc},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, ServerTlsConfig},
};

/// How it behaves from now on.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood {
    /// Cut each stream after so many messages of items.
    pub(super) cut_after: Option<u64>,
    /// Answer that much later.
    pub(super) late: Duration,
    /// Refuse every message that holds an event with such an id.
    pub(super) refuse: HashSet<String>,
    /// Say nothing after the welcome.
    pub(super) silent: bool,
    /// Take blocks.
    pub(super) blocks: bool,
    /// Say these instead of the greeting and listen on.
    pub(super) lies: Vec<from_collector::Message>,
    /// After a good greeting.
    pub(super) afterwards: Vec<from_collector::Message>,
}

/// What the sensors of these tests have, and the collector.
pub(super) fn key() -> FeedKey {
    FeedKey::new([5; BYTES])
}

/// What it has of one epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// By first position: the item and where it ends.
    pub(super) items: BTreeMap<u64, (u64, v1::Item)>,
    pub(super) last: u64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) mood: Mood,
    pub(super) epochs: BTreeMap<String, Stored>,
    pub(super) hellos: Vec<v1::Hello>,
    /// What came after a greeting that was a lie.
    pub(super) told_to_a_liar: Vec<FromSensor>,
    /// Ended streams on which the collector lied.
    pub(super) lies_told: usize,
    pub(super) commands: VecDeque<v1::Command>,
    pub(super) results: Vec<v1::CommandResult>,
    /// Blocks that came.
    pub(super) blocks: u64,
    /// Breaches of the contract.
    pub(super) faults: Vec<String>,
    pub(super) largest_message: usize,
    /// Most items that were received and not acknowledged.
    pub(super) received: u64,
}

#[derive(Clone, Default)]
pub(super) struct Collector {
    state: Arc<Mutex<State>>,
    pub(super) changed: Arc<Notify>,
}

/// One life of its server. Its end is that of a killed process: every connection is cut.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Collector {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.lock().mood = mood;
        self.changed.notify_waiters();
    }

    /// Waits until `condition` holds; every change wakes it.
    pub(super) async fn wait(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Serves on a runtime of its own, at the address of a life before or at a new one.
    pub(super) fn serve(&self, address: Option<SocketAddr>, tls: Option<ServerTlsConfig>) -> Serving {
        let address = address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = feed_server::FeedServer::new(self.clone());
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            server.add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Serving { address, runtime: Some(runtime) }
    }

    fn take(&self, epoch: &str, mut items: v1::Items) -> Result<u64, Status> {
        let mut state = self.lock();
        let sent = std::mem::take(&mut items.items);
        for item in sent {
            let Some(item::Item::Block(block)) = item.item else {
                items.items.push(item);
                continue;
            };
            state.blocks += 1;
            if !state.mood.blocks {
                state.faults.push("a block, which was not asked for".to_owned());
            }
            let events = block::Checked::new(block).unwrap().open().unwrap();
            let events =
                events.iter().map(|event| v1::Item { item: Some(item::Item::Event(event.unwrap())) });
            items.items.extend(events);
        }
        state.received += items.items.len() as u64;
        let mut next = items.first_seq;
        let mut faults = Vec::new();
        let refuse = state.mood.refuse.clone();
        let stored = state.epochs.entry(epoch.to_owned()).or_default();
        if next > stored.last + 1 {
            faults.push(format!("hole: {next} after {}", stored.last));
        }
        let refused = items
            .items
            .iter()
            .any(|item| matches!(&item.item, Some(item::Item::Event(event)) if refuse.contains(&event.id)));
        if refused {
            return Err(Status::invalid_argument("item at some position is refused"));
        }
        for item in items.items {
            let first = next;
            let last = match &item.item {
                Some(item::Item::Gap(gap)) if gap.first != first || gap.last < first => {
                    faults.push(format!("gap {}..={} at {first}", gap.first, gap.last));
                    first
                }
                Some(item::Item::Gap(gap)) => gap.last,
                Some(_) => first,
                None => {
                    faults.push(format!("empty item at {first}"));
                    first
                }
            };
            next = last + 1;
            if last > stored.last {
                let from = first.max(stored.last + 1);
                stored.items.insert(from, (last, item));
                stored.last = last;
            }
        }
        let acked = stored.last;
        state.faults.extend(faults);
        drop(state);
        self.changed.notify_waiters();
        Ok(acked)
    }

    #[expect(clippy::too_many_lines, reason = "one conversation, from greeting to end")]
    async fn talk(
        self,
        mut inbound: Streaming<FromSensor>,
        answers: mpsc::Sender<Result<FromCollector, Status>>,
        reached: Option<SocketAddr>,
    ) {
        let say = |message| {
            let answers = answers.clone();
            async move { answers.send(Ok(FromCollector { message: Some(message) })).await.is_ok() }
        };
        let Ok(Some(FromSensor { message: Some(from_sensor::Message::Hello(hello)) })) =
            inbound.message().await
        else {
            self.lock().faults.push("no hello".to_owned());
            return;
        };
        let mood = self.lock().mood.clone();
        if !mood.lies.is_empty() {
            self.lock().hellos.push(hello);
            for lie in mood.lies {
                say(lie).await;
            }
            while let Ok(Some(message)) = inbound.message().await {
                self.lock().told_to_a_liar.push(message);
            }
            self.lock().lies_told += 1;
            self.changed.notify_waiters();
            return;
        }
        if let Some(address) = reached {
            let nonce = vec![9; BYTES];
            let talk = Talk {
                sensor: &hello.sensor,
                epoch: &hello.epoch,
                hello: &hello.nonce,
                challenge: &nonce,
                address,
            };
            let mac = key().prove(Role::Collector, &talk);
            say(from_collector::Message::Challenge(v1::Challenge { nonce: nonce.clone(), mac })).await;
            let Ok(Some(FromSensor { message: Some(from_sensor::Message::Proof(proof)) })) =
                inbound.message().await
            else {
                return;
            };
            if !key().holds(Role::Sensor, &talk, &proof.mac) {
                self.lock().faults.push("the sensor has not proven itself".to_owned());
            }
        }
        let epoch = hello.epoch.clone();
        let acked = {
            let mut state = self.lock();
            state.hellos.push(hello);
            state.epochs.entry(epoch.clone()).or_default().last
        };
        self.changed.notify_waiters();
        say(from_collector::Message::Welcome(v1::Welcome {
            acked,
            collector: "test".to_owned(),
            blocks: mood.blocks,
        }))
        .await;
        let lied = !mood.afterwards.is_empty();
        for lie in mood.afterwards {
            say(lie).await;
        }
        if lied {
            while let Ok(Some(message)) = inbound.message().await {
                self.lock().told_to_a_liar.push(message);
            }
            self.lock().lies_told += 1;
            self.changed.notify_waiters();
            return;
        }
        let mut messages = 0;
        loop {
            let changed = self.changed.notified();
            let command = self.lock().commands.pop_front();
            if let Some(command) = command {
                say(from_collector::Message::Command(command)).await;
                continue;
            }
            let message = tokio::select! {
                message = inbound.message() => message,
                () = changed => continue,
            };
            let Ok(Some(message)) = message else { return };
            let mood = self.lock().mood.clone();
            match message.message {
                Some(from_sensor::Message::Items(items)) => {
                    messages += 1;
                    {
                        let mut state = self.lock();
                        let size = prost::Message::encoded_len(&items);
                        state.largest_message = state.largest_message.max(size);
                    }
                    if mood.cut_after.is_some_and(|cut| messages > cut) {
                        // Half of what is cut off was stored, and the sensor does not know.
                        if messages % 2 == 0 {
                            drop(self.take(&epoch, items));
                        }
                        drop(answers.send(Err(Status::unavailable("cut"))).await);
                        return;
                    }
                    match self.take(&epoch, items) {
                        Ok(seq) if !mood.silent => {
                            tokio::time::sleep(mood.late).await;
                            say(from_collector::Message::Ack(v1::Ack { seq })).await;
                        }
                        Ok(_) => {}
                        Err(status) => {
                            drop(answers.send(Err(status)).await);
                            return;
                        }
                    }
                }
                Some(from_sensor::Message::CommandResult(result)) => self.lock().results.push(result),
                Some(from_sensor::Message::Hello(_) | from_sensor::Message::Proof(_)) | None => {
                    self.lock().faults.push("odd message".to_owned());
                }
            }
            self.changed.notify_waiters();
        }
    }
}

#[tonic::async_trait]
impl feed_server::Feed for Collector {
    type StreamStream = ReceiverStream<Result<FromCollector, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<FromSensor>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (answers, stream) = mpsc::channel(16);
        // Over TLS and at a unix socket the connection is the proof.
        let reached = request.local_addr().filter(|_| request.peer_certs().is_none());
        tokio::spawn(self.clone().talk(request.into_inner(), answers, reached));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Serving {
    /// Waits until its port is free again.
    pub(super) async fn stop(mut self) -> SocketAddr {
        if let Some(runtime) = self.runtime.take() {
            let end = move || runtime.shutdown_timeout(Duration::from_secs(10));
            tokio::task::spawn_blocking(end).await.unwrap();
        }
        self.address
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
