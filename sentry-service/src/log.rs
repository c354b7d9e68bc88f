//! Where the log goes, and in which form.

use std::{io, os::fd::AsFd as _};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged where `RUST_LOG` is not set.
const DEFAULT: &str = "info";

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Into the journal, with priorities and fields, where standard error is connected to it; else
    /// text.
    #[default]
    Auto,
    /// Lines on standard error, in colour on a terminal.
    Text,
    /// JSON objects on standard error, one per line.
    Json,
}

/// Sends the log of this process to where `format` says. A log that is set up already stays.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new(DEFAULT));
    let journal = (format == Format::Auto && is_journal()).then(tracing_journald::layer);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let (layer, without_journal) = match (format, journal) {
        // Fields are found by their names, `RUN_ID=` for `run.id`, without the library's prefix.
        (_, Some(Ok(journal))) => (journal.with_field_prefix(None).boxed(), None),
        (Format::Json, _) => (lines.json().boxed(), None),
        (Format::Auto | Format::Text, journal) => {
            (lines.with_ansi(has_colours()).boxed(), journal.and_then(Result::err))
        }
    };
    let set = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    if let (Ok(()), Some(error)) = (set, without_journal) {
        tracing::warn!(%error, "cannot reach the journal; the log has lines without fields");
    }
}

/// Whether standard error is connected to the journal, as `JOURNAL_STREAM` says: a service whose
/// standard error was redirected since does not log into the journal.
fn is_journal() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let about = rustix::fs::fstat(io::stderr().as_fd()).ok();
    match (stream, about) {
        (Some(stream), Some(about)) => stream == format!("{}:{}", about.st_dev, about.st_ino),
        _ => false,
    }
}

fn has_colours() -> bool {
    io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}
