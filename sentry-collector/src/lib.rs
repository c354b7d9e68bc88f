//! The collector: an unprivileged server that takes what sensors report, stores each item exactly
//! once and answers questions about it. The modules stand in the order the data flows.
//!
//! ```text
//! gRPC Feed → ingest (prove, check) → store (refuse holes, commit, then acknowledge) → api (pages, JSON)
//! ```
//!
//! Limits: messages of 4 MiB, 64 MiB of items in flight over all streams, one live stream per
//! sensor, HTTP bodies of 16 KiB, pages of 1000 items. Every refusal names what was refused and
//! why. Nobody reads or commands without a key.
#![forbid(unsafe_code)]

pub mod cli;

pub mod http_name;

pub mod exit;

mod table;

pub mod pki;

pub mod tls;

mod feed;

pub mod metrics;

pub mod store;

pub mod ingest;

pub mod config;

pub mod access;

pub mod api;

pub mod admin;

pub mod once;

pub mod app;
