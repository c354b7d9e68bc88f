//! Arguments of the commands that only read what runs did.

use std::path::PathBuf;

use clap::Args;

use super::socket::AskArgs;

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("OCSF 1.9.0, one JSON object per line")))]
pub(crate) struct HistoryArgs {
    /// Only of this agent.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only of this run: its id, or a unique beginning of it.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Keep following what happens from now on.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// At most this many of the newest; 0: all that is kept.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) history: HistoryArgs,
    /// Not before: 10m (ago), today, 14:30, or RFC 3339; UTC where there is no zone.
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Not after; written as for --since.
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<String>,
    /// Only of these types, as the list calls them, or acts such as chmod; several by commas.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only about these paths: a glob, ~/ for any home, a name without a slash for any folder.
    #[arg(long, value_name = "GLOB")]
    pub(crate) path: Vec<String>,
    /// Only to or from these: address, network, address:port, port, or a name.
    #[arg(long, value_name = "DEST")]
    pub(crate) dest: Vec<String>,
    /// Only by programs of these paths or names.
    #[arg(long, value_name = "GLOB")]
    pub(crate) exe: Vec<String>,
    /// Only by this process.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Only by this process and its descendants; needs --run.
    #[arg(long, value_name = "PID", requires = "run")]
    pub(crate) tree: Option<u32>,
    /// Only of this call, as `sentry report` numbers it; needs --run.
    #[arg(long, value_name = "N", requires = "run")]
    pub(crate) call: Option<u32>,
    /// Only by processes of this user: a name or a uid.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Vec<String>,
    /// Leave out libraries and what programs read to start.
    #[arg(long)]
    pub(crate) no_libs: bool,
    /// Form of the list.
    #[arg(long, value_enum, default_value_t, conflicts_with = "json")]
    pub(crate) format: EventFormat,
}

/// Form of a list of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum EventFormat {
    /// A line per event.
    #[default]
    Compact,
    /// With date, id, user and parent; the id begins with that of the run.
    Long,
    /// OCSF, one object per line; the same as `--json`.
    Json,
    /// Comma-separated values with a head (RFC 4180).
    Csv,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("JSON lines: the finding in OCSF, its cause, events, decisions and \
    outcomes; of an event one object")))]
pub(crate) struct ExplainArgs {
    /// Id of a finding, a decision or an event, or a unique beginning of one; a run or an agent, of
    /// which the newest finding is meant; by default the newest finding.
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run id, or a unique beginning of one; by default the newest run.
    pub(crate) run: Option<String>,
    /// Each call with its whole command, its programs and the files that it read.
    #[arg(long)]
    pub(crate) calls: bool,
    /// Everything: no list is folded or cut.
    #[arg(long)]
    pub(crate) all: bool,
    /// The processes as a tree too.
    #[arg(long)]
    pub(crate) tree: bool,
    /// One page for a browser, with everything in it.
    #[arg(long, conflicts_with = "json")]
    pub(crate) html: bool,
    /// GitHub-flavoured Markdown, with everything in it.
    #[arg(long, conflicts_with_all = ["json", "html"])]
    pub(crate) markdown: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("The report as JSON, with `activity.processes`")))]
pub(crate) struct TreeArgs {
    /// Run id, or a unique beginning of one; by default the newest run.
    pub(crate) run: Option<String>,
    /// Equal processes side by side are not folded, commands not cut.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Run to compare with: its id, or a unique beginning of it.
    pub(crate) base: String,
    /// Run that is looked at; by default the newest one.
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("What was written, as JSON")))]
pub(crate) struct ExportArgs {
    /// Run id, a unique beginning of one, or an agent, of which the newest run is meant; by default
    /// the newest run.
    pub(crate) run: Option<String>,
    /// File to write, such as run.tar.zst; - for standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Archive that `sentry export` made; - for standard input.
    pub(crate) file: PathBuf,
    /// Ledger that has to have the archive, instead of that of the sensor on this host.
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(mut_arg("json", |json| json.help("One JSON object per run")))]
pub(crate) struct AgentsArgs {
    /// Ended runs too.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}
