//! Windows: what a run did in a slice of time.
//!
//! Counter readings become [`window::Window`]s; events become tables over the newest slices of a
//! horizon.

pub mod counters;

pub mod window;

pub(crate) mod slices;

pub(crate) mod acts;

pub(crate) mod attempts;

pub(crate) mod changes;

pub(crate) mod commands;

pub(crate) mod made;

pub(crate) mod cores;

pub(crate) mod distinct;

pub(crate) mod failures;

pub mod holds;

pub(crate) mod lives;

pub(crate) mod samples;
