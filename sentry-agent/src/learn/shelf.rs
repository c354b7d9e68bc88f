//! A file for each agent in `<state>/baselines`, in the form of `sentry_baseline`.
//!
//! A file is written beside its place, brought to the disk, and moved there: a sensor that is
//! killed leaves the old one or the new one. What is no baseline is kept aside under another name,
//! and learning begins anew. At most [`MOST`] agents are kept: the one written longest ago goes
//! first.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use sentry_baseline::Baseline;
use sentry_private::PrivateError;
use sentry_service::error_chain;

/// Agents whose baselines are kept.
pub const MOST: usize = 256;
/// Behind the names of files.
const ENDING: &str = ".baseline";
/// Longest beginning of a file's name that is an agent's; a digest of all of it follows.
const NAME_BYTES: usize = 160;

/// The directory.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
}

/// What is kept of an agent.
#[derive(Debug)]
pub enum Kept {
    Nothing,
    Baseline(Box<Baseline>),
    /// It was no baseline of this agent, and stands aside now: what is said of that.
    Aside(String),
}

/// Why a baseline is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error(transparent)]
    Private(#[from] PrivateError),
    #[error("cannot {act} {path}", path = path.display())]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Shelf {
    /// Opens the directory, and looks at each file in it. What is said of those that had to be set
    /// aside, one line each.
    ///
    /// # Errors
    /// The directory cannot be made, read, or trusted.
    pub fn open(state_dir: &Path) -> Result<(Self, Vec<String>), ShelfError> {
        let shelf = Self { dir: sentry_private::make_dir(&state_dir.join("baselines"))? };
        let mut troubles = Vec::new();
        for path in shelf.files()? {
            if let Kept::Aside(trouble) = shelf.look_at(&path, None)? {
                troubles.push(trouble);
            }
        }
        Ok((shelf, troubles))
    }

    /// What is kept of an agent.
    ///
    /// # Errors
    /// The file is there and cannot be read or trusted.
    pub fn read(&self, agent: &str) -> Result<Kept, ShelfError> {
        self.look_at(&self.place(agent), Some(agent))
    }

    fn look_at(&self, path: &Path, agent: Option<&str>) -> Result<Kept, ShelfError> {
        let bytes = match sentry_private::read(path) {
            Err(error) if error.is_absent() => return Ok(Kept::Nothing),
            bytes => bytes?,
        };
        let why = match Baseline::decode(&bytes) {
            Ok(baseline) if agent.is_none_or(|agent| agent == baseline.agent) => {
                return Ok(Kept::Baseline(Box::new(baseline)));
            }
            Ok(baseline) => format!("it is of the agent {:?}", baseline.agent),
            Err(error) => error_chain(&error),
        };
        let aside = self.set_aside(path)?;
        Ok(Kept::Aside(format!(
            "a baseline was not taken: {why}; it is kept as {}, and learning begins anew",
            aside.display()
        )))
    }

    /// Another name for the file, which nothing has.
    fn set_aside(&self, path: &Path) -> Result<PathBuf, ShelfError> {
        let mut aside = path.with_extension("aside");
        let mut number = 1;
        while aside.symlink_metadata().is_ok() {
            number += 1;
            aside = path.with_extension(format!("aside-{number}"));
        }
        fs::rename(path, &aside).map_err(failed("set aside", path))?;
        self.sync()?;
        Ok(aside)
    }

    /// Keeps a baseline: it is on the disk then.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, baseline: &Baseline) -> Result<(), ShelfError> {
        let path = self.place(&baseline.agent);
        if path.symlink_metadata().is_err() {
            self.make_room()?;
        }
        let draft = path.with_extension("new");
        let mut file =
            sentry_private::open(&draft, OpenOptions::new().write(true).create(true).truncate(true))?;
        let written = file.write_all(&baseline.encode()).and_then(|()| file.sync_all());
        written.map_err(failed("write", &draft))?;
        fs::rename(&draft, &path).map_err(failed("make", &path))?;
        self.sync()
    }

    fn sync(&self) -> Result<(), ShelfError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("write", &self.dir))
    }

    /// Lets the agent go that was written longest ago, where there are enough.
    fn make_room(&self) -> Result<(), ShelfError> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for path in self.files()? {
            let written = path.metadata().and_then(|about| about.modified());
            files.push((written.map_err(failed("look at", &path))?, path));
        }
        files.sort_unstable();
        for (_, path) in files.iter().take((files.len() + 1).saturating_sub(MOST)) {
            fs::remove_file(path).map_err(failed("remove", path))?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, ShelfError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed("list", &self.dir))? {
            let path = entry.map_err(failed("list", &self.dir))?.path();
            if path.as_os_str().as_encoded_bytes().ends_with(ENDING.as_bytes()) {
                files.push(path);
            }
        }
        Ok(files)
    }

    /// The file of an agent: its name, with all but letters, digits, `-` and `_` as `%XX`.
    fn place(&self, agent: &str) -> PathBuf {
        let mut name = String::new();
        for byte in agent.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
                other => {
                    // Writing to a string does not fail.
                    let _never = write!(name, "%{other:02X}");
                }
            }
        }
        if name.len() > NAME_BYTES {
            use sha2::Digest as _;
            let digest = sha2::Sha256::digest(agent);
            name.truncate(NAME_BYTES);
            for byte in digest.iter().take(16) {
                let _never = write!(name, "{byte:02x}");
            }
        }
        self.dir.join(name + ENDING)
    }
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ShelfError {
    let path = path.to_owned();
    move |source| ShelfError::Io { act, path, source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn of(agent: &str, runs: u64) -> Baseline {
        let mut baseline = Baseline::new(agent, 1);
        baseline.runs = runs;
        baseline
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir.join("baselines")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn kept(shelf: &Shelf, agent: &str) -> Option<u64> {
        match shelf.read(agent).unwrap() {
            Kept::Nothing => None,
            Kept::Baseline(baseline) => Some(baseline.runs),
            Kept::Aside(trouble) => unreachable!("{trouble}"),
        }
    }

    #[test]
    fn what_was_written_last_is_read_under_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, troubles) = Shelf::open(dir.path()).unwrap();
        assert_eq!((troubles, kept(&shelf, "claude")), (Vec::new(), None));
        let long = "ü/".repeat(42);
        for agent in ["claude", "../../etc/passwd", ".", "a b", "%", &long] {
            shelf.write(&of(agent, 1)).unwrap();
            shelf.write(&of(agent, 2)).unwrap();
        }
        let (again, troubles) = Shelf::open(dir.path()).unwrap();
        assert_eq!(troubles, Vec::<String>::new());
        for agent in ["claude", "../../etc/passwd", ".", "a b", "%", &long] {
            assert_eq!(kept(&again, agent), Some(2), "{agent}");
        }
        assert_eq!(names(dir.path()).len(), 6, "no draft is left, and nothing is outside");
    }

    #[test]
    fn what_is_no_baseline_stands_aside_and_learning_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open(dir.path()).unwrap();
        let whole = of("torn", 3).encode();
        let torn = shelf.place("torn");
        for _ in 0..2 {
            fs::write(&torn, &whole[..whole.len() - 9]).unwrap();
            let (_, troubles) = Shelf::open(dir.path()).unwrap();
            let [trouble] = troubles.as_slice() else { unreachable!("{troubles:?}") };
            assert!(trouble.contains("it is torn") && trouble.contains("torn.aside"), "{trouble}");
        }
        assert_eq!(names(dir.path()), ["torn.aside", "torn.aside-2"]);
        assert_eq!(kept(&shelf, "torn"), None);
        // Another agent's file under this one's name.
        fs::write(shelf.place("a"), of("b", 1).encode()).unwrap();
        let Kept::Aside(trouble) = shelf.read("a").unwrap() else { unreachable!("it was taken") };
        assert!(trouble.contains("it is of the agent \"b\""), "{trouble}");
    }

    #[test]
    fn the_agent_written_longest_ago_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open(dir.path()).unwrap();
        for n in 0..MOST as u64 {
            // Not brought to the disk each.
            fs::write(shelf.place(&n.to_string()), of(&n.to_string(), n).encode()).unwrap();
            let file = File::options().write(true).open(shelf.place(&n.to_string())).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(n)).unwrap();
        }
        shelf.write(&of("0", 7)).unwrap();
        shelf.write(&of("new", 9)).unwrap();
        assert_eq!([kept(&shelf, "0"), kept(&shelf, "1"), kept(&shelf, "new")], [Some(7), None, Some(9)]);
        assert_eq!(names(dir.path()).len(), MOST);
    }
}
