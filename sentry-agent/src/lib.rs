//! The sensor: the modules stand in the order the data flows.
//!
//! ```text
//! sentry-kernel (hooks, rings, records) → enrich → detect → enforce → ledger → journal → export
//! ```
#![forbid(unsafe_code)]

mod agent_name;

pub mod container;

pub mod select;

pub mod config;

pub mod enrich;

pub mod digest;

pub mod runs;

pub mod learn;

pub mod enforce;

pub mod ledger;

pub mod journal;

pub mod export;

pub mod sink;

pub mod stage;

pub mod status;

pub mod control;

pub mod expose;

pub mod app;

#[cfg(test)]
mod spine;

pub use agent_name::{AgentName, NameError};

/// The running executable, also where its file was replaced by an upgrade meanwhile.
pub const OWN_IMAGE: &str = "/proc/self/exe";
