//! The command line.

mod socket;

mod read;

mod replay;

mod config;

mod leftovers;

mod rules;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use sentry_service::{log::Format, style};

pub(crate) use config::{ConfigCheckArgs, ConfigCommand};
pub(crate) use leftovers::Leftovers;
pub(crate) use read::{
    AgentsArgs, DiffArgs, EventFormat, EventsArgs, ExplainArgs, ExportArgs, HistoryArgs, ReportArgs,
    TreeArgs, VerifyArgs,
};
pub(crate) use replay::{FailOn, RecordArgs, ReplayArgs};
pub(crate) use rules::{RulesArgs, RulesCommand};
pub(crate) use socket::{AskArgs, SocketArgs};

use super::exit;
use sentry_agent::config::Flags;

/// Watches AI agents from the kernel, stops runaways, proves what it saw and did.
#[derive(Debug, Parser)]
#[command(name = "sentry", version, styles = style::STYLES, after_help = exit::TABLE, max_term_width = style::WIDTH)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the sensor in the foreground.
    #[command(after_help = "\
Examples:
  sentry sensor
  sentry sensor --config ./sensor.yaml --log-format json
  sentry sensor --state-dir /tmp/s --socket /tmp/s/sensor.sock --collector unix:/tmp/s/feed.sock

Needs root. A flag goes before the same key of the configuration file; `sentry config example` has the
defaults. Installed from a package it is a service: `systemctl start agentsentry`.")]
    Sensor(SensorArgs),
    /// Run a command under watch, as you, and report what it did.
    #[command(after_help = "\
Examples:
  sentry run claude
  sentry run --enforce --name nightly codex exec 'fix the tests'
  sentry run --enforce --restart 2 --report=run.txt -- ./agent.sh -v

Options stand before the command. Without --enforce the sensor decides and records, but does not act. Standard
input, output, terminal and exit code are the command's own; the report goes to standard error.

Exit codes: those of the command, or
  125  sentry itself failed: the command was not started, or not waited for
  126  the command cannot be executed
  127  there is no such command")]
    Run(RunArgs),
    /// Enter a run and become the command.
    #[command(hide = true)]
    Enter(EnterArgs),
    /// Watch an existing cgroup as an agent.
    #[command(after_help = "\
Examples:
  sentry tag system.slice/my-agent.service --name my-agent
  sentry tag /sys/fs/cgroup/user.slice/agents --name agents --enforce

Needs root. All processes in the cgroup and below it are watched until `sentry untag`, also those to come.")]
    Tag(TagArgs),
    /// End the watch over a tagged cgroup; its processes go on.
    #[command(after_help = "\
Example:
  sentry untag my-agent

Needs root. Prints the report of the run.")]
    Untag(TargetArgs),
    /// List agents and their runs.
    #[command(after_help = "\
Examples:
  sentry agents
  sentry agents --all
  sentry agents --all --json | jq -r '.id'")]
    Agents(AgentsArgs),
    /// Show what runs did, event by event.
    #[command(after_help = "\
Examples:
  sentry events --since 10m --path '~/.aws/*'              # who opened it, newest run or not
  sentry events --run 0199aa --type exec,connect --no-libs
  sentry events --dest 169.254.169.254                     # address, network, port or name
  sentry events --run 0199aa --call 3 --format long
  sentry events --agent claude --follow
  sentry events --run 0199aa --json | jq .    # OCSF 1.9.0, one object per line")]
    Events(EventsArgs),
    /// Show the runs live in the terminal, with keys to freeze, thaw and kill them.
    #[command(after_help = "\
Examples:
  sentry top
  sentry top --every 5              # over a slow line

Arrows select a run; f freezes it, t thaws it, K kills it, e shows what was found about it, r its report, ? all \
keys.
Rates are acts per second by the kernel's counters. Works from 80x24 on and over ssh; NO_COLOR is respected.")]
    Top(TopArgs),
    /// Show what was found about runs.
    #[command(after_help = "\
Examples:
  sentry findings
  sentry findings --agent claude --follow
  sentry findings --json | jq '.finding_info.title'")]
    Findings(HistoryArgs),
    /// Show how a finding, a decision or the trust in an agent came about, or what an event belongs
    /// to.
    #[command(after_help = "\
Examples:
  sentry explain                    # the newest finding
  sentry explain 019a2f3c-7a10      # the newest finding of a run: a unique beginning of its id is enough
  sentry explain claude             # the newest finding of an agent, and the trust in it
  sentry explain 019a2f3c-7a10-f-1  # a finding
  sentry explain 019a2f3c-7a10-b-8  # an event: who did it, and in which call

`sentry findings` shows the ids of findings, `sentry events --format long` those of events.")]
    Explain(ExplainArgs),
    /// Stop all processes of a run; `thaw` undoes it.
    #[command(after_help = "\
Examples:
  sentry freeze claude --reason 'looking into it'
  sentry freeze 0199aa

A run of your own; root may freeze any. Works in observe mode too: you ask, and not the sensor.")]
    Freeze(ActArgs),
    /// Let a frozen run go on.
    #[command(after_help = "\
Example:
  sentry thaw claude --reason 'looked harmless'

A run of your own; root may thaw any.")]
    Thaw(ActArgs),
    /// Kill all processes of a run; this cannot be undone.
    #[command(after_help = "\
Example:
  sentry kill 0199aa --reason 'deletes the wrong files'

A run of your own; root may kill any. Ends with 2 if a process survived.")]
    Kill(ActArgs),
    /// Report what a run did: how it ended, what it changed, ran, read and reached.
    #[command(after_help = "\
Examples:
  sentry report                     # of the newest run
  sentry report 0199aa --calls      # each call with its programs and files
  sentry report 0199aa --html > report.html
  sentry report 0199aa --json | jq '.activity.calls[].command'

Changed files are marked as `git status` does: A added, M modified, D deleted, R renamed; W written, where it
is not known whether the file was there before.")]
    Report(ReportArgs),
    /// Show the processes of a run as a tree.
    #[command(after_help = "\
Examples:
  sentry tree                       # of the newest run
  sentry tree 0199aa --all          # equal processes side by side are not folded

A number in brackets is the call that a process belongs to, as in the report.")]
    Tree(TreeArgs),
    /// Show what one run did that another did not.
    #[command(after_help = "\
Examples:
  sentry diff 0199aa 0199bb         # what 0199bb did and 0199aa did not
  sentry diff 0199aa 0199bb --json")]
    Diff(DiffArgs),
    /// Write all that is known of a run into one file, which the ledger vouches for.
    #[command(after_help = "\
Examples:
  sentry export -o run.tar.zst                # of the newest run
  sentry export 0199aa -o - | ssh host 'cat > run.tar.zst'
  sentry verify run.tar.zst

Report, events, findings, decisions and outcomes, the ledger from the run's first entry on, and the state of the
sensor. The ledger's part names other runs too, where they began or ended meanwhile. The file is readable by you
alone, and replaces one of that name only when all of it is written.")]
    Export(ExportArgs),
    /// Write a run, with all that it was judged by, into a file.
    #[command(after_help = replay::RECORD_HELP)]
    Record(RecordArgs),
    /// Judge a recorded run again, by the limits of then or by others.
    #[command(after_help = replay::REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Prove that an archive is as it was exported.
    #[command(after_help = "\
Examples:
  sentry verify run.tar.zst
  sentry verify run.tar.zst --ledger /var/lib/agentsentry/ledger
  sentry verify - --json < run.tar.zst

Needs no sensor. Where one is reachable, or --ledger names a ledger, it says too whether the archive is the one
that was exported there; else anybody could have made it who has the run's data and a key.

Exit codes:
  0  as it was exported; where a ledger could be asked, it has the archive
  1  as it was exported, but no ledger vouches for it: the one of --ledger is another one, or none of its
     entries is about the run
  2  not as it was exported, or the ledger does not have it")]
    Verify(VerifyArgs),
    /// Verify the ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Show what this kernel lets the sensor see and refuse.
    #[command(after_help = "\
Examples:
  sentry doctor
  sentry doctor --json | jq .tier

Needs root, and no sensor.")]
    Doctor(DoctorArgs),
    /// Show sensor health.
    #[command(after_help = "\
Examples:
  sentry health
  sentry health --live --json

A canary process acts under watch, and each of its acts has to come back through the kernel's hooks. A hook
that is silent is named, and the exit code is 1. While runs exist the sensor does the same every few seconds.

The exit code is 1, too, where a collector is configured and there is no stream to it, or an item has waited
for more than ten seconds for its acknowledgement: since when, and why, is shown.")]
    Health(HealthArgs),
    /// Show the sensor's metrics, in OpenMetrics text.
    #[command(after_help = "\
Examples:
  sentry metrics
  sentry metrics | grep feed_
  sentry metrics --json | jq '.families[] | select(.name | endswith(\"findings_total\")).samples'

Scrapers get the same at a unix socket or in a file for node_exporter: `metrics` in the configuration.
docs/metrics.md says what each means.")]
    Metrics(MetricsArgs),
    /// Check the configuration, print an example, or have the sensor read it again.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check and test rules of your own.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Print completions for a shell.
    #[command(after_help = "\
Examples:
  source <(sentry completions bash)     # in ~/.bashrc
  source <(sentry completions zsh)      # in ~/.zshrc, behind compinit
  sentry completions fish | source      # in ~/.config/fish/config.fish

They offer runs, agents and findings too: the shell asks `sentry`, and it asks the sensor. The packages install
them for bash, zsh and fish.")]
    Completions { shell: clap_complete::Shell },
    /// Run a demo on this host: a runaway is launched, found, frozen, killed and started again.
    #[command(after_help = "\
Needs root. Starts a collector and a sensor of its own in a scratch directory, touches nothing else, and
cleans up.")]
    Demo,
    /// Write what packages have beside the program into a directory.
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
pub(crate) struct SensorArgs {
    /// Configuration file; without it /etc/agentsentry/config.yaml is read if it exists.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Name of this sensor at the collector, in a cluster that of the node; default: the host's
    /// name and a digest of its machine id.
    #[arg(long, value_name = "ID", env = "AGENTSENTRY_SENSOR_ID")]
    pub(crate) sensor_id: Option<String>,
    /// Directory of ledger, journal and keys; default: /var/lib/agentsentry.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Control socket to listen on; default: /run/agentsentry/sensor.sock.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Group whose members may use the socket, "" for root alone; default: agentsentry.
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
    /// Let the sensor act: freeze and kill a runaway.
    #[arg(long)]
    pub(crate) enforce: bool,
    /// Start the command again when the sensor killed it, at most N times.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) restart: u32,
    /// What becomes of processes that outlive the command; `ask` needs a terminal.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Leftovers::Keep)]
    pub(crate) leftovers: Leftovers,
    /// The report as JSON, on standard error or in the file of --report.
    #[arg(long)]
    pub(crate) json: bool,
    /// Append the report to FILE instead of writing it to standard error.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) report: Option<Option<PathBuf>>,
    /// No report and no notes on standard error.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "CMD")]
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
    /// Let the sensor act on it.
    #[arg(long)]
    pub(crate) enforce: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Run id, a unique beginning of one, or an agent with one live run.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    /// Run id, a unique beginning of one, or an agent with one live run.
    pub(crate) target: String,
    /// Reason, recorded in the ledger.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Load and attach everything for a moment instead, and show how long that takes and the
    /// verifier's work for each program.
    #[arg(long)]
    pub(crate) programs: bool,
    /// JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Seconds between two readings.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
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
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Prove that nothing in the ledger was changed, removed or added.
    #[command(after_help = "\
Examples:
  sentry ledger verify
  sentry ledger verify --dir ./copy-of-a-ledger --json

Needs no sensor, and the right to read the directory. Ends with 2 if the ledger was changed.")]
    Verify {
        /// Directory of the ledger.
        #[arg(long, value_name = "DIR", default_value = concat!("/var/lib/agentsentry", "/ledger"))]
        dir: PathBuf,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DemoRole {
    Spin,
    Wait,
}

#[cfg(test)]
mod tests;
