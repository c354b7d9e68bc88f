//! Scenarios: what an agent does and what must be seen of it, as data in `tests/scenarios/*.toml`.
//!
//! - `file`: what such a file says.
//! - `member`: the parts of an event that a file can ask for, by name.
//! - `stage`: the places, ports and peers that a scenario's placeholders stand for.
//! - `pattern`: whether an event is one that must be seen.
//! - `play`: one scenario from its start to its verdict.
//! - `rows`: what all of them together have to show.
//!
//! A new scenario is a new file; `tests/scenarios/README.md` says how to write one.

mod file;
mod member;
mod pattern;
mod play;
mod rows;
mod stage;

pub use file::{Scenario, pending, to_run};
pub use play::{Verdict, play};
pub use rows::{Row, rows};
pub use stage::Stage;
