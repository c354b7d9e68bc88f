//! Runs: their slots in the kernel's tables, their cgroups, their state.
//!
//! - `run`: one run; `life`: what changes in it. `before`, `executed`, `flows`, `mode`, `moved`,
//!   `reading`, `seen`, `container`: what it knows.
//! - `wire`: a run as others see it.
//! - `lists`, `slots`, `candidates`, `canary`: what the registry keeps.
//! - `registry`: all of them, with the kernel's tables; what can be asked of it.
//! - `begin`, `follow`, `end`: the life of a run. `adopted`, `found`: what an earlier sensor life
//!   left.
//! - `reserve`: cgroups that may be an agent's. `rest`, `seed`, `unseen`, `flight`: upkeep.

mod share;

pub mod error;

pub mod name;

pub mod bounded;

pub mod executed;

mod flows;

mod mode;

mod reading;

mod moved;

mod seen;

mod before;

mod life;

mod container;

pub mod run;

mod wire;

pub mod slots;

mod lists;

pub mod canary;

pub mod candidates;

pub mod registry;

mod rest;

mod seed;

mod end;

mod follow;

mod begin;

mod adopted;

pub mod found;

mod reserve;

mod unseen;

mod flight;

pub use begin::Start;
pub use error::RunError;
pub use lists::Whose;
pub use mode::DISCOVERED;
pub use registry::Registry;
pub use run::Run;
pub use seen::Seen;
pub use share::NEVER_ENTERED;
pub use wire::state;
