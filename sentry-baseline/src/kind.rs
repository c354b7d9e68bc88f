//! What is remembered by name, and which name it has.

use std::fmt::{self, Write as _};

/// A sort of thing that an agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A program, by its path.
    Executable,
    /// Where it connected to: address and port.
    Address,
    /// Whom it wanted to talk to over TLS: name and port.
    Name,
    /// Where files are that it read or wrote: see [`path_class`].
    Place,
}

/// Longest name that is kept, bytes; see [`Name::keep`].
pub(crate) const LONGEST: usize = 96;
/// Behind a name that was cut: a mark and sixteen hexadecimal digits.
const MARK: usize = 17;

impl Kind {
    pub const ALL: [Self; 4] = [Self::Executable, Self::Address, Self::Name, Self::Place];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Address => "address",
            Self::Name => "server name",
            Self::Place => "place of files",
        }
    }

    /// Names of this kind that one run holds between two parts. Together with what each costs that
    /// is below 32 KiB.
    pub(crate) fn kept_of_run(self) -> usize {
        match self {
            Self::Executable => 24,
            Self::Address | Self::Name => 16,
            Self::Place => 40,
        }
    }
}

/// A name in the making: its buffer is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Name(String);

impl Name {
    /// The name itself, or its beginning with a digest of all of it behind.
    pub(crate) fn keep(&mut self, name: fmt::Arguments<'_>) -> &str {
        self.0.clear();
        // Writing to a string does not fail.
        let _never = self.0.write_fmt(name);
        if self.0.len() > LONGEST {
            let digest = twox_hash::XxHash3_64::oneshot(self.0.as_bytes());
            self.0.truncate(self.0.floor_char_boundary(LONGEST - MARK));
            let _never = write!(self.0, "#{digest:016x}");
        }
        &self.0
    }
}

/// Where a file is, coarsely, and whether it was written: the first two folders above it, with
/// numbers made equal, and of temporary folders the first alone. A relative or unknown path is `?`.
///
/// The result displays as `read /usr/lib`.
#[must_use]
pub fn path_class(path: &str, written: bool) -> impl fmt::Display + '_ {
    PathClass { path, written }
}

struct PathClass<'a> {
    path: &'a str,
    written: bool,
}

/// Folders whose own folders have names that nobody chose.
const TEMPORARY: [&str; 3] = ["tmp", "run", "dev"];

impl fmt::Display for PathClass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.written { "write " } else { "read " })?;
        let Some(path) = self.path.strip_prefix('/') else { return f.write_char('?') };
        let Some((folder, _file)) = path.rsplit_once('/') else { return f.write_char('/') };
        let mut folders = folder.split('/');
        let Some(first) = folders.next() else { return f.write_char('/') };
        component(first, f)?;
        match folders.next() {
            Some(second) if !TEMPORARY.contains(&first) => component(second, f),
            _ => Ok(()),
        }
    }
}

/// A folder; one whose name holds a number of three digits or more stands for all of that sort.
fn component(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_numbered = name.bytes().filter(u8::is_ascii_digit).count() >= 3
        || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()));
    write!(f, "/{}", if is_numbered { "*" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_first_two_folders() {
        for (path, class) in [
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", "read /usr/lib"),
            ("/etc/passwd", "read /etc"),
            ("/proc/4711/stat", "read /proc/*"),
            ("/proc/7/stat", "read /proc/*"),
            ("/tmp/.tmpAbCdEf/x", "read /tmp"),
            ("/home/u/project/src/main.rs", "read /home/u"),
            ("/vmlinuz", "read /"),
            ("file", "read ?"),
            ("", "read ?"),
        ] {
            assert_eq!(path_class(path, false).to_string(), class, "{path}");
        }
        assert_eq!(path_class("/etc/cron.d/x", true).to_string(), "write /etc/cron.d");
    }

    #[test]
    fn long_names_stay_apart() {
        let mut name = Name::default();
        let long = "ä".repeat(100);
        let one = name.keep(format_args!("{long}1")).to_owned();
        let other = name.keep(format_args!("{long}2")).to_owned();
        assert!(one != other && one.len() <= LONGEST && one[..70] == other[..70], "{one} {other}");
        assert_eq!(name.keep(format_args!("/bin/sh")), "/bin/sh");
    }
}
