//! Whose turn it is on a connection. The peer's turn has a time limit; ours has none.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// A whole answer must be taken within this many times the patience, however steadily its bytes are
/// taken.
const ANSWER: u32 = 6;

/// Shared by a connection, its socket and its place among the others.
#[derive(Debug)]
pub(super) struct Pace {
    turn: Mutex<Turn>,
    gives_way: CancellationToken,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Ours,
    /// The peer's: it must send a request or take an answer.
    Theirs {
        began: Instant,
        /// When the peer last took bytes of the answer.
        moved: Instant,
        /// The answer is a stream: its peer only has to go on taking it.
        lasts: bool,
    },
}

/// It is our turn as long as this lives.
#[derive(Debug)]
pub(super) struct Serving {
    pace: Arc<Pace>,
    lasts: bool,
}

/// Put into the extensions of an answer that is a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting;

// === impl Pace ===

impl Pace {
    pub(super) fn new(now: Instant) -> Arc<Self> {
        let turn = Mutex::new(Turn::Theirs { began: now, moved: now, lasts: false });
        Arc::new(Self { turn, gives_way: CancellationToken::new() })
    }

    /// A request has arrived: it is our turn.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        self.set(|turn| *turn = Turn::Ours);
        Serving { pace: Arc::clone(self), lasts: false }
    }

    /// How long the peer has made no progress in its turn; `None` if it is our turn.
    pub(super) fn stands_since(&self) -> Option<Instant> {
        match self.turn() {
            Turn::Ours => None,
            Turn::Theirs { moved, .. } => Some(moved),
        }
    }

    /// Ends the connection, to free its place for another.
    pub(super) fn give_way(&self) {
        self.gives_way.cancel();
    }

    /// Waits until the connection must end. Returns the reason.
    pub(super) async fn over(&self, patience: Duration) -> &'static str {
        let late = async {
            loop {
                let now = Instant::now();
                let end = self.end(patience).unwrap_or(now + patience);
                if end <= now {
                    return;
                }
                sleep_until(end).await;
            }
        };
        tokio::select! {
            () = self.gives_way.cancelled() => "it waited longest when all places were taken",
            () = late => "its peer was too slow",
        }
    }

    fn end(&self, patience: Duration) -> Option<Instant> {
        match self.turn() {
            Turn::Ours => None,
            Turn::Theirs { moved, lasts: true, .. } => Some(moved + patience),
            Turn::Theirs { began, moved, lasts: false } => {
                Some((moved + patience).min(began + patience * ANSWER))
            }
        }
    }

    /// The peer took bytes.
    fn moved(&self) {
        self.set(|turn| {
            if let Turn::Theirs { moved, .. } = turn {
                *moved = Instant::now();
            }
        });
    }

    fn turn(&self) -> Turn {
        *self.turn.lock()
    }

    fn set(&self, change: impl FnOnce(&mut Turn)) {
        change(&mut self.turn.lock());
    }
}

impl Serving {
    /// The answer is a stream.
    pub(super) fn lasts(&mut self) {
        self.lasts = true;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let (now, lasts) = (Instant::now(), self.lasts);
        self.pace.set(|turn| *turn = Turn::Theirs { began: now, moved: now, lasts });
    }
}

/// A socket that notes when its peer takes bytes. Bytes that the peer sends are no progress,
/// because the head of a request must come at once.
#[derive(Debug)]
pub(super) struct Paced<S> {
    socket: S,
    pace: Arc<Pace>,
}

impl<S> Paced<S> {
    pub(super) fn new(socket: S, pace: Arc<Pace>) -> Self {
        Self { socket, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        if written.is_ready() {
            self.pace.moved();
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        if written.is_ready() {
            self.pace.moved();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn theirs(began: Instant, moved: Instant, lasts: bool) -> Turn {
        Turn::Theirs { began, moved, lasts }
    }

    #[test]
    fn a_stream_lasts_while_its_peer_takes_it() {
        let start = Instant::now();
        let pace = Pace::new(start);
        let mut serving = pace.serve();
        serving.lasts();
        drop(serving);
        assert!(matches!(pace.turn(), Turn::Theirs { lasts: true, .. }));
        pace.set(|turn| *turn = theirs(start, start + PATIENCE * 20, true));
        assert_eq!(pace.end(PATIENCE), Some(start + PATIENCE * 21));
        drop(pace.serve());
        assert!(matches!(pace.turn(), Turn::Theirs { lasts: false, .. }), "the next answer is judged anew");
    }

    #[test]
    fn bytes_taken_earn_more_time_but_not_for_ever() {
        let start = Instant::now();
        let pace = Pace::new(start);
        assert_eq!(pace.end(PATIENCE), Some(start + PATIENCE));
        pace.set(|turn| *turn = theirs(start, start + PATIENCE, false));
        assert_eq!(pace.end(PATIENCE), Some(start + PATIENCE * 2));
        pace.set(|turn| *turn = theirs(start, start + PATIENCE * 20, false));
        assert_eq!(pace.end(PATIENCE), Some(start + PATIENCE * ANSWER));
    }

    #[test]
    fn our_own_time_does_not_count() {
        let pace = Pace::new(Instant::now());
        let serving = pace.serve();
        pace.moved();
        assert_eq!((pace.end(PATIENCE), pace.stands_since()), (None, None));
        let before = Instant::now();
        drop(serving);
        assert!(pace.stands_since().unwrap() >= before);
    }
}
