//! What the sensor and the collector have to do with systemd: notifications (`sd_notify(3)`), the
//! watchdog, credentials and the log. Outside of systemd all of it does nothing, or less.

pub mod credential;

pub mod log;

pub mod notify;

pub mod progress;

pub mod watchdog;
