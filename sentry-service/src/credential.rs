//! Credentials that the service manager hands over (`LoadCredential=`, `systemd-creds(1)`).
//!
//! A configuration names one as `credential:NAME` where it could name a file. systemd puts it into
//! a directory that the service alone can read, and which `CREDENTIALS_DIRECTORY` names.

use std::{
    env,
    path::{Path, PathBuf},
};

const PREFIX: &str = "credential:";
/// Where systemd keeps them, by unit: for a command outside of the unit, which only root may use.
const OF_UNITS: &str = "/run/credentials";

/// A name that cannot be one of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(String);

impl std::error::Error for BadName {}

impl std::fmt::Display for BadName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(name) = self;
        write!(f, "{name:?} is not the name of a credential; write `{PREFIX}NAME`, without a directory")
    }
}

/// The file that `path` means: a credential of `unit`, or what it says.
///
/// # Errors
/// Where the name of the credential has a directory, or is none.
pub fn resolve(path: PathBuf, unit: &str) -> Result<PathBuf, BadName> {
    let dir = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    resolve_in(path, &dir.unwrap_or_else(|| Path::new(OF_UNITS).join(unit)))
}

fn resolve_in(path: PathBuf, dir: &Path) -> Result<PathBuf, BadName> {
    let Some(name) = path.to_str().and_then(|text| text.strip_prefix(PREFIX)) else { return Ok(path) };
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(BadName(name.to_owned()));
    }
    Ok(dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_of_its_directory_and_a_path_is_itself() {
        let resolve = |text: &str| resolve_in(text.into(), Path::new("/run/credentials/x.service"));
        assert_eq!(resolve("/etc/key"), Ok("/etc/key".into()));
        assert_eq!(resolve("credential:feed.key"), Ok("/run/credentials/x.service/feed.key".into()));
        for name in ["", ".", "..", "../key", "a/b"] {
            assert_eq!(resolve(&format!("credential:{name}")), Err(BadName(name.into())));
        }
    }
}
