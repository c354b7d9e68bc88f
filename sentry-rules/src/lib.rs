//! Rules that people write: read from YAML, checked, tested by their own cases, and judged event by
//! event. No I/O: texts and events in, mistakes and findings out.
//!
//! - [`kind`], [`field`]: what an event is called, and what of it a rule may ask for.
//! - `file`, `pattern`, `expression`, `rule`: a rule as typed → a rule that is checked.
//! - [`RuleSet`]: all rules of some files, or all that is wrong with them.
//! - [`Judge`]: the rules in one run: its windows, and what is newly found.
//! - [`trial`]: the cases that stand beside a rule, run.
//!
//! # Limits
//!
//! A file has at most 1 MiB, a set at most 256 rules, a rule at most 64 patterns of 1 KiB each. An
//! expression has at most 1,024 bytes and may touch at most 256 KiB of an event, by an estimate
//! that is made before it is taken; those of a set together 4 MiB. Patterns are matched in time
//! that is linear in the text. The windows of a run hold at most 1,024 events, 40 KiB.
#![forbid(unsafe_code)]

pub mod kind;

pub mod field;

mod time;

mod file;

mod pattern;

mod cost;

mod expression;

mod case;

mod tag;

mod rule;

mod set;

mod window;

mod judge;

pub mod trial;

pub use expression::EvalError;
pub use file::Verdict;
pub use judge::{Judge, MOST_AT_ONCE, Tally};
pub use rule::Rule;
pub use set::{Mistake, RuleSet, Source};

/// Most bytes of a file.
pub const MOST_FILE_BYTES: u64 = 1 << 20;
/// Most rules of a set.
pub const MOST_RULES: usize = 256;

/// A file of rules that says what can stand in one.
pub const EXAMPLE: &str = include_str!("example.yaml");
