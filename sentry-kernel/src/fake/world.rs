//! The machine as a whole, and its time.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use aya::{maps::MapError, sys::SyscallError};
use parking_lot::{Mutex, MutexGuard};

use super::{Call, When, state::State};
use crate::{
    bpf::LoadError,
    clock::{Clock, Time},
};

/// Unix time of the machine's start. Not 0, so that no time in a test is 0.
const BOOTED_UNIX_NS: u64 = 1_700_000_000_000_000_000;
/// Time since boot when a test begins.
const UP_NS: u64 = 3_600_000_000_000;

type Act = Box<dyn FnOnce(&World) + Send>;

/// The whole machine. A copy is the same machine.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    /// Scheduled acts, each with its time since boot.
    later: Arc<Mutex<Vec<(u64, Act)>>>,
    /// [`Time::now`] when a test begins.
    began: Instant,
}

impl World {
    /// A machine on which nothing runs but pid 1 and the sensor.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(UP_NS))),
            later: Arc::new(Mutex::new(Vec::new())),
            began: Instant::now(),
        }
    }

    /// The machine's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::new(Arc::new(self.clone()))
    }

    /// Lets time pass. What is scheduled meanwhile happens at its time.
    pub fn advance(&self, time: Duration) {
        let end = self.state().boot_ns + nanos(time);
        loop {
            let Some(act) = self.next_due(end) else { break };
            act(self);
        }
        self.state().boot_ns = end;
    }

    /// Schedules something for when this much time has passed.
    pub fn after(&self, time: Duration, act: impl FnOnce(&Self) + Send + 'static) {
        let due = self.state().boot_ns + nanos(time);
        self.later.lock().push((due, Box::new(act)));
    }

    /// Makes a call of the kernel fail from now on.
    pub fn fail(&self, call: Call, when: When) {
        self.state().failures.insert(call, when);
    }

    /// How often each call was made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<Call, u64> {
        self.state().calls.clone()
    }

    /// The next scheduled act up to `end`; moves the time to it.
    fn next_due(&self, end: u64) -> Option<Act> {
        let mut later = self.later.lock();
        let next = (0..later.len()).min_by_key(|&index| later[index].0)?;
        if later[next].0 > end {
            return None;
        }
        let (due, act) = later.remove(next);
        let mut state = self.state();
        state.boot_ns = state.boot_ns.max(due);
        Some(act)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Counts a call. `None` if the call is to fail.
    pub(super) fn call(&self, call: Call) -> Option<MutexGuard<'_, State>> {
        let mut state = self.state();
        let ok = state.is_answered(call);
        ok.then_some(state)
    }

    /// The same for a call on the programs' tables.
    pub(super) fn table(&self, call: Call) -> Result<MutexGuard<'_, State>, LoadError> {
        self.call(call).ok_or_else(|| LoadError::Table {
            doing: "use",
            table: call.name(),
            source: Box::new(MapError::SyscallError(SyscallError { call: "bpf", io_error: refused() })),
        })
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Time for World {
    fn now(&self) -> Instant {
        self.began + Duration::from_nanos(self.boot_ns() - UP_NS)
    }

    fn boot_ns(&self) -> u64 {
        self.state().boot_ns
    }

    fn wall_ns(&self) -> u64 {
        BOOTED_UNIX_NS + self.boot_ns()
    }

    fn sleep(&self, time: Duration) {
        self.advance(time);
    }
}

/// The error of a call that was made to fail.
pub(super) fn refused() -> io::Error {
    io::Error::from_raw_os_error(nix::libc::EPERM)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
