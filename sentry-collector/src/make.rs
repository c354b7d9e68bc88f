//! Makes feed keys.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sentry_proto::proof::FeedKey;

use crate::ingest::gate::random;

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error("cannot make the feed key {}; name a file that does not exist, in a directory that is yours", path.display())]
    Create { path: PathBuf, source: io::Error },
    #[error("the kernel gave no random bytes")]
    Random,
}

/// Writes a new key for a sensor to a new file; returns what to do with it.
///
/// # Errors
/// Where the file exists or cannot be made.
pub fn feed_key(sensor: &str, out: &Path) -> Result<String, MakeError> {
    let key = FeedKey::new(random().ok_or(MakeError::Random)?);
    write(out, &key).map_err(|source| MakeError::Create { path: out.to_owned(), source })?;
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
