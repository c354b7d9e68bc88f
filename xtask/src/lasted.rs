//! How long each command took here, the last time that it succeeded: `target/xtask/lasted/NAME`,
//! whole milliseconds.

use std::{fs, path::PathBuf, time::Duration};

use crate::paths;

/// For the list of commands, which may miss it: where it cannot be written nothing is lost.
pub(crate) fn note(name: &str, time: Duration) {
    let path = place(name);
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let _unimportant = made.and_then(|()| fs::write(&path, time.as_millis().to_string()));
}

pub(crate) fn last(name: &str) -> Option<Duration> {
    fs::read_to_string(place(name)).ok()?.trim().parse().ok().map(Duration::from_millis)
}

fn place(name: &str) -> PathBuf {
    paths::logs().join("lasted").join(name)
}
