//! Arguments of `sentry rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Check rules of your own: print those that are valid, or all that is wrong and where.
    #[command(after_help = "\
Examples:
  sentry rules check /etc/agentsentry/rules.d
  sentry rules check own.yaml more.yaml --json

Of a directory, the files that end in .yaml are meant. Needs no sensor.

Exit codes:
  0  all rules are valid
  66 a file cannot be read
  78 something is wrong: each mistake is a line with its file, line and column")]
    Check(RulesArgs),
    /// Run the cases that stand beside each rule.
    #[command(after_help = "\
Examples:
  sentry rules test own.yaml
  sentry rules test /etc/agentsentry/rules.d --json | jq 'select(.passed == false)'

A case is an event, and the verdict that its rule has to have on it. Needs no sensor.

Exit codes:
  0  every case is as expected
  2  a case is not
  66 a file cannot be read
  78 something is wrong with the rules, as `sentry rules check` says")]
    Test(RulesArgs),
    /// Print a file of rules that says what can stand in one.
    #[command(after_help = "\
Example:
  sentry rules example > own.yaml && sentry rules test own.yaml")]
    Example,
    /// List the types of events, and the fields that a rule can ask for.
    #[command(after_help = "\
Examples:
  sentry rules fields
  sentry rules fields --json | jq -r 'select(.types == [] or (.types | index(\"exec\"))) | .field'")]
    Fields {
        /// A JSON object per field.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// Files, or directories of files.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}
