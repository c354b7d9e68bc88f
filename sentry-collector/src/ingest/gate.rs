//! Admission: nothing in a stream counts before its sensor is proven, in the one way that the
//! listener accepts.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use rustix::{
    io::retry_on_intr,
    rand::{GetRandomFlags, getrandom},
};
use sentry_proto::{
    certificate::{self, NotYours},
    proof::{BYTES, FeedKey, Role, Talk},
    v1,
};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::Status;

use crate::{feed::way::Way, ingest::peer::Peer};

/// How sensors prove who they are.
#[derive(Clone, Debug)]
pub enum Gate {
    /// Over TLS: the client certificate names the sensor.
    Certificate,
    /// Over plaintext TCP: a key that the sensor and the collector share, by sensor id.
    Keys(BTreeMap<String, FeedKey>),
    /// Over a unix socket: the kernel names the user that connected. All these users are one
    /// sensor: the configured one, or the first that said hello there.
    Socket { users: Vec<u32>, sensor: Option<String> },
}

/// Why a peer is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotProven {
    #[error(transparent)]
    Certificate(#[from] NotYours),
    #[error(
        "there is no key for sensor {sensor:?}: make one with `sentry-collector feed-key`, list \
         it in `feed_keys` and restart the collector"
    )]
    NoKey { sensor: String },
    #[error(
        "the hello of sensor {sensor:?} has no random part: give the sensor the key, as \
         `collector.key_file` in its configuration"
    )]
    NoNonce { sensor: String },
    #[error(
        "sensor {sensor:?} has not proven that it has its key for {address}: give both sides the \
         same key, and connect without anything in between"
    )]
    WrongKey { sensor: String, address: SocketAddr },
    #[error(
        "user {uid} may not speak for a sensor at this socket: run the sensor as one of the \
         users in `feed_users`, or add the user there"
    )]
    User { uid: u32 },
    #[error(
        "this socket speaks for sensor {named:?}, not for {claimed:?}: `feed_sensor` of the \
         collector and `sensor.id` of the sensor have to agree"
    )]
    OtherSensor { named: String, claimed: String },
    #[error("the collector cannot tell how it was reached")]
    Unknown,
}

// === impl Gate ===

impl Gate {
    /// Whether users other than root and the collector's own may connect to the unix socket.
    pub(crate) fn shared(&self, own: u32) -> bool {
        matches!(self, Self::Socket { users, .. } if users.iter().any(|user| ![0, own].contains(user)))
    }

    /// Proves a sensor by its hello alone; `None` if it must answer a challenge.
    pub(crate) fn admit(
        &self,
        hello: &v1::Hello,
        peer: &Peer,
        chain: Option<&[CertificateDer<'static>]>,
    ) -> Result<Option<Way>, NotProven> {
        match self {
            Self::Certificate => {
                certificate::check(chain, &hello.sensor)?;
                Ok(Some(Way::Certificate))
            }
            Self::Keys(_) => Ok(None),
            Self::Socket { users, sensor } => {
                let uid = peer.uid.ok_or(NotProven::Unknown)?;
                if !users.contains(&uid) {
                    return Err(NotProven::User { uid });
                }
                match sensor {
                    Some(named) if *named != hello.sensor => {
                        Err(NotProven::OtherSensor { named: named.clone(), claimed: hello.sensor.clone() })
                    }
                    named => Ok(Some(Way::Socket { named: named.is_some() })),
                }
            }
        }
    }

    /// The challenge for a hello, and the value that checks the answer.
    pub(crate) fn challenge(&self, hello: &v1::Hello, peer: &Peer) -> Result<Challenge, NotProven> {
        let sensor = || hello.sensor.clone();
        let Self::Keys(keys) = self else { return Err(NotProven::Unknown) };
        let address = peer.reached.ok_or(NotProven::Unknown)?;
        let key = keys.get(&hello.sensor).ok_or_else(|| NotProven::NoKey { sensor: sensor() })?;
        if hello.nonce.len() != BYTES {
            return Err(NotProven::NoNonce { sensor: sensor() });
        }
        let nonce = random().ok_or(NotProven::Unknown)?;
        Ok(Challenge { key: key.clone(), nonce, address })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate => f.write_str("mutual TLS"),
            Self::Keys(keys) => {
                let sensors: Vec<&str> = keys.keys().map(String::as_str).collect();
                write!(f, "plaintext, keys of {}", sensors.join(", "))
            }
            Self::Socket { users, sensor } => {
                let users: Vec<String> = users.iter().map(u32::to_string).collect();
                write!(f, "uid {}, ", users.join(", "))?;
                match sensor {
                    Some(sensor) => write!(f, "sensor {sensor}"),
                    None => f.write_str("the first sensor that says hello"),
                }
            }
        }
    }
}

// === Challenge ===

/// A challenge that was sent to one stream.
pub(crate) struct Challenge {
    key: FeedKey,
    nonce: [u8; BYTES],
    address: SocketAddr,
}

impl Challenge {
    pub(crate) fn message(&self, hello: &v1::Hello) -> v1::Challenge {
        let mac = self.key.prove(Role::Collector, &self.talk(hello));
        v1::Challenge { nonce: self.nonce.to_vec(), mac }
    }

    pub(crate) fn judge(&self, hello: &v1::Hello, proof: &v1::Proof) -> Result<Way, NotProven> {
        if self.key.holds(Role::Sensor, &self.talk(hello), &proof.mac) {
            Ok(Way::Key)
        } else {
            Err(NotProven::WrongKey { sensor: hello.sensor.clone(), address: self.address })
        }
    }

    fn talk<'a>(&'a self, hello: &'a v1::Hello) -> Talk<'a> {
        Talk {
            sensor: &hello.sensor,
            epoch: &hello.epoch,
            hello: &hello.nonce,
            challenge: &self.nonce,
            address: self.address,
        }
    }
}

// === impl NotProven ===

impl From<&NotProven> for Status {
    fn from(why: &NotProven) -> Self {
        let text = why.to_string();
        match why {
            NotProven::NoKey { .. } | NotProven::NoNonce { .. } | NotProven::WrongKey { .. } => {
                Self::unauthenticated(text)
            }
            NotProven::Certificate(_) | NotProven::User { .. } | NotProven::OtherSensor { .. } => {
                Self::permission_denied(text)
            }
            NotProven::Unknown => Self::internal(text),
        }
    }
}

/// 32 random bytes from the kernel.
pub(crate) fn random() -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    // Up to 256 bytes come in one piece.
    let filled = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty())).ok()?;
    (filled == BYTES).then_some(bytes)
}
