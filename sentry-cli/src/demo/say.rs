//! What the demo prints of its story.

use super::super::{
    error::CliError,
    exit::Exit,
    out,
    render::{GREEN, RED, paint},
};

/// Says that something happened, or that it did not.
pub(super) fn step(happened: Option<String>, otherwise: &str) -> Result<bool, CliError> {
    match happened {
        Some(text) => say(&format!("  {} {text}", paint(GREEN, "✓"))).map(|()| true),
        None => say(&format!("  {} {otherwise}", paint(RED, "✗"))).map(|()| false),
    }
}

pub(super) fn say(line: &str) -> Result<(), CliError> {
    out::print(&format!("{line}\n"))
}

pub(super) fn failure(what: &str) -> CliError {
    CliError::Other { what: format!("the demo failed: {what}"), exit: Exit::Failure }
}
