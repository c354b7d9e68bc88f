//! The first words of a stream: nothing but the hello goes out before the collector is proven.

use std::{io, net::SocketAddr};

use rustix::{
    io::retry_on_intr,
    rand::{GetRandomFlags, getrandom},
};
use sentry_proto::{
    proof::{BYTES, FeedKey, Role, Talk},
    v1::{self, FromCollector, FromSensor, from_collector::Message, from_sensor},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{ExportError, connect::Link};

/// Opens the stream that `outgoing` feeds; `outbox` is its other end.
pub(super) async fn greet(
    mut link: Link,
    mut hello: v1::Hello,
    outbox: &mpsc::Sender<FromSensor>,
    outgoing: mpsc::Receiver<FromSensor>,
) -> Result<(Streaming<FromCollector>, v1::Welcome), ExportError> {
    if link.key.is_some() {
        hello.nonce = random().map_err(|source| ExportError::Random { source })?;
    }
    say(outbox, from_sensor::Message::Hello(hello.clone())).await;
    let mut inbound =
        link.client.stream(ReceiverStream::new(outgoing)).await.map_err(ExportError::refused)?.into_inner();
    if let Some((key, address)) = &link.key {
        let Some(Message::Challenge(challenge)) = next(&mut inbound).await? else {
            return Err(ExportError::Unproven { what: "it sent no challenge" });
        };
        let mac = answer(key, *address, &hello, &challenge)?;
        say(outbox, from_sensor::Message::Proof(v1::Proof { mac })).await;
    }
    match next(&mut inbound).await? {
        Some(Message::Welcome(welcome)) => Ok((inbound, welcome)),
        Some(Message::Challenge(_)) => Err(ExportError::Protocol {
            what: "the collector asks for a key; set `collector.key_file`, and `endpoint` to its address",
        }),
        _ => Err(ExportError::Protocol { what: "the collector did not begin with a welcome" }),
    }
}

/// The proof of this sensor, for a collector that has proven itself.
fn answer(
    key: &FeedKey,
    address: SocketAddr,
    hello: &v1::Hello,
    challenge: &v1::Challenge,
) -> Result<Vec<u8>, ExportError> {
    let talk = Talk {
        sensor: &hello.sensor,
        epoch: &hello.epoch,
        hello: &hello.nonce,
        challenge: &challenge.nonce,
        address,
    };
    if key.holds(Role::Collector, &talk, &challenge.mac) {
        Ok(key.prove(Role::Sensor, &talk))
    } else {
        Err(ExportError::Unproven { what: "it does not have this sensor's key for this address" })
    }
}

fn random() -> io::Result<Vec<u8>> {
    let mut bytes = [0; BYTES];
    // Up to 256 bytes come in one piece.
    retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
    Ok(bytes.to_vec())
}

async fn next(inbound: &mut Streaming<FromCollector>) -> Result<Option<Message>, ExportError> {
    Ok(inbound.message().await.map_err(ExportError::refused)?.and_then(|message| message.message))
}

/// False: the stream has ended.
pub(super) async fn say(outbox: &mpsc::Sender<FromSensor>, message: from_sensor::Message) -> bool {
    outbox.send(FromSensor { message: Some(message) }).await.is_ok()
}
