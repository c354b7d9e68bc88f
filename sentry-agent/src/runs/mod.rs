//! Runs: their slots in the kernel's tables, their cgroups, their state.

mod flows;

pub mod run;

pub mod slots;

pub mod registry;

pub use registry::{Registry, RunError, Start};
pub use run::{Run, RunState};
