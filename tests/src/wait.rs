//! Waiting for conditions, and how much a test does on this machine.

use std::time::{Duration, Instant};

/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An emulated machine.
#[must_use]
pub fn slow() -> bool {
    std::env::var_os("AGENTSENTRY_SLOW").is_some_and(|value| value == "1")
}

/// Everything the acceptance asks for, however long it takes.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("AGENTSENTRY_LONG").is_some_and(|value| value == "1")
}

/// How often something is done: in the suite, in the suite on an emulated machine, with
/// `AGENTSENTRY_LONG=1`.
#[must_use]
pub fn rounds(suite: u32, slow_machine: u32, all: u32) -> u32 {
    if long() {
        all
    } else if slow() {
        slow_machine
    } else {
        suite
    }
}

/// The longest a condition may take: far beyond what it takes when nothing is wrong.
#[must_use]
pub fn patience() -> Duration {
    let seconds = match (long(), slow()) {
        (true, _) => 300,
        // The host has others to serve, too.
        (false, true) => 300,
        (false, false) => 30,
    };
    Duration::from_secs(seconds)
}

/// Looks until the answer is `Ok`.
///
/// # Panics
/// When patience is over, with the last answer.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    until_within(patience(), what, look)
}

/// [`until`] with a deadline of its own.
///
/// # Panics
/// When the time is over, with the last answer.
pub fn until_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= end => panic!("not within {limit:?}: {what}; last: {last}"),
            Err(_not_yet) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Waits until a file is there and not empty; its text.
///
/// # Panics
/// When patience is over.
#[must_use]
pub fn file(path: &std::path::Path) -> String {
    until(&format!("{} is written", path.display()), || match std::fs::read_to_string(path) {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => Err("it is empty".into()),
        Err(error) => Err(error.to_string()),
    })
}

/// Counts how often a thread that sleeps for a moment gets its turn: whether the machine still
/// answers.
pub struct Heartbeat {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Pulse>,
}

/// What a [`Heartbeat`] counted.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    pub beats: u32,
    pub longest_gap: Duration,
    pub took: Duration,
}

impl Heartbeat {
    #[must_use]
    pub fn start() -> Self {
        use std::sync::atomic::{AtomicBool, Ordering};
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let (mut last, mut beats, mut longest_gap) = (start, 0, Duration::ZERO);
            while !seen.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(50));
                let now = Instant::now();
                longest_gap = longest_gap.max(now - last);
                (last, beats) = (now, beats + 1);
            }
            Pulse { beats, longest_gap, took: start.elapsed() }
        });
        Self { stop, thread }
    }

    /// # Panics
    /// When the thread did.
    #[must_use]
    pub fn stop(self) -> Pulse {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        self.thread.join().unwrap()
    }
}
