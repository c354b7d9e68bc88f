//! Processes that can be held and signalled.

use std::io;

use sentry_detect::run::{Holds, ProcessKey};

use super::{Call, World, refused};
use crate::kernel::{HeldProcess, Processes, Signal};

pub(super) struct FakeProcesses(World);

impl FakeProcesses {
    pub(super) fn new(world: World) -> Self {
        Self(world)
    }

    fn is_there(&self, key: ProcessKey) -> bool {
        self.0.key(key.tgid) == Some(key)
    }
}

struct Held {
    world: World,
    key: ProcessKey,
}

impl Processes for FakeProcesses {
    fn hold(&self, key: ProcessKey) -> Option<Box<dyn HeldProcess>> {
        drop(self.0.call(Call::Hold)?);
        self.is_there(key).then(|| Box::new(Held { world: self.0.clone(), key }) as Box<dyn HeldProcess>)
    }

    fn is_alive(&self, key: ProcessKey) -> bool {
        self.0.call(Call::IsAlive).is_some() && self.is_there(key)
    }

    fn is_gone(&self, key: ProcessKey) -> bool {
        self.0.call(Call::IsGone).is_some() && !self.is_there(key)
    }

    fn is_stopped(&self, key: ProcessKey) -> bool {
        let Some(state) = self.0.call(Call::IsStopped) else { return false };
        let process = state.processes.get(&key.tgid);
        process.is_none_or(|process| process.start_boot_ns != key.start_boot_ns || process.is_stopped)
    }

    fn moved_bytes(&self, pid: u32) -> u64 {
        let state = self.0.call(Call::MovedBytes);
        state.and_then(|state| state.processes.get(&pid).map(|process| process.moved_bytes)).unwrap_or(0)
    }

    fn holds(&self, pid: u32) -> Holds {
        let state = self.0.call(Call::Holds);
        let process = state.as_ref().and_then(|state| state.processes.get(&pid));
        process.map_or_else(Holds::default, |process| process.holds)
    }
}

impl HeldProcess for Held {
    fn key(&self) -> ProcessKey {
        self.key
    }

    fn is_kernel_thread(&self) -> bool {
        let state = self.world.state();
        state.processes.get(&self.key.tgid).is_some_and(|process| process.is_kernel_thread)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut state = self.world.call(Call::Signal).ok_or_else(refused)?;
        let Some(process) = state.processes.get_mut(&self.key.tgid) else { return Ok(()) };
        if process.is_stuck || process.start_boot_ns != self.key.start_boot_ns {
            return Ok(());
        }
        match signal {
            Signal::Stop => process.is_stopped = true,
            Signal::Continue => process.is_stopped = false,
            Signal::Kill => state.end_process(self.key.tgid),
        }
        Ok(())
    }
}
