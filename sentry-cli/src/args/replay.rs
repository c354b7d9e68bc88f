//! Arguments of the commands that record a run and judge it again.

use std::path::PathBuf;

use clap::Args;

use super::socket::AskArgs;

pub(crate) const RECORD_HELP: &str = "\
Examples:
  sentry record 0199aa run.rec
  sentry record claude - | ssh host 'cat > run.rec'
  sentry replay run.rec

One file with everything that the run was judged by: its events, the readings of its counters, the limits that
held and what was done to it. A run that lives is recorded up to now. The file has paths, commands and
destinations of the run; it is readable by you alone.";

pub(crate) const REPLAY_HELP: &str = "\
Examples:
  sentry replay run.rec                          # what was found and decided, again
  sentry replay run.rec --limits strict.yaml     # and what other limits would have found
  sentry replay run.rec --rules own.yaml         # and what rules of your own would have found
  sentry replay run.rec --limits new.yaml --fail-on high

Needs no sensor and no root. By the limits of then, findings and decisions are byte for byte what the sensor
had made, also what rules of your own found. By others, nothing is done: each decision counts as if it had been
done, and the run goes on as it did.

Exit codes:
  0  the same as then; with --fail-on: nothing of that severity, or above it, is found
  2  not the same as then; with --fail-on: something is
  66 the file cannot be read, or is no recording";

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("What was written, as JSON")))]
pub(crate) struct RecordArgs {
    /// Run id, a unique beginning of one, or an agent, of which the newest run is meant.
    pub(crate) run: String,
    /// File to write, such as run.rec; - for standard output.
    pub(crate) file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Recording that `sentry record` made; - for standard input.
    pub(crate) file: PathBuf,
    /// Configuration of a sensor whose limits hold instead of those of then.
    #[arg(long, value_name = "CONFIG")]
    pub(crate) limits: Option<PathBuf>,
    /// Rules of your own that hold instead of those of then: files, or directories of files.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) rules: Vec<PathBuf>,
    /// Exit code 2 where a finding of this severity, or above it, is made.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<FailOn>,
    /// A JSON object per finding and decision, then one with the sums.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A severity to fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FailOn {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}
