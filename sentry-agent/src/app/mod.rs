//! The sensor: build everything that can fail, run the stages, drain them in the order of the flow.

pub mod status;

pub mod canary;

mod export;

pub(crate) mod recover;

mod reload;

pub(crate) mod books;

mod reserve;

mod watchdog;

pub mod sensor;

pub use sensor::{AppError, STATE_FORMAT, run_sensor};
