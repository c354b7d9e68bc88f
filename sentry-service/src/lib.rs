//! What the sensor and the collector share as daemons: their stages, notifications to systemd
//! (`sd_notify(3)`), its watchdog and credentials, the log, keys of configuration files, and how
//! errors are written. Without systemd the notifications, the watchdog and the credentials do
//! nothing, or less.
#![forbid(unsafe_code)]

pub mod credential;

mod error;

pub mod identifier;

pub mod keys;

pub mod log;

pub mod notify;

pub mod progress;

pub mod stages;

pub mod watchdog;

pub use error::error_chain;
