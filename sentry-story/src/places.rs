//! Where a file is, as far as a reader is concerned (`data/places.toml`).

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sentry_view::Place;
use serde::Deserialize;

use crate::{error::DataError, text::anywhere};

/// Globs of places that a reader wants to see folded.
#[derive(Clone, Debug)]
pub struct Places {
    cache: GlobSet,
    system: GlobSet,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    cache: Vec<String>,
    system: Vec<String>,
}

const FILE: &str = "places.toml";

impl Places {
    /// The places that come with the program.
    ///
    /// # Errors
    ///
    /// The data file is broken; a test excludes that.
    pub fn built_in() -> Result<Self, DataError> {
        let data: Data = toml::from_str(include_str!("../data/places.toml"))
            .map_err(|source| DataError::Toml { file: FILE, source })?;
        Ok(Self { cache: globs(FILE, "cache", &data.cache)?, system: globs(FILE, "system", &data.system)? })
    }

    /// What programs read to start and to find their way; not what they work on.
    #[must_use]
    pub fn is_system(&self, path: &str) -> bool {
        self.system.is_match(path)
    }

    /// The place of `path` for a run in `directory` of an agent that keeps its state in `state`.
    #[must_use]
    pub(crate) fn of(&self, path: &str, directory: Option<&str>, state: Option<&GlobSet>) -> Place {
        if path.ends_with("/.git") || path.contains("/.git/") {
            Place::Git
        } else if state.is_some_and(|state| state.is_match(path)) {
            Place::AgentState
        } else if self.cache.is_match(path) {
            Place::Cache
        } else if directory.is_some_and(|directory| is_below(path, directory)) {
            Place::Directory
        } else if ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|folder| is_below(path, folder)) {
            Place::Temporary
        } else {
            Place::Elsewhere
        }
    }
}

/// Whether `path` is in `folder` or is it.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A set of globs in which `*` stays within a component.
pub(crate) fn globs(file: &'static str, of: &str, globs: &[String]) -> Result<GlobSet, DataError> {
    let error = |source| DataError::Glob { file, of: of.to_owned(), source };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let glob = GlobBuilder::new(&anywhere(glob))
            .literal_separator(true)
            .empty_alternates(true)
            .build()
            .map_err(error)?;
        set.add(glob);
    }
    set.build().map_err(error)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_place_that_a_reader_expects() {
        let places = Places::built_in().unwrap();
        let state = globs(FILE, "test", &["**/.claude/**".to_owned()]).unwrap();
        let place = |path| places.of(path, Some("/tmp/project"), Some(&state));
        assert_eq!(place("/tmp/project/a.txt"), Place::Directory);
        assert_eq!(place("/tmp/project/.git/index"), Place::Git);
        assert_eq!(place("/tmp/project/node_modules/x/y.js"), Place::Cache);
        assert_eq!(place("/home/u/.claude/settings.json"), Place::AgentState);
        assert_eq!(place("/tmp/other"), Place::Temporary);
        assert_eq!(place("/tmp/project2/a"), Place::Temporary);
        assert_eq!(place("/home/u/a"), Place::Elsewhere);
    }

    #[test]
    fn libraries_and_locales_are_the_system() {
        let places = Places::built_in().unwrap();
        for path in ["/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/locale/x", "/etc/ld.so.cache", "/dev/null"]
        {
            assert!(places.is_system(path), "{path}");
        }
        for path in ["/etc/shadow", "/home/u/lib/x", "/etc/hostname", "/srv/x"] {
            assert!(!places.is_system(path), "{path}");
        }
    }
}
