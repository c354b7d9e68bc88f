//! Rules of somebody's own: the files that the configuration names.

use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use sentry_rules::{MOST_FILE_BYTES, Mistake, RuleSet, Source};

use super::ConfigError;

/// Most files of one configuration.
const MOST_FILES: usize = 256;

/// Reads rules out of files, and out of directories, whose files that end in `.yaml` or `.yml` are
/// meant.
///
/// # Errors
/// All that is wrong, file by file.
pub fn read(paths: &[PathBuf]) -> Result<RuleSet, Vec<ConfigError>> {
    RuleSet::read(&sources(paths)?).map_err(|mistakes| {
        let wrong = |Mistake { file, line, column, what }| ConfigError::Invalid {
            path: file.into(),
            line,
            column,
            what,
        };
        mistakes.into_iter().map(wrong).collect()
    })
}

fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<ConfigError>> {
    let (mut files, mut errors): (Vec<PathBuf>, Vec<ConfigError>) = (Vec::new(), Vec::new());
    for path in paths {
        match within(path) {
            Ok(found) => files.extend(found),
            Err(source) => errors.push(ConfigError::Rules { path: path.clone(), source }),
        }
    }
    if files.len() > MOST_FILES {
        let source = io::Error::other(format!("there are {} files, and {MOST_FILES} are taken", files.len()));
        return Err(vec![ConfigError::Rules { path: files.swap_remove(MOST_FILES), source }]);
    }
    let mut sources = Vec::new();
    for path in files {
        match text(&path) {
            Ok(text) => sources.push(Source { name: path.display().to_string(), text }),
            Err(source) => errors.push(ConfigError::Rules { path, source }),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(errors) }
}

/// The file, or those of the directory in the order of their names.
fn within(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let is_hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml = file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !is_hidden {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// What is too long is refused with its place by who reads it: one byte more is enough for that.
fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}
