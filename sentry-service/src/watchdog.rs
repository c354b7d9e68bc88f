//! The watchdog of the service manager: it gets its beat only while every part makes progress.
//!
//! systemd ends a service that sends no `WATCHDOG=1` for `WatchdogSec=` and, with
//! `Restart=on-failure`, starts it again. A part that is stuck for longer than its limit keeps the
//! beat back. A part that waits for a disk is excused: a restart does not mend a disk, and what
//! waits in memory would be lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{notify, progress::Progress};

/// Longest time between two beats, whatever the service manager asks for.
const LONGEST: Duration = Duration::from_secs(1);
/// A piece of work at the disk that takes longer excuses the parts that wait for it.
const SLOW_DISK: Duration = Duration::from_secs(2);

/// Something that has to make progress.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: &'static str,
    pub progress: Arc<Progress>,
    /// Longest time that one piece of work may take.
    pub limit: Duration,
    /// The thread at the disk that this part may have to wait for.
    pub waits_for: Option<Arc<Progress>>,
}

/// A part that has been at one piece of work for longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    pub part: &'static str,
    pub busy_for: Duration,
}

/// Sends the beats, or logs why it does not.
#[derive(Debug)]
pub struct Watchdog {
    parts: Vec<Part>,
    /// What the service manager asks for; `None` without a watchdog.
    limit: Option<Duration>,
    stuck: Vec<Stuck>,
}

impl Watchdog {
    /// Reads from the environment what the service manager asks for.
    #[must_use]
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts, limit: sd_notify::watchdog_enabled(), stuck: Vec::new() }
    }

    /// Time between two beats: at most half of what the service manager waits for.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.limit.map_or(LONGEST, |limit| (limit / 2).clamp(Duration::from_millis(1), LONGEST))
    }

    /// Sends a beat, unless a part is stuck: then the log names it.
    pub fn beat(&mut self) {
        let stuck = stuck(&self.parts, Instant::now());
        if stuck.is_empty() {
            if !self.stuck.is_empty() {
                tracing::info!("every part makes progress again");
            }
            if self.limit.is_some() {
                notify::alive();
            }
        }
        let is_new = |one: &&Stuck| !self.stuck.iter().any(|known| known.part == one.part);
        for Stuck { part, busy_for } in stuck.iter().filter(is_new) {
            tracing::error!(
                stage = part,
                busy_s = busy_for.as_secs(),
                "stage makes no progress; the watchdog gets no beat until it does"
            );
        }
        self.stuck = stuck;
    }
}

/// The parts that are stuck.
#[must_use]
pub fn stuck(parts: &[Part], now: Instant) -> Vec<Stuck> {
    let excused = |part: &Part| part.waits_for.as_ref().is_some_and(|disk| disk.busy_for(now) > SLOW_DISK);
    let of = |part: &Part| Stuck { part: part.name, busy_for: part.progress.busy_for(now) };
    let late = parts.iter().filter(|part| part.progress.busy_for(now) > part.limit && !excused(part));
    late.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn part(name: &'static str, waits_for: Option<&Arc<Progress>>) -> Part {
        Part { name, progress: Arc::default(), limit: LIMIT, waits_for: waits_for.cloned() }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_part_is_stuck_when_one_piece_of_work_takes_longer_than_its_limit() {
        let parts = [part("watch", None), part("act", None)];
        let start = Instant::now();
        parts[0].progress.begin_at(start);
        assert_eq!(stuck(&parts, start + LIMIT), []);
        let late = start + LIMIT + seconds(1);
        assert_eq!(stuck(&parts, late), [Stuck { part: "watch", busy_for: seconds(61) }]);
        parts[0].progress.begin_at(late);
        assert_eq!(stuck(&parts, late + LIMIT), []);
    }

    #[test]
    fn a_part_that_waits_for_work_is_never_stuck() {
        let parts = [part("act", None)];
        let start = Instant::now();
        parts[0].progress.begin_at(start);
        parts[0].progress.rest();
        assert_eq!(stuck(&parts, start + seconds(86_400)), []);
    }

    #[test]
    fn who_waits_for_a_slow_disk_is_excused_while_it_is_slow() {
        let disk = Arc::<Progress>::default();
        let parts = [part("act", Some(&disk)), part("watch", None)];
        let start = Instant::now();
        for part in &parts {
            part.progress.begin_at(start);
        }
        disk.begin_at(start);
        let late = start + seconds(100);
        let of = |part| Stuck { part, busy_for: seconds(100) };
        assert_eq!(stuck(&parts, late), [of("watch")]);
        // The disk answers, and the part does not go on.
        disk.begin_at(late);
        assert_eq!(stuck(&parts, late), [of("act"), of("watch")]);
    }

    #[test]
    fn beats_come_twice_within_what_the_service_manager_waits() {
        let period = |limit| Watchdog { parts: Vec::new(), limit, stuck: Vec::new() }.period();
        assert_eq!(period(Some(Duration::from_millis(600))), Duration::from_millis(300));
        assert_eq!(period(Some(seconds(30))), seconds(1));
        assert_eq!(period(None), seconds(1));
    }
}
