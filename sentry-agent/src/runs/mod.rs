//! Runs: their slots in the kernel's tables, their cgroups, their state.

pub mod run;

pub mod slots;

pub mod canary;

pub mod registry;

pub use registry::{Registry, RunError, Start};
pub use run::{Run, RunState};
