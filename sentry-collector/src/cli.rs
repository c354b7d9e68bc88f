//! The command line.

mod pki;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sentry_service::log::Format;

pub use self::pki::{PkiCommand, SignArgs};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_CONFIG: &str = "/etc/agentsentry/collector.yaml";

const AFTER_HELP: &str = "\
Examples:
  sentry-collector                      all defaults: unix socket for the sensor, HTTP on loopback
  sentry-collector --config /etc/agentsentry/collector.yaml
  sentry-collector --data-dir ./data --listen-grpc unix:/tmp/feed.sock --listen-http 127.0.0.1:0
  sentry-collector config check --config collector.yaml
  sentry-collector feed-key host-1 --out /etc/agentsentry/feed-host-1.key
  sentry-collector pki init             certificates of your own: `sentry-collector pki --help`

A sensor has to prove who it is: at the unix socket by the user that it runs as (root), over TLS by
its certificate, over plaintext TCP by a key that both sides have (`feed_keys`).

When both listeners are bound, one JSON line on standard output names them:
  {\"grpc\":\"unix:/run/agentsentry-collector/feed.sock\",\"http\":\"127.0.0.1:8440\"}

Reads of the HTTP API are open to whoever reaches the listener under one of its names: the address, localhost, or what
`http_names` lists. Commands (freeze, thaw, kill) need the token that the first start writes to command.token in the
data directory, readable by the collector's user only:
  curl -H \"Authorization: Bearer $(cat /var/lib/agentsentry-collector/command.token)\" \\
    --json '{\"reason\":\"too many forks\"}' http://127.0.0.1:8440/api/v1/runs/RUN/freeze

SIGTERM and SIGINT drain: what came in is committed and acknowledged, then the process ends with 0.

Exit codes:
  0   ended after a drain, or the check passed
  1   a stage died, a certificate is still in use, or any other failure
  64  the command line is wrong
  66  a file that was named does not exist or cannot be read, or `config check` found no file
  73  the data directory, the command token, a key or a certificate cannot be created, or is there already, or the
      directory is in use
  74  the store or a listener failed, or the command token cannot be read
  78  the configuration is invalid, or the command token is malformed or open to others";

/// Stores what sensors report and answers for it.
#[derive(Debug, Parser)]
#[command(name = "sentry-collector", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Configuration file; without it /etc/agentsentry/collector.yaml is read if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where sensors connect: IP:PORT or unix:/PATH; port 0 picks one.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen_grpc: Option<String>,
    /// Where the HTTP API listens: IP:PORT; port 0 picks one.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen_http: Option<String>,
    /// Directory of the store; made if it is missing.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Form of the log on standard error; its level is set by RUST_LOG (default: info).
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Looks at the configuration without opening anything.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Makes a key that proves one sensor and its collector to each other over plaintext TCP.
    FeedKey {
        /// Id of the sensor that the key is for.
        sensor: String,
        /// Where to put it; mode 0600, never over a file that exists.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make an authority of your own and the certificates of both ends of the feed, and exchange
    /// them while sensors stay connected.
    #[command(after_help = pki::EXAMPLES)]
    Pki {
        #[command(subcommand)]
        command: PkiCommand,
    },
    /// As `pki sign`.
    #[command(hide = true)]
    Certify(SignArgs),
    /// Forgets how a sensor proved who it is, so that it may prove itself another way. The
    /// collector must not run.
    FeedReset {
        /// Id of the sensor.
        sensor: String,
    },
    /// Prints completions for a shell.
    Completions { shell: clap_complete::Shell },
    /// Writes what packages have beside the program into a directory.
    #[command(hide = true)]
    Packaging { dir: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Reads the configuration and everything it names; prints what holds, or what is wrong and
    /// where. Where there is no file it ends with 66.
    Check,
}
