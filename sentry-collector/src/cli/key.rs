//! The command line of `sentry-collector key` and `sentry-collector login`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

const KEY_DAYS: u32 = 90;
/// A hundred years: whoever asks for more has mistyped.
const MAX_DAYS: i64 = 36_500;

pub(super) const KEY_EXAMPLES: &str = "\
Examples:
  sentry-collector key create --scope readonly --note grafana        for 90 days
  sentry-collector key create --scope operate --days 1 --json | jq -r .key
  sentry-collector key create --scope agent --agent claude           reads what is of this agent only
  sentry-collector key list
  sentry-collector key revoke 1f0c5a9b2e47
  sentry-collector key revoke --all                                  also ends every session

Scopes: `admin` does everything, `operate` reads and sends commands, `readonly` reads, `agent` reads what is of
one agent. A program sends its key with each request:
  curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:8440/api/v1/findings

The collector must run: these commands ask it at admin.sock in its data directory, where root and the
collector's own user may do everything.";

pub(super) const LOGIN_EXAMPLES: &str = "\
Examples:
  sentry-collector login                        a link for a browser on this host
  sentry-collector login --scope readonly       one to hand on: it works once

The link works once, within two minutes, and the session lasts twelve hours. The collector must run.";

/// Which collector.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// Its configuration file; without it /etc/agentsentry/collector.yaml is read if it exists.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Its data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// Everything, also keys and the audit.
    Admin,
    /// Reads and commands.
    Operate,
    /// Reads.
    Readonly,
    /// Reads of one agent.
    Agent,
}

/// What a key or a session allows.
#[derive(Clone, Debug, Args)]
pub struct Allowed {
    /// With the scope `agent`: the id of the agent.
    #[arg(long, value_name = "ID", required_if_eq("scope", "agent"))]
    pub agent: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and print it: it is shown this once.
    Create {
        /// What the key allows.
        #[arg(long, value_enum)]
        scope: ScopeName,
        #[command(flatten)]
        allowed: Allowed,
        /// What it is for.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
        /// How long it works; 0: for ever.
        #[arg(
            long, value_name = "DAYS", default_value_t = KEY_DAYS,
            value_parser = value_parser!(u32).range(0..=MAX_DAYS)
        )]
        days: u32,
        #[command(flatten)]
        which: Which,
    },
    /// List the keys, without their secrets.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Revoke a key, and end the sessions that it opened.
    Revoke {
        /// Prefix of the key, as `key list` has it.
        #[arg(value_name = "PREFIX", required_unless_present = "all", conflicts_with = "all")]
        prefix: Option<String>,
        /// All keys, and all sessions.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        which: Which,
    },
}

/// A link that logs a browser in.
#[derive(Clone, Debug, Args)]
pub struct LoginArgs {
    /// What the session allows.
    #[arg(long, value_enum, default_value = "admin")]
    pub scope: ScopeName,
    #[command(flatten)]
    pub allowed: Allowed,
    #[command(flatten)]
    pub which: Which,
}

// === impl ScopeName ===

impl ScopeName {
    /// As the API names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operate => "operate",
            Self::Readonly => "readonly",
            Self::Agent => "agent",
        }
    }
}
