//! What the process does instead of serving: it looks at the configuration, makes a key, forgets a
//! proof.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use sentry_proto::proof::FeedKey;

use crate::{
    certify::{self, CertifyError},
    cli::{Cli, Command, ConfigCommand, DEFAULT_CONFIG},
    config::{Config, ConfigError},
    exit::Exit,
    ingest::gate::random,
    store::{StoreError, forget_way},
};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot make the feed key {}; name a file that does not exist, in a directory that is yours", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Certify(#[from] CertifyError),
    #[error("the kernel gave no random bytes")]
    Random,
}

impl OnceError {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(error) => error.exit(),
            Self::Store(error) => error.exit(),
            Self::Certify(error) => error.exit(),
            Self::Create { .. } => Exit::CannotCreate,
            Self::Random => Exit::Other,
        }
    }
}

/// Does what the command says; returns what to print, and how it ends.
///
/// # Errors
/// Where it cannot be done.
pub fn run(command: &Command, cli: &Cli) -> Result<(String, Exit), OnceError> {
    match command {
        Command::Config { command: ConfigCommand::Check } => check(&Config::load(cli)?),
        Command::FeedKey { sensor, out } => feed_key(sensor, out).map(|text| (text, Exit::Ok)),
        Command::Certify(args) => Ok((certify::certify(args)?, Exit::Ok)),
        Command::FeedReset { sensor } => {
            let known = forget_way(&Config::load(cli)?.data_dir, sensor)?;
            Ok(if known {
                (format!("{sensor}: the next proof that holds decides"), Exit::Ok)
            } else {
                (format!("{sensor}: there is no such sensor"), Exit::NoInput)
            })
        }
    }
}

fn check(config: &Config) -> Result<(String, Exit), OnceError> {
    config.check(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())?;
    Ok(match &config.file {
        Some(path) => (format!("{} is valid\n{config}", path.display()), Exit::Ok),
        None => (format!("there is no {DEFAULT_CONFIG}; without it these hold:\n{config}"), Exit::NoInput),
    })
}

/// Writes a new key for a sensor to a new file; returns what to do with it.
fn feed_key(sensor: &str, out: &Path) -> Result<String, OnceError> {
    let key = FeedKey::new(random().ok_or(OnceError::Random)?);
    write(out, &key).map_err(|source| OnceError::Create { path: out.to_owned(), source })?;
    let shown = out.display();
    Ok(format!(
        "{shown}: key of {sensor}. Who has it speaks for {sensor} and as its collector.\n\
         in the collector's configuration:\nfeed_keys:\n  {sensor}: {shown}\n\
         in the sensor's, with a copy of the file:\ncollector:\n  endpoint: http://127.0.0.1:4319\n  key_file: {shown}"
    ))
}

fn write(out: &Path, key: &FeedKey) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out)?;
    file.write_all(format!("{}\n", key.digits()).as_bytes())?;
    file.sync_all()
}
