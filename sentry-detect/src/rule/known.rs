//! Programs of the system that do what other programs should not, by the path that the kernel saw
//! executed. A program of the same name elsewhere is none of them.
//!
//! Limit: whoever can replace these files is believed.

use super::contract::Seen;

const FOLDERS: &[&str] = &["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/"];
/// Where Git has its own commands.
const GIT: &[&str] = &["/usr/lib/git-core/git", "/usr/libexec/git-core/git"];

/// Unpack, replace and remove the files of packages, and rotate their logs.
const MANAGERS: &[&str] = &[
    "dpkg",
    "dpkg-deb",
    "apt",
    "apt-get",
    "rpm",
    "dnf",
    "dnf5",
    "yum",
    "microdnf",
    "zypper",
    "apk",
    "pacman",
    "logrotate",
];
/// Remove a file once its content is elsewhere.
const KEEPERS: &[&str] = &["mv", "gzip", "bzip2", "xz", "zstd", "lzip"];
/// Read what `/proc` has of every process.
const LISTERS: &[&str] = &["ps", "top", "htop", "pgrep", "pkill", "pidof", "lsof", "fuser", "ss"];

/// A package manager, or what rotates logs.
pub(super) fn is_manager(program: &str) -> bool {
    is_one_of(program, MANAGERS)
}

/// A program that lists processes.
pub(super) fn lists_processes(program: &str) -> bool {
    is_one_of(program, LISTERS)
}

/// Whether what this program removes can be had again: a package manager, a mover, or Git unless it
/// is to remove what it does not know.
pub(super) fn keeps_what_it_removes(seen: &Seen<'_>) -> bool {
    let program = seen.program();
    if GIT.contains(&program) || is_one_of(program, &["git"]) {
        let arguments = seen.event.process.argv.iter().flat_map(|argv| &argv.arguments);
        return arguments.skip(1).all(|argument| argument != "clean");
    }
    is_manager(program) || is_one_of(program, KEEPERS)
}

fn is_one_of(program: &str, names: &[&str]) -> bool {
    FOLDERS.iter().any(|folder| program.strip_prefix(folder).is_some_and(|name| names.contains(&name)))
}
