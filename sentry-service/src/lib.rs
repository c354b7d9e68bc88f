//! What the sensor and the collector share as daemons: their stages, notifications to systemd
//! (`sd_notify(3)`), its watchdog and credentials, the log, metrics, how a check of a
//! configuration answers, and how errors are written. Without systemd the notifications, the
//! watchdog and the credentials do nothing, or less.
#![forbid(unsafe_code)]

pub mod credential;

pub mod check;

pub mod completion;

mod error;

pub mod help;

pub mod identifier;

pub mod keys;

pub mod log;

pub mod metrics;

pub mod notify;

pub mod progress;

pub mod size;

pub mod stages;

pub mod style;

pub mod watchdog;

pub use error::error_chain;
