//! What is normal for each agent, kept over runs and sensor lives.
//!
//! - `shelf`: a file for each agent, written whole and durably.
//! - `agents`: those of live runs in memory, the others read when they are asked for.
//! - `limits`: whether a cgroup bounds what a run can use.
//! - `wire`: an agent's standing as others see it.

pub mod shelf;

pub mod agents;

pub mod limits;

mod wire;
