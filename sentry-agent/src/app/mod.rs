//! The sensor: build everything that can fail, run the stages, drain them in the order of the flow.

mod error;

mod export;

pub(crate) mod recover;

mod reload;

pub(crate) mod books;

mod reserve;

mod threads;

mod doors;

pub mod sensor;

pub use error::AppError;
pub use sensor::{STATE_FORMAT, run_sensor};
