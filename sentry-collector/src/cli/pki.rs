//! The command line of `sentry-collector pki`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

/// Where the authority and what it signed are kept when no directory is named.
pub const DEFAULT_PKI: &str = "/etc/agentsentry/pki";

/// Ten years.
const AUTHORITY_DAYS: u32 = 3650;
/// A year.
const CERTIFICATE_DAYS: u32 = 365;
/// A hundred years: whoever asks for more has mistyped.
const MAX_DAYS: i64 = 36_500;

pub(super) const EXAMPLES: &str = "\
Examples:
  sentry-collector pki init                             an authority of your own
  sentry-collector pki collector collector.example      the collector's certificate, under its names
  sentry-collector pki sensor host-1                    one for each sensor, by its id
  sentry-collector pki show                             who has one, until when

Each certificate stands with its key and the authorities that it trusts in a directory of its own: `collector`,
`sensors/NAME`. Copy a sensor's to its host. Each command prints the lines of configuration that name the files.";

#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make an authority: ca.crt, and ca.key, which signs the certificates of both ends.
    Init {
        #[command(flatten)]
        dir: PkiDir,
        #[command(flatten)]
        life: AuthorityLife,
        /// Replace an authority that is there: no certificate that it signed is accepted any more.
        #[arg(long)]
        force: bool,
    },
    /// Make the collector's certificate and key.
    Collector {
        /// Host names and addresses that sensors connect to. Default: those of the certificate that
        /// is replaced; else this host's name, localhost, 127.0.0.1 and ::1.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        dir: PkiDir,
        #[command(flatten)]
        life: Life,
        /// Replace a certificate and key that are there.
        #[arg(long)]
        force: bool,
    },
    /// Make a sensor's certificate and key.
    Sensor {
        /// Id of the sensor, as its configuration has it in `sensor.id`.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        dir: PkiDir,
        #[command(flatten)]
        life: Life,
        /// Replace a certificate and key that are there.
        #[arg(long)]
        force: bool,
    },
    /// Put a new authority beside the old one: both are accepted, the new one signs.
    Rotate {
        #[command(flatten)]
        dir: PkiDir,
        #[command(flatten)]
        life: AuthorityLife,
    },
    /// Remove the old authorities, once everybody has a certificate of the new one.
    Retire {
        #[command(flatten)]
        dir: PkiDir,
        /// Also while somebody has a certificate of an old one, who is refused from then on.
        #[arg(long)]
        force: bool,
    },
    /// Show the authorities and who has a certificate, until when.
    Show {
        #[command(flatten)]
        dir: PkiDir,
        /// JSON on standard output.
        #[arg(long)]
        json: bool,
    },
    /// Make a certificate and key signed by an authority that was not made here.
    Sign(SignArgs),
}

#[derive(Debug, Args)]
pub struct PkiDir {
    /// Where the authority and the certificates are kept.
    #[arg(long = "dir", value_name = "DIR", default_value = DEFAULT_PKI)]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct AuthorityLife {
    /// How long the authority is valid, in days.
    #[arg(long, value_name = "N", default_value_t = AUTHORITY_DAYS, value_parser = value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
}

#[derive(Debug, Args)]
pub struct Life {
    /// How long the certificate is valid, in days; never longer than its authority.
    #[arg(long, value_name = "N", default_value_t = CERTIFICATE_DAYS, value_parser = value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// For the sensor of this id.
    #[arg(long, value_name = "ID", required_unless_present = "server", conflicts_with = "server")]
    pub sensor: Option<String>,
    /// For the collector, under this host name or address; may be given more than once.
    #[arg(long, value_name = "NAME")]
    pub server: Vec<String>,
    /// The authority's certificate, PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: PathBuf,
    /// Its key, PKCS #8 in PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_key: PathBuf,
    /// Directory for tls.crt, tls.key (mode 0600) and ca.crt; those that are there are replaced.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
