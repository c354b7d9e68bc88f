//! What the sensor says of itself: whether its stages make progress, what a canary showed, and what
//! keeps it from its work.

pub mod canary;

pub mod watchdog;

pub mod board;

pub mod metrics;
