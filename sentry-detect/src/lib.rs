//! The pure core: events and kernel counters in, findings and decisions out.
//!
//! No I/O, no clock, no task, no log: time is an argument, and every result is a value. The same
//! inputs give the same findings on the host that saw them, in a replay and in the collector.
//!
//! [`run::RunMachine`] is one run: it takes events, readings, outcomes and orders, and returns
//! findings and decisions. Within it, [`detector::RunDetector`] finds and [`run::fate::Fate`]
//! decides.
#![forbid(unsafe_code)]

pub mod act;

pub mod identity;

pub mod event;

mod fingerprint;

pub mod needles;

pub mod completeness;

pub mod aggregate;

mod evidence;

pub mod runaway;

pub mod sensitive;

pub mod agents;

pub mod rule;

pub mod finding;

pub mod decision;

pub mod detector;

pub mod run;
