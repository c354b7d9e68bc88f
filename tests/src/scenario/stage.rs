//! The places, ports and peers that placeholders stand for. They are outside of every run.

use std::{
    collections::BTreeMap,
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    path::{Path, PathBuf},
    process::Child,
};

use crate::{cgroup::TestCgroup, programs, sensor::Sensor};

/// Keeps what the placeholders stand for until the scenario is over.
pub struct Stage {
    dir: PathBuf,
    /// The same act is done here by a process that no run has.
    beside: PathBuf,
    words: BTreeMap<&'static str, String>,
    sleeper: Child,
    _outside: TestCgroup,
    _tcp: Vec<TcpListener>,
    _udp: Vec<UdpSocket>,
    _unix: (UnixListener, UnixListener, UnixDatagram),
}

impl Stage {
    /// # Panics
    /// When a place or a port cannot be had.
    #[must_use]
    pub fn set(sensor: &Sensor, number: usize) -> Self {
        let scratch = sensor.scratch();
        let dir = scratch.dir(&format!("scene-{number}"));
        let beside = scratch.dir(&format!("beside-{number}"));
        let mut words = BTreeMap::new();
        let mut tcp = Vec::new();
        for (name, host) in [("tcp4", "127.0.0.1"), ("tcp6", "::1")] {
            // Without IPv6 the scenarios that need it are left out.
            let Ok(listener) = TcpListener::bind((host, 0)) else { continue };
            words.insert(name, listener.local_addr().unwrap().port().to_string());
            tcp.push(listener);
        }
        let mut udp = Vec::new();
        for (name, host) in [("udp1", "127.0.0.1"), ("udp2", "127.0.0.2"), ("udp3", "127.0.0.3")] {
            let socket = UdpSocket::bind((host, 0)).unwrap();
            words.insert(name, socket.local_addr().unwrap().port().to_string());
            udp.push(socket);
        }
        if let Ok(socket) = UdpSocket::bind(("::1", 0)) {
            words.insert("udp6", socket.local_addr().unwrap().port().to_string());
            udp.push(socket);
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        words.insert("closed", closed.to_string());
        let name = format!("sentry-scene-{}-{number}", std::process::id());
        let unnamed = SocketAddr::from_abstract_name(&name).unwrap();
        let (stream, datagram) =
            (scratch.join(&format!("{number}.stream")), scratch.join(&format!("{number}.dgram")));
        let unix = (
            UnixListener::bind(&stream).unwrap(),
            UnixListener::bind_addr(&unnamed).unwrap(),
            UnixDatagram::bind(&datagram).unwrap(),
        );
        let sleeper = programs::command("workload_scene").args(["sleep"]).spawn().unwrap();
        let outside = TestCgroup::new("scene");
        words.insert("outside", outside.path().display().to_string());
        words.insert("outside-shown", outside.shown());
        words.insert("stream", stream.display().to_string());
        words.insert("datagram", datagram.display().to_string());
        words.insert("abstract", name);
        words.insert("sensor", sensor.pid().to_string());
        words.insert("sleeper", sleeper.id().to_string());
        words.insert("scene", real("workload_scene").display().to_string());
        words.insert("shell", Path::new("/bin/sh").canonicalize().unwrap().display().to_string());
        words.insert("true", Path::new("/bin/true").canonicalize().unwrap().display().to_string());
        words.insert("linker", Path::new(LINKER).canonicalize().unwrap_or_default().display().to_string());
        Self { dir, beside, words, sleeper, _outside: outside, _tcp: tcp, _udp: udp, _unix: unix }
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    #[must_use]
    pub fn beside(&self) -> &Path {
        &self.beside
    }

    /// With the placeholders filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        self.fill_for(text, &self.dir)
    }

    /// The same for another directory.
    #[must_use]
    pub fn fill_for(&self, text: &str, dir: &Path) -> String {
        let mut filled = text.replace("{dir}", &dir.display().to_string());
        for (name, value) in &self.words {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It may have been the target of a scenario.
        self.sleeper.kill().ok();
        self.sleeper.wait().ok();
    }
}

const LINKER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };

fn real(program: &str) -> PathBuf {
    programs::path(program).canonicalize().unwrap()
}
