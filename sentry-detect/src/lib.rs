//! The pure core: events and kernel counters in, findings and decisions out.
//!
//! No I/O, no clock, no task, no log: time is an argument, and every result is a value. The same inputs give the same
//! findings on the host that saw them, in a replay and in the collector.
//!
//! [`detector::RunDetector`] takes the events and counter readings of one run and returns findings;
//! [`decision::Decider`] turns findings into decisions.
#![forbid(unsafe_code)]

pub mod act;

pub mod event;

pub mod run;

mod fingerprint;

pub mod aggregate;

mod evidence;

pub mod runaway;

pub mod control;

pub mod completeness;

pub mod finding;

pub mod decision;

pub mod detector;
