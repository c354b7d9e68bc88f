//! The pure core: events and kernel counters in, findings and decisions out.
//!
//! No I/O, no clock, no task, no log: time is an argument, and every result is a value. The same inputs give the same
//! findings on the host that saw them, in a replay and in the collector.
#![forbid(unsafe_code)]

pub mod event;

pub mod run;

pub mod aggregate;

pub mod runaway;

pub mod finding;

pub mod decision;

pub mod detector;
