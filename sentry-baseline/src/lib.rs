//! What is normal for an agent, how far a window of a run departs from it, and how far the agent
//! can be trusted. Every number says what it was counted from.
//!
//! No I/O, no clock, no task, no log: time is an argument, and every result is a value.
//!
//! ```text
//! events  ─▶ Observed ─┐ parts
//! counters ─▶ Windows ─┴──▶ Deviation against Baseline ─▶ Standing ─▶ trust
//!                      └──▶ Baseline::absorb, of the agent     encode ─▶ a file
//! ```
//!
//! - `rate`: what is counted in a window. `distribution`: the counts of many windows.
//! - `kind`: what is remembered by name. `things`: the names of one agent.
//! - `transitions`: which program follows which.
//! - `observed`, `windows`: one run, in at most 32 KiB.
//! - `baseline`: one agent, in at most 256 KiB; what a run may move in it.
//! - `deviation`: a window held against a baseline. `drift`: many of them, each by little.
//! - `standing`, `trust`: what the score is made of, and the score.
//! - `encode`: the file of an agent.
#![forbid(unsafe_code)]

mod rate;

mod distribution;

mod kind;

mod things;

mod transitions;

mod observed;

mod windows;

mod posture;

mod trust;

mod standing;

mod baseline;

mod drift;

mod deviation;

mod encode;

pub use baseline::{Baseline, Bounds, Normal, RUN_SHARE, Share, Version};
pub use deviation::{Cause, Departure, Deviation, NO_BASELINE, Term, WINDOWS_ADDED_UP, Window};
pub use drift::Drift;
pub use encode::DecodeError;
pub use kind::Kind;
pub use observed::{Fresh, Observed, Part};
pub use posture::{FINDING_SORTS, FindingSort, NOT_LOOKED_AT, Posture};
pub use rate::{Counts, Rate};
pub use standing::{RunFacts, Standing};
pub use things::Use;
pub use trust::{Band, Facts, Point, Trust, trust};
pub use windows::{Closed, Windows};
