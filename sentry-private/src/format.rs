//! What format a directory of kept things has: a number in the file `format`, in decimal, with a
//! newline. It is written before anything of that format is, and read before anything is opened, so
//! that a program that is older than what is there refuses it as a whole. The scripts of the
//! packages read it, too.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::Path,
};

use crate::{PrivateError, open, read};

const NAME: &str = "format";
const DRAFT: &str = "format.new";

/// Marks the directory with the format that this program writes, unless a newer one wrote there.
///
/// # Errors
/// The format is newer, or no number; or the file cannot be read or written, or is not to be
/// trusted.
pub fn claim_format(dir: &Path, known: u32) -> Result<(), PrivateError> {
    let path = dir.join(NAME);
    match read(&path) {
        Ok(content) => {
            let number = String::from_utf8_lossy(&content).trim().parse::<u32>();
            let Ok(found) = number else { return Err(PrivateError::NoFormat { path }) };
            if found > known {
                return Err(PrivateError::Newer { path: dir.to_owned(), found, known });
            }
            if found == known {
                return Ok(());
            }
        }
        // The directory is new, or older than this file.
        Err(error) if error.is_absent() => {}
        Err(error) => return Err(error),
    }
    let draft = dir.join(DRAFT);
    let mut file = open(&draft, OpenOptions::new().write(true).create(true).truncate(true))?;
    let written = writeln!(file, "{known}").and_then(|()| file.sync_all());
    written.map_err(PrivateError::io("write", &draft))?;
    fs::rename(&draft, &path).map_err(PrivateError::io("make", &path))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(PrivateError::io("write", dir))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_unmarked_or_older_directory_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        for format in [1, 2, 2, 10] {
            claim_format(dir.path(), format).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join("format")).unwrap(), format!("{format}\n"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_newer_directory_is_refused_and_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        claim_format(dir.path(), 3).unwrap();
        let refused = claim_format(dir.path(), 2).unwrap_err();
        assert!(matches!(refused, PrivateError::Newer { found: 3, known: 2, .. }), "{refused}");
        assert_eq!(fs::read_to_string(dir.path().join("format")).unwrap(), "3\n");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "x\n", "-1\n", "99999999999\n"] {
            fs::write(dir.path().join("format"), content).unwrap();
            let refused = claim_format(dir.path(), 2).unwrap_err();
            assert!(matches!(refused, PrivateError::NoFormat { .. }), "{content:?}: {refused}");
        }
    }
}
