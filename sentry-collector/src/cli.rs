//! The command line.

mod key;

mod pki;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sentry_service::{log::Format, style};

pub use self::{
    key::{Allowed, KeyCommand, LoginArgs, ScopeName, Which},
    pki::{DEFAULT_PKI, PkiCommand, SignArgs},
};

/// Where the configuration is looked for when none is named.
pub const DEFAULT_CONFIG: &str = "/etc/agentsentry/collector.yaml";

const AFTER_HELP: &str = "\
Examples:
  sentry-collector                      all defaults: unix socket for the sensor, HTTP on loopback
  sentry-collector --config /etc/agentsentry/collector.yaml
  sentry-collector --data-dir ./data --listen-grpc unix:/tmp/feed.sock --listen-http 127.0.0.1:0
  sentry-collector config check collector.yaml
  sentry-collector feed-key host-1 --out /etc/agentsentry/feed-host-1.key
  sentry-collector pki init             certificates of your own: `sentry-collector pki --help`

A sensor has to prove who it is: at the unix socket by the user that it runs as (root), over TLS by
its certificate, over plaintext TCP by a key that both sides have (`feed_keys`).

When both listeners are bound, one JSON line on standard output names them:
  {\"grpc\":\"unix:/run/agentsentry-collector/feed.sock\",\"http\":\"127.0.0.1:8440\"}

The HTTP API answers under its names only: the address, localhost, or what `http_names` lists. It wants a key \
with every
request. The first start writes one of scope `admin` to admin.key in the data directory, readable by the \
collector's user only;
`sentry-collector key create` makes others, `sentry-collector login` a link for a browser:
  curl -H \"Authorization: Bearer $(cat /var/lib/agentsentry-collector/admin.key)\" \\
    --json '{\"reason\":\"too many forks\"}' http://127.0.0.1:8440/api/v1/runs/RUN/freeze
command.token there is older: it works as a key of scope `operate`.

SIGTERM and SIGINT drain: what came in is committed and acknowledged, then the process ends with 0.

Exit codes:
  0   ended after a drain, or the check passed
  1   a stage died, a certificate is still in use, or any other failure
  64  the command line is wrong
  66  a file that was named does not exist or cannot be read
  73  the data directory, a secret in it, a key or a certificate cannot be created, or is there already, or the
      directory is in use
  74  the store or a listener failed, a secret cannot be read, or no collector answers
  78  the configuration is invalid, or a secret is malformed or open to others";

/// Stores what sensors report and answers for it.
#[derive(Debug, Parser)]
#[command(
    name = "sentry-collector",
    version,
    styles = style::STYLES,
    after_help = AFTER_HELP,
    max_term_width = style::WIDTH,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub flags: Flags,
    /// Form of the log on standard error; the level is set by RUST_LOG (default: info).
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: Format,
}

/// What the command line has in place of the configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct Flags {
    /// Configuration file; without it /etc/agentsentry/collector.yaml is read if it exists.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where sensors connect: IP:PORT or unix:/PATH; port 0 picks one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen_grpc: Option<String>,
    /// Where the HTTP API listens: IP:PORT; port 0 picks one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen_http: Option<String>,
    /// Directory of the store; made if it is missing.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the configuration, or print an example.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make a key that proves one sensor and its collector to each other over plaintext TCP.
    #[command(after_help = "\
Example:
  sentry-collector feed-key host-1 --out /etc/agentsentry/feed-host-1.key

Prints the lines of configuration that name the key, for the collector and for the sensor, which needs a copy.")]
    FeedKey {
        /// Id of the sensor that the key is for.
        sensor: String,
        /// Where to put it; mode 0600, never over a file that exists.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make, list and revoke keys of the HTTP API.
    #[command(after_help = key::KEY_EXAMPLES)]
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print a link that logs a browser in, once.
    #[command(after_help = key::LOGIN_EXAMPLES)]
    Login(LoginArgs),
    /// Make an authority of your own and the certificates of both ends of the feed.
    ///
    /// All of them can be exchanged while sensors stay connected.
    #[command(after_help = pki::EXAMPLES)]
    Pki {
        #[command(subcommand)]
        command: PkiCommand,
    },
    /// As `pki sign`.
    #[command(hide = true)]
    Certify(SignArgs),
    /// Forget how a sensor proved who it is, so that it may prove itself another way.
    ///
    /// The collector must not run.
    #[command(after_help = "\
Example:
  systemctl stop agentsentry-collector
  sentry-collector feed-reset host-1
  systemctl start agentsentry-collector")]
    FeedReset {
        /// Id of the sensor.
        sensor: String,
        /// Configuration file; without it /etc/agentsentry/collector.yaml is read if it exists.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Directory of the store.
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Print completions for a shell.
    #[command(after_help = "\
Examples:
  source <(sentry-collector completions bash)     # in ~/.bashrc
  source <(sentry-collector completions zsh)      # in ~/.zshrc, behind compinit
  sentry-collector completions fish | source      # in ~/.config/fish/config.fish

The packages install them for bash, zsh and fish.")]
    Completions { shell: clap_complete::Shell },
    /// Write what packages have beside the program into a directory.
    #[command(hide = true)]
    Packaging { dir: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration, and the keys and certificates that it names.
    ///
    /// Prints what holds, or all that is wrong and where.
    #[command(after_help = "\
Examples:
  sentry-collector config check
  sentry-collector config check ./collector.yaml --json

Ends with 0 where nothing is wrong, also where there is no file at its usual place: the defaults hold then. A
certificate that expires within 30 days is a warning. Nothing is opened.")]
    Check {
        /// The file; default: /etc/agentsentry/collector.yaml.
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
        #[command(flatten)]
        flags: Flags,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Print a complete file with every default.
    Example,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    /// `UPDATE_DOCS=1` writes the page.
    #[test]
    fn the_page_of_commands_is_their_help() {
        let page = sentry_service::help::page("Commands of the collector", Cli::command());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/collector-commands.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(page == written, "docs/collector-commands.md differs; run this again with UPDATE_DOCS=1");
    }
}
