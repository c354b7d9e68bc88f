//! Runs: their slots in the kernel's tables, their cgroups, their state.

mod before;

pub mod executed;

mod flows;

pub mod run;

pub mod slots;

pub mod canary;

mod container;

pub mod error;

pub mod bounded;

pub mod found;

mod lists;

mod moved;

pub mod name;

pub mod registry;

mod rest;

mod seed;

mod adopted;

pub mod candidates;

mod unseen;

pub use before::state;
pub use error::RunError;
pub use lists::Whose;
pub use registry::{Registry, Start};
pub use run::Run;
