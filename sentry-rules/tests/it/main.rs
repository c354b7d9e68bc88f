//! Rules as people write them, from text to finding.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test may panic")]

mod example;
mod judge;
mod mistakes;
mod properties;
mod support;
