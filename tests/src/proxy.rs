//! A TCP connection that can be cut: what a network between sensor and collector does to them.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt::Linger};

/// Passes connections on to `target`, until told to cut them.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    open: Mutex<Vec<TcpStream>>,
    /// Connections that reached the target.
    joined: AtomicU64,
    /// Bytes that went to the target.
    sent: AtomicU64,
    ended: AtomicBool,
}

impl Proxy {
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            open: Mutex::default(),
            joined: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
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

    /// Cuts every connection: both ends get a reset, and what was under way is lost. How many there were.
    ///
    /// # Panics
    /// When the kernel has no such option.
    #[must_use]
    pub fn cut(&self) -> usize {
        let open: Vec<TcpStream> =
            self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for stream in &open {
            let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(stream, Linger, &at_once).unwrap();
            // The threads that pass bytes on hold the other handles: they end by this, then the reset goes out.
            stream.shutdown(Shutdown::Both).ok();
        }
        open.len() / 2
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the thread that accepts.
        TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).ok();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        // Nobody behind: the sensor sees a connection that closes.
        let Ok(target) = TcpStream::connect(&shared.target) else { continue };
        let (Ok(a), Ok(b), Ok(c), Ok(d)) =
            (stream.try_clone(), target.try_clone(), stream.try_clone(), target.try_clone())
        else {
            continue;
        };
        shared.open.lock().unwrap_or_else(PoisonError::into_inner).extend([a, b]);
        shared.joined.fetch_add(1, Ordering::AcqRel);
        let counting = Arc::clone(shared);
        std::thread::spawn(move || pass_on(stream, target, Some(&counting.sent)));
        std::thread::spawn(move || pass_on(d, c, None));
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, count: Option<&AtomicU64>) {
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
