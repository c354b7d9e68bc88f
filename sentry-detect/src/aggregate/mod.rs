//! Windows: what a run did in a slice of time.

pub mod counters;

pub mod window;
