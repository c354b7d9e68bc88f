//! A mark by which a thread shows that it makes progress.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Since when a thread has been at one piece of work. The thread calls [`Progress::begin`] when it
/// takes one and [`Progress::rest`] when it waits for the next. A thread that never waits for work,
/// but looks at something again and again, calls `begin` on each turn.
#[derive(Debug)]
pub struct Progress {
    origin: Instant,
    /// Nanoseconds since `origin`, plus 1; 0 while the thread waits for work.
    since: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { origin: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl Progress {
    /// The thread takes a piece of work, or the next one.
    pub fn begin(&self) {
        self.begin_at(Instant::now());
    }

    /// The same at a given time, which is not before the value was made.
    pub fn begin_at(&self, now: Instant) {
        let since = now.saturating_duration_since(self.origin).as_nanos();
        self.since.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Relaxed);
    }

    /// The thread waits for work, for as long as it takes.
    pub fn rest(&self) {
        self.since.store(0, Relaxed);
    }

    /// How long the thread has been at what it does; zero while it waits for work.
    #[must_use]
    pub fn busy_for(&self, now: Instant) -> Duration {
        match self.since.load(Relaxed).checked_sub(1) {
            Some(since) => now.saturating_duration_since(self.origin + Duration::from_nanos(since)),
            None => Duration::ZERO,
        }
    }
}
