//! The kernel's information about this process's own descriptors.

use std::{fs, io};

/// The text of each descriptor that is still open when it is read.
///
/// # Errors
/// When they cannot be listed.
pub(super) fn own() -> io::Result<impl Iterator<Item = String>> {
    let entries = fs::read_dir("/proc/self/fdinfo")?;
    Ok(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()))
}
