//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, builder::styling};
use sentry_service::log::Format;

use super::exit;
use sentry_agent::config::{Flags, defaults};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// Watches AI agents from the kernel, stops runaways, proves what it saw and did.
#[derive(Debug, Parser)]
#[command(name = "sentry", version, styles = STYLES, after_help = exit::TABLE, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the sensor in the foreground.
    #[command(after_help = "\
Examples:
  sentry sensor
  sentry sensor --config ./sensor.yaml --log-format json
  sentry sensor --state-dir /tmp/s --socket /tmp/s/sensor.sock --collector unix:/tmp/s/feed.sock")]
    Sensor(SensorArgs),
    /// Runs a command under watch, as you, and reports what it did.
    #[command(after_help = "\
Examples:
  sentry run -- claude
  sentry run --enforce --name nightly -- codex exec 'fix the tests'
  sentry run --enforce --restart 2 --report=run.txt -- ./agent.sh

Without --enforce the sensor decides and records, but does not act. Standard input, output, terminal and exit code
are the command's own; the report goes to standard error.")]
    Run(RunArgs),
    /// Enters a run and becomes the command.
    #[command(hide = true)]
    Enter(EnterArgs),
    /// Watches an existing cgroup as an agent.
    #[command(after_help = "\
Examples:
  sentry tag system.slice/my-agent.service --name my-agent
  sentry tag /sys/fs/cgroup/user.slice/agents --name agents --enforce")]
    Tag(TagArgs),
    /// Ends the watch over a tagged cgroup; its processes go on.
    Untag(TargetArgs),
    /// Lists agents and their runs.
    Agents(AgentsArgs),
    /// Shows what runs did.
    #[command(after_help = "\
Examples:
  sentry events --limit 50
  sentry events --agent claude --follow
  sentry events --run 0199aa --json | jq .    # OCSF 1.9.0, one object per line")]
    Events(HistoryArgs),
    /// Shows what was found about runs.
    #[command(after_help = "\
Examples:
  sentry findings
  sentry findings --agent claude --follow
  sentry findings --json | jq '.finding_info.title'")]
    Findings(HistoryArgs),
    /// Shows how a finding or decision came about.
    #[command(after_help = "Example:\n  sentry explain 019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11-f-1")]
    Explain(ExplainArgs),
    /// Stops all processes of a run; `thaw` undoes it.
    #[command(after_help = "Example:\n  sentry freeze claude --reason 'looking into it'")]
    Freeze(ActArgs),
    /// Lets a frozen run go on.
    Thaw(ActArgs),
    /// Kills all processes of a run; cannot be undone.
    Kill(ActArgs),
    /// Shows the report of a run again.
    Report(ReportArgs),
    /// Works on the ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Says what this kernel lets the sensor see and refuse.
    Doctor(DoctorArgs),
    /// Says how the sensor is.
    #[command(after_help = "\
A canary process acts under watch, and each of its acts has to come back through the kernel's hooks. A hook that is silent is
named, and the exit code is 1. While runs exist the sensor does the same every few seconds.")]
    Health(HealthArgs),
    /// Works on the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints completions for a shell.
    #[command(after_help = "Example:\n  sentry completions bash > /etc/bash_completion.d/sentry")]
    Completions { shell: clap_complete::Shell },
    /// Shows it all on this host: a runaway is launched, found, frozen, killed and started again.
    #[command(after_help = "\
Needs root. Starts a collector and a sensor of its own in a scratch directory, touches nothing else, and cleans up.")]
    Demo,
    /// Writes what packages have beside the program into a directory.
    #[command(hide = true)]
    Packaging { dir: PathBuf },
    /// The demo's runaway.
    #[command(hide = true)]
    DemoAgent(DemoAgentArgs),
    /// The sensor's own check of its hooks.
    #[command(hide = true)]
    Canary {
        #[arg(long)]
        leaf: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// The sensor's control socket.
    #[arg(long, value_name = "PATH", env = "AGENTSENTRY_SOCKET", default_value = defaults::SOCKET)]
    pub(crate) socket: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SensorArgs {
    /// Configuration file; without it /etc/agentsentry/config.yaml is read if it exists.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Name of this sensor at the collector; in a cluster that of the node.
    #[arg(long, value_name = "ID", env = "AGENTSENTRY_SENSOR_ID")]
    pub(crate) sensor_id: Option<String>,
    /// Ledger, journal and keys.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Control socket to listen on.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Group whose members may use the socket; "" for root alone.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Where to stream to: http(s)://HOST:PORT, unix:/PATH or disabled.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) collector: Option<String>,
    /// The cluster's name for this host, where it is a node of Kubernetes.
    #[arg(long, value_name = "NAME", env = "AGENTSENTRY_NODE")]
    pub(crate) node: Option<String>,
    /// Form of the log on standard error; the level is set by RUST_LOG (default: info).
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: Format,
    /// The same as `--log-format json`.
    #[arg(long, hide = true, conflicts_with = "log_format")]
    pub(crate) log_json: bool,
}

impl SensorArgs {
    pub(crate) fn into_flags(self) -> Flags {
        Flags {
            config: self.config,
            sensor_id: self.sensor_id,
            state_dir: self.state_dir,
            socket: self.socket,
            group: self.group,
            collector: self.collector,
            node: self.node,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Name of the agent; by default the command's file name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Lets the sensor act: freeze and kill a runaway.
    #[arg(long)]
    pub(crate) enforce: bool,
    /// Starts the command again, up to this often, when the sensor killed it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) restart: u32,
    /// The report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes the report to FILE instead of standard error.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) report: Option<Option<PathBuf>>,
    /// No report and no notes on standard error.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct EnterArgs {
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// An existing cgroup: absolute, or relative to the cgroup v2 mount.
    pub(crate) cgroup: String,
    /// Name of the agent.
    #[arg(long)]
    pub(crate) name: String,
    /// Lets the sensor act on it.
    #[arg(long)]
    pub(crate) enforce: bool,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Run id, a unique beginning of one, or an agent with one live run.
    pub(crate) target: String,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// Ended runs too.
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON object per run.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Only of this agent.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only of this run: its id, or a unique beginning of it.
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Goes on with what happens from now on.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// At most this many of the newest; 0: all that is kept.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: u64,
    /// OCSF 1.9.0, one JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Id of a finding or a decision, as `sentry findings` shows it.
    pub(crate) id: String,
    /// JSON lines: the finding in OCSF, its events, decisions and outcomes.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// Run id, a unique beginning of one, or an agent with one live run.
    pub(crate) target: String,
    /// Why; stands in the ledger.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run id, or a unique beginning of one.
    pub(crate) run: String,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Loads and attaches everything for a moment instead: how long it takes, and the verifier's
    /// work for each program.
    #[arg(long)]
    pub(crate) programs: bool,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Only whether the sensor works at all, without a canary: nothing has ended or stands still.
    /// For a liveness probe.
    #[arg(long, conflicts_with = "ready")]
    pub(crate) live: bool,
    /// Only whether the sensor sees: it works, and the last canary came back. One is sent where
    /// none has. For a readiness probe; the collector has no part in it.
    #[arg(long)]
    pub(crate) ready: bool,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Proves that nothing in the ledger was changed, removed or added.
    Verify {
        /// Directory of the ledger.
        #[arg(long, value_name = "DIR", default_value = concat!("/var/lib/agentsentry", "/ledger"))]
        dir: PathBuf,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads the configuration and the keys and certificates that it names; says what was checked,
    /// or what is wrong and where.
    Check {
        /// Default: /etc/agentsentry/config.yaml. Where there is no such file the check ends with
        /// 66.
        file: Option<PathBuf>,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Prints a complete file with every default.
    Example,
    /// Has the sensor read its configuration again, and prints what that changed: agents, modes and
    /// thresholds, also for runs that are under way. One that is not valid changes nothing.
    #[command(after_help = "Needs root. Ends with 78 where the configuration is not valid.")]
    Reload {
        #[command(flatten)]
        socket: SocketArgs,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoAgentArgs {
    /// Where the demo keeps what it has to remember from one life to the next.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What a process of the runaway does.
    #[arg(long)]
    pub(crate) role: Option<DemoRole>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DemoRole {
    Spin,
    Wait,
}

#[cfg(test)]
mod tests;
