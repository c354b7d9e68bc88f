//! What the process does instead of serving: it looks at the configuration, makes keys and
//! certificates, forgets a proof, asks the collector that serves.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::CommandFactory as _;
use clap_complete::{
    Generator as _, Shell,
    engine::{ArgValueCandidates, CompletionCandidate},
};
use sentry_proto::proof::FeedKey;
use sentry_service::completion;

use crate::{
    admin::{self, AdminError},
    api::description,
    cli::{Cli, Command, ConfigCommand, DEFAULT_PKI, Flags},
    config::{self, Config, ConfigError},
    exit::Exit,
    ingest::gate::random,
    pki::{self, PkiError},
    store::{FORMAT, StoreError, forget_way},
};

const PROGRAM: &str = "sentry-collector";

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// All that `config check` found, a line each.
    #[error("{}", complaints.join(&format!("\n{PROGRAM}: ")))]
    Invalid { complaints: Vec<String>, exit: Exit },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "cannot make the feed key {}; name a file that does not exist, in a directory that is yours",
        path.display()
    )]
    Create { path: PathBuf, source: io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the kernel gave no random bytes")]
    Random,
    #[error(
        "there is no sensor {sensor:?} in {}; `GET /api/v1/sensors` of a running collector lists them",
        data_dir.display()
    )]
    NoSensor { sensor: String, data_dir: PathBuf },
}

impl OnceError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Invalid { exit, .. } => *exit,
            Self::Store(error) => error.exit(),
            Self::Pki(error) => error.exit(),
            Self::Admin(error) => error.exit(),
            Self::Create { .. } => Exit::CannotCreate,
            Self::Write { .. } => Exit::Io,
            Self::Random => Exit::Other,
            Self::NoSensor { .. } => Exit::NoInput,
        }
    }
}

/// Does what the command says; returns what to print, and how it ends.
///
/// # Errors
/// Where it cannot be done.
pub fn run(command: &Command) -> Result<(String, Exit), OnceError> {
    match command {
        Command::Config { command: ConfigCommand::Check { file, flags, json } } => {
            let config = flags.config.clone().or_else(|| file.clone());
            check(&Flags { config, ..flags.clone() }, *json)
        }
        Command::Config { command: ConfigCommand::Example } => {
            Ok((config::example().trim_end().to_owned(), Exit::Ok))
        }
        Command::FeedKey { sensor, out } => feed_key(sensor, out).map(|text| (text, Exit::Ok)),
        Command::Key { command } => Ok((admin::key(command)?, Exit::Ok)),
        Command::Login(args) => Ok((admin::login(args)?, Exit::Ok)),
        Command::Pki { command } => Ok((pki::run(command)?, Exit::Ok)),
        Command::Certify(args) => Ok((pki::sign(args)?, Exit::Ok)),
        Command::FeedReset { sensor, config, data_dir } => {
            let flags = Flags { config: config.clone(), data_dir: data_dir.clone(), ..Flags::default() };
            let data_dir = Config::load(&flags)?.data_dir;
            if !forget_way(&data_dir, sensor)? {
                return Err(OnceError::NoSensor { sensor: sensor.clone(), data_dir });
            }
            let text = format!("{sensor}: forgotten; how it proves itself next time counts from then on");
            Ok((text, Exit::Ok))
        }
        Command::Completions { shell } => Ok((completions(*shell), Exit::Ok)),
        Command::Packaging { dir } => packaging(dir)
            .map(|()| (format!("{} is written", dir.display()), Exit::Ok))
            .map_err(|source| OnceError::Write { path: dir.clone(), source }),
    }
}

/// Answers a shell that asks what can be typed next; false where none does.
#[must_use]
pub fn completed() -> bool {
    fn sensors() -> Vec<CompletionCandidate> {
        pki::sensors(Path::new(DEFAULT_PKI)).into_iter().map(CompletionCandidate::new).collect()
    }
    completion::answer(|| {
        Cli::command().mut_subcommand("pki", |pki| {
            pki.mut_subcommand("sensor", |sensor| {
                sensor.mut_arg("name", |name| name.add(ArgValueCandidates::new(sensors)))
            })
        })
    })
}

fn completions(shell: Shell) -> String {
    completion::script(shell, &Cli::command()).trim_end().to_owned()
}

/// Writes manual pages into `man`, completions into `completions`, the description of the API into
/// `openapi.json`, and the number of the data directory's format, which the package's scripts
/// compare, into `format`.
fn packaging(dir: &Path) -> io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Cli::command(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        fs::write(completions.join(shell.file_name(PROGRAM)), completion::script(shell, &Cli::command()))?;
    }
    fs::write(dir.join("openapi.json"), description())?;
    fs::write(dir.join("format"), format!("{FORMAT}\n"))
}

fn check(flags: &Flags, as_json: bool) -> Result<(String, Exit), OnceError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (report, exit) = Config::check(flags, now);
    match (as_json, report.is_valid()) {
        (true, _) => Ok((report.json().to_string(), exit)),
        (false, true) => Ok((report.text(), exit)),
        (false, false) => Err(OnceError::Invalid { complaints: report.complaints().collect(), exit }),
    }
}

/// Writes a new key for a sensor to a new file; returns what to do with it.
fn feed_key(sensor: &str, out: &Path) -> Result<String, OnceError> {
    let key = FeedKey::new(random().ok_or(OnceError::Random)?);
    write(out, &key).map_err(|source| OnceError::Create { path: out.to_owned(), source })?;
    let shown = out.display();
    Ok(format!(
        "{shown}: key of {sensor}. Who has it speaks for {sensor} and as its collector.\n\
         in the collector's configuration:\nfeed_keys:\n  {sensor}: {shown}\n\
         in the sensor's, with a copy of the file:\ncollector:\n  endpoint: \
         http://127.0.0.1:4319\n  key_file: {shown}"
    ))
}

fn write(out: &Path, key: &FeedKey) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out)?;
    file.write_all(format!("{}\n", key.digits()).as_bytes())?;
    file.sync_all()
}
