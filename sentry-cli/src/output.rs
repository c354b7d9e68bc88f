//! Where a file that a command makes goes: standard output, or a name that it gets when all of it
//! is on disk. Where something fails before, nothing is left.

use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{error::CliError, exit::Exit};

const STDOUT: &str = "-";

pub(super) enum Output {
    Stdout(io::Stdout),
    /// Beside the file that it becomes.
    File {
        file: NamedTempFile,
        path: PathBuf,
        replaces: bool,
    },
}

impl Output {
    /// `what` it is, for a person; `replaces`: in place of what has the name.
    pub(super) fn open(path: &Path, what: &str, replaces: bool) -> Result<Self, CliError> {
        if path == Path::new(STDOUT) {
            let stdout = io::stdout();
            if stdout.is_terminal() {
                let what = format!("{what} is not for a terminal: name a file, or send it to a command");
                return Err(CliError::Other { what, exit: Exit::Usage });
            }
            return Ok(Self::Stdout(stdout));
        }
        let failed = |source| CliError::Write { path: path.to_owned(), source };
        if path.file_name().is_none() || path.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        if !replaces && path.symlink_metadata().is_ok() {
            return Err(CliError::Exists { path: path.to_owned() });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        let file = tempfile::Builder::new().prefix(".sentry-").tempfile_in(folder).map_err(failed)?;
        Ok(Self::File { file, path: path.to_owned(), replaces })
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { file, .. } => file.as_file().sync_all(),
        }
    }

    /// Gives it its name; `None` where it has none.
    pub(super) fn keep(self) -> Result<Option<PathBuf>, CliError> {
        let Self::File { file, path, replaces } = self else { return Ok(None) };
        let kept = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
        match kept.map_err(|error| error.error) {
            Ok(_) => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(CliError::Exists { path }),
            Err(source) => Err(CliError::Write { path, source }),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_kept_and_leaves_nothing_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let there = || fs::read_dir(dir.path()).unwrap().count();
        let open = |replaces| {
            let mut output = Output::open(&path, "it", replaces).unwrap();
            output.write_all(b"text").unwrap();
            output
        };
        drop(open(false));
        assert_eq!(there(), 0);
        assert_eq!(open(false).keep().unwrap(), Some(path.clone()));
        assert_eq!((fs::read(&path).unwrap(), there()), (b"text".to_vec(), 1));

        fs::write(&path, "other").unwrap();
        assert_eq!(open(true).keep().unwrap(), Some(path.clone()));
        assert_eq!((fs::read(&path).unwrap(), there()), (b"text".to_vec(), 1));
    }

    #[test]
    fn what_is_there_is_only_replaced_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let late = Output::open(&path, "it", false).unwrap();
        fs::write(&path, "other").unwrap();
        assert!(matches!(Output::open(&path, "it", false), Err(CliError::Exists { .. })));
        assert!(matches!(late.keep(), Err(CliError::Exists { .. })));
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read_dir(dir.path()).unwrap().count()),
            (b"other".to_vec(), 1)
        );
    }
}
