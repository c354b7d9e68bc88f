//! A kernel in memory: processes, control groups, the programs' tables and the clock, for tests of
//! code that uses [`crate::kernel`].
//!
//! It does what the sensor relies on: a task that is moved into a watched group is tagged and
//! counted, its children inherit the tag, a frozen group makes no children, a killed one is empty,
//! a process that is stuck in the kernel neither stops nor ends. Time passes only when a test moves
//! it, or when something waits. Each call of the kernel can be made to fail: see [`World::fail`].

use std::sync::Arc;

use crate::kernel::Kernel;

mod calls;
mod state;
mod world;

mod acts;
mod groups;
mod processes;
mod programs;

pub use acts::Ring;
pub use calls::{Call, When};
pub use world::World;
use world::refused;

impl World {
    /// The kernel as the sensor gets it.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        Kernel {
            programs: Box::new(programs::FakePrograms::new(self.clone())),
            groups: Arc::new(groups::FakeGroups::new(self.clone())),
            processes: Arc::new(processes::FakeProcesses::new(self.clone())),
            clock: self.clock(),
        }
    }
}
