//! `--leftovers` of `sentry run`.

use clap::ValueEnum;

/// What becomes of processes that outlive the command of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Leftovers {
    /// They live on, and are still watched.
    Keep,
    /// Asks whether they are to be killed.
    Ask,
    /// They are killed.
    Kill,
}
