//! `left-control`: the run asked a process outside of it for work, and what that process does is
//! not the run's.
//!
//! Judged event by event, and a finding at the next reading: one for each service that was asked,
//! and another one for a request after the cool-down. Memory is fixed: the newest request of each
//! service in `PEERS`, each text of it cut to `LONGEST` bytes.
//!
//! A request is: a unix connection or datagram to a listed service that is not in the run itself; a
//! TCP connection that succeeded, to a listed port of this host. A normal agent does some of it for
//! good reasons, so that it is recorded and never leads to an act. Work for cron and at is left in
//! files: that is `persistence-write`.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::NoLimits,
    past::Past,
};
use crate::{
    act::SocketAct,
    event::{Endpoint, EventKind},
    runaway::{RuleId, RunawaySignal, Severity, Term},
};

pub const LEFT_CONTROL: RuleId = RuleId::new("left-control");

/// It has no thresholds.
pub type Limits = NoLimits;

/// Longest text kept of a request, bytes.
const LONGEST: usize = 128;

/// A service that works for whoever asks it.
struct Peer {
    name: &'static str,
    severity: Severity,
    /// That who talks to it has it do work.
    confidence: f64,
    tags: &'static [&'static str],
}

/// Deploy Container, Container Administration Command.
const CONTAINERS: &[&str] = &["attack:T1610", "attack:T1609", "owasp-asi:ASI03", "owasp-asi:ASI10"];
/// Run Virtual Instance.
const MACHINES: &[&str] = &["attack:T1564.006", "owasp-asi:ASI03", "owasp-asi:ASI10"];
/// System Services; Create or Modify System Process: Systemd Service.
const SERVICES: &[&str] = &["attack:T1569", "attack:T1543.002", "owasp-asi:ASI03", "owasp-asi:ASI10"];
/// Inter-Process Communication.
const MESSAGES: &[&str] = &["attack:T1559", "owasp-asi:ASI10"];
/// Remote Services: SSH.
const SHELLS: &[&str] = &["attack:T1021.004", "owasp-asi:ASI03", "owasp-asi:ASI10"];

/// Names as the sensor's list of sockets has them, beside `ssh`.
const PEERS: [Peer; 14] = [
    peer("docker", Severity::High, 0.9, CONTAINERS),
    peer("containerd", Severity::High, 0.9, CONTAINERS),
    peer("podman", Severity::High, 0.9, CONTAINERS),
    peer("cri-o", Severity::High, 0.9, CONTAINERS),
    peer("buildkit", Severity::High, 0.9, CONTAINERS),
    peer("lxd", Severity::High, 0.9, CONTAINERS),
    peer("incus", Severity::High, 0.9, CONTAINERS),
    peer("libvirt", Severity::High, 0.9, MACHINES),
    peer("systemd", Severity::High, 0.9, SERVICES),
    peer("snapd", Severity::Medium, 0.7, SERVICES),
    peer("tmux", Severity::Medium, 0.8, MESSAGES),
    peer("screen", Severity::Medium, 0.8, MESSAGES),
    // Most who talk on a bus ask for nothing that outlives them.
    peer("dbus", Severity::Low, 0.5, MESSAGES),
    peer("ssh", Severity::Medium, 0.7, SHELLS),
];

const fn peer(
    name: &'static str,
    severity: Severity,
    confidence: f64,
    tags: &'static [&'static str],
) -> Peer {
    Peer { name, severity, confidence, tags }
}

/// Ports of this host → who listens there by custom.
const PORTS: &[(u16, &str)] = &[(22, "ssh"), (2375, "docker"), (2376, "docker")];

/// What a run asked of whom.
#[derive(Debug, Default)]
pub(crate) struct LeftControl {
    asked: [Asked; PEERS.len()],
}

#[derive(Debug, Default)]
struct Asked {
    /// In the life of the run.
    requests: u64,
    /// The first since the last reading, which a finding would show.
    request: Option<Box<Request>>,
}

#[derive(Debug)]
struct Request {
    event: String,
    time_unix_ns: u64,
    /// Who asked.
    by: String,
    /// By what way, and who took it.
    way: String,
    peer_pid: Option<u32>,
    peer_uid: Option<u32>,
}

impl Rule for LeftControl {
    type Limits = Limits;
    const ABOUT: About = About {
        id: LEFT_CONTROL,
        when: "a service outside of the run is asked for work: a container engine, systemd, D-Bus, tmux, \
               sshd or docker by TCP on this host",
        severity: "by service; never leads to an act",
        urgency: Urgency::Known,
    };
    /// The services.
    const SUBJECTS: usize = PEERS.len();
    /// Whom the run asked for work stays known after an act: what it asked for goes on.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let Some(number) = whom(&seen.event.kind) else { return };
        let asked = &mut self.asked[number];
        asked.requests += 1;
        if asked.request.is_none() {
            asked.request = Some(Box::new(request(seen)));
        }
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        let Asked { requests, request } = &self.asked[subject];
        Some(request.as_deref()?.verdict(&PEERS[subject], *requests))
    }

    fn judged(&mut self) {
        for asked in &mut self.asked {
            asked.request = None;
        }
    }
}

impl Request {
    /// `requests`: so far, in the life of the run.
    fn verdict(&self, peer: &Peer, requests: u64) -> Verdict {
        let Self { event, time_unix_ns, by, way, peer_pid, peer_uid } = self;
        let known = |name, id: Option<u32>| id.map(|id| Term::given(name, id.into(), ""));
        let mut arithmetic = vec![Term::limited("requests so far", requests as f64, "", 1.0)];
        arithmetic.extend(known("peer process", *peer_pid));
        arithmetic.extend(known("peer user", *peer_uid));
        arithmetic.push(Term::given("confidence", peer.confidence, ""));
        let signal = RunawaySignal {
            rule: LEFT_CONTROL,
            confidence: peer.confidence,
            severity: peer.severity,
            summary: format!(
                "{by} turned to {}, which can work for it outside of the run: {way}.",
                peer.name
            ),
            arithmetic,
        };
        Verdict { signal, since_unix_ns: *time_unix_ns, shown: Shown::One(event.clone()), tags: peer.tags }
    }
}

/// The number of the service in [`PEERS`] that an act asks.
fn whom(kind: &EventKind) -> Option<usize> {
    let name = match kind {
        EventKind::Unix { service: Some(service), peer_in_run: false, error: None, .. } => service.as_str(),
        EventKind::Socket {
            act: SocketAct::Connected,
            local: Some(local),
            remote: Some(remote),
            error: None,
            ..
        } => of_port(local, remote)?,
        _ => return None,
    };
    PEERS.iter().position(|peer| peer.name == name)
}

fn of_port(local: &Endpoint, remote: &Endpoint) -> Option<&'static str> {
    const TCP: u16 = 6;
    // Whoever reaches an address of this host has the same one on its own side.
    let here = remote.address.is_loopback() || remote.address == local.address;
    let (_, name) = PORTS.iter().find(|(port, _)| here && remote.protocol == TCP && *port == remote.port)?;
    Some(name)
}

fn request(seen: &Seen<'_>) -> Request {
    let event = seen.event;
    let (mut peer_pid, mut peer_uid) = (None, None);
    let way = match &event.kind {
        EventKind::Unix { name, peer, peer_uid: uid, peer_executable, .. } => {
            (peer_pid, peer_uid) = (peer.map(|peer| peer.tgid), *uid);
            let whose = match (peer, peer_executable) {
                (Some(peer), Some(path)) => format!(" of process {} ({})", peer.tgid, cut(path)),
                (Some(peer), None) => format!(" of process {}", peer.tgid),
                (None, _) => String::new(),
            };
            format!("socket {}{whose}", cut(name))
        }
        EventKind::Socket { remote: Some(remote), .. } => {
            format!("TCP {} port {}", remote.address, remote.port)
        }
        _ => String::new(),
    };
    // An id is not cut, as it would name nothing.
    let event_id = if event.id.len() <= LONGEST { event.id.clone() } else { String::new() };
    let by = seen.by(LONGEST);
    Request { event: event_id, time_unix_ns: event.time_unix_ns, by, way, peer_pid, peer_uid }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}
