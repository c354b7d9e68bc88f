//! A file for the textfile collector of `node_exporter`, in the only form that it reads. It is
//! written beside its place and moved there, so that a reader finds all of it or the one before.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sentry_service::metrics::{Form, text};
use tokio::time::{MissedTickBehavior, interval};

use crate::status::metrics::Meter;

/// Everybody may read it: the collector runs as a user of its own.
const MODE: u32 = 0o644;

/// Why it is not written.
#[derive(Debug, thiserror::Error)]
enum TextfileError {
    #[error("cannot {what} {path}", path = path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the thread that writes it panicked")]
    Panicked,
}

/// Writes the file for ever.
pub async fn keep(path: PathBuf, every: Duration, meter: Arc<Meter>) {
    let mut timer = interval(every);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble: Option<String> = None;
    loop {
        timer.tick().await;
        let text = text(&meter.families(), Form::Prometheus);
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || write(&target, &text)).await;
        let now = match written.unwrap_or(Err(TextfileError::Panicked)) {
            Ok(()) => None,
            Err(error) => {
                meter.textfile_failed();
                Some(sentry_service::error_chain(&error))
            }
        };
        // The same every few seconds would bury the rest of the log.
        if now != trouble {
            match &now {
                Some(error) => {
                    tracing::warn!(path = %path.display(), error, "metrics are not written to the textfile");
                }
                None => tracing::info!(path = %path.display(), "metrics are written to the textfile again"),
            }
            trouble = now;
        }
    }
}

/// Takes the file away: what does not change any more must not look alive.
pub fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove the textfile of metrics");
        }
        Ok(()) | Err(_) => {}
    }
}

fn write(path: &Path, text: &str) -> Result<(), TextfileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // `node_exporter` takes no notice of this name.
    let beside = path.with_file_name(format!(".{name}.new"));
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TextfileError::Io { what, path, source }
    };
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &beside)(error));
        }
        Ok(()) | Err(_) => {}
    }
    // Made anew: no link of somebody else is followed.
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&beside)
        .map_err(failed("make", &beside))?;
    file.set_permissions(Permissions::from_mode(MODE)).map_err(failed("set the mode of", &beside))?;
    let written = file.write_all(text.as_bytes()).map_err(failed("write", &beside));
    drop(file);
    written.and_then(|()| fs::rename(&beside, path).map_err(failed("replace", path))).inspect_err(|_| {
        drop(fs::remove_file(&beside));
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_as_a_whole_and_is_readable_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.prom");
        write(&path, "1\n").unwrap();
        write(&path, "2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        remove(&path);
        assert!(!path.exists());
    }

    #[test]
    fn a_link_that_somebody_put_there_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let path = dir.path().join("a.prom");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(".a.prom.new")).unwrap();
        write(&path, "1\n").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(!path.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("no/a.prom"), "1\n").unwrap_err();
        assert!(error.to_string().contains("no/.a.prom.new"), "{error}");
    }
}
