//! The sensor: build everything that can fail, run the stages, drain them in the order of the flow.

pub mod status;

pub mod canary;

pub mod notify;

mod export;

mod recover;

mod books;
mod reserve;

pub mod sensor;

pub use sensor::{AppError, STATE_FORMAT, run_sensor};
