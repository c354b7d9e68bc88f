//! The sensor: the modules stand in the order the data flows.
//!
//! ```text
//! bpf (hooks) → ring → decode → enrich → detect → enforce → ledger → journal → export
//! ```

pub mod cli;

pub mod config;

pub mod cgroup;

pub mod bpf;

pub mod ring;

pub mod decode;

pub mod enrich;

pub mod enforce;

pub mod ledger;

pub mod journal;

pub mod export;

pub mod control;

pub mod app;
