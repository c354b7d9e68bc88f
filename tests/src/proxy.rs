//! A connection that can be cut: what may happen between sensor and collector. It listens at a unix
//! socket as the user of the test, whom sensor and collector take for each other.

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::scratch::Scratch;

/// Passes connections on to `target`, until it is asked to cut them.
pub struct Proxy {
    path: PathBuf,
    _scratch: Scratch,
    shared: Arc<Shared>,
}

struct Shared {
    target: PathBuf,
    open: Mutex<Vec<UnixStream>>,
    /// Connections that reached the target.
    joined: AtomicU64,
    /// Bytes that went to the target.
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Proxy {
    /// `target`: `unix:/PATH`.
    ///
    /// # Panics
    /// When the target is another kind of address, or there is no room for a socket.
    #[must_use]
    pub fn start(target: &str) -> Self {
        let scratch = Scratch::new();
        let path = scratch.join("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let shared = Arc::new(Shared {
            target: target.strip_prefix("unix:").unwrap().into(),
            open: Mutex::default(),
            joined: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { path, _scratch: scratch, shared }
    }

    /// As `--collector` takes it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// How many connections reached the target.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.shared.joined.load(Ordering::Acquire)
    }

    /// How many bytes the target was sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// Cuts every connection, and what was under way is lost. How many there were.
    #[must_use]
    pub fn cut(&self) -> usize {
        let open: Vec<UnixStream> = self.shared.open.lock().drain(..).collect();
        for stream in &open {
            // The threads that pass bytes on hold the other handles: they end by this.
            stream.shutdown(Shutdown::Both).ok();
        }
        open.len() / 2
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        for stream in self.shared.open.lock().drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the thread that accepts.
        UnixStream::connect(&self.path).ok();
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        // Nobody behind: the sensor sees a connection that closes.
        let Ok(target) = UnixStream::connect(&shared.target) else { continue };
        let (Ok(a), Ok(b), Ok(c), Ok(d)) =
            (stream.try_clone(), target.try_clone(), stream.try_clone(), target.try_clone())
        else {
            continue;
        };
        shared.open.lock().extend([a, b]);
        shared.joined.fetch_add(1, Ordering::AcqRel);
        let counting = Arc::clone(shared);
        std::thread::spawn(move || pass_on(stream, target, Some(&counting.sent)));
        std::thread::spawn(move || pass_on(d, c, None));
    }
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, count: Option<&AtomicU64>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
        if let Some(count) = count {
            count.fetch_add(length as u64, Ordering::AcqRel);
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
