//! What is remembered by name, and which name it has.

use std::fmt::Write as _;

/// A sort of thing that an agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A program, by its path.
    Executable,
    /// Where it connected to: address and port.
    Address,
    /// Whom it wanted to talk to over TLS: name and port.
    Name,
    /// Where files are that it read or wrote: see [`Observed::touched`](crate::Observed::touched).
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
    /// The name that is written, or its beginning with a digest of all of it behind.
    pub(crate) fn keep(&mut self, write: impl FnOnce(&mut String)) -> &str {
        self.0.clear();
        write(&mut self.0);
        if self.0.len() > LONGEST {
            let digest = twox_hash::XxHash3_64::oneshot(self.0.as_bytes());
            self.0.truncate(self.0.floor_char_boundary(LONGEST - MARK));
            let _never = write!(self.0, "#{digest:016x}");
        }
        &self.0
    }
}

/// Folders whose own folders have names that nobody chose.
const TEMPORARY: [&str; 3] = ["tmp", "run", "dev"];

/// Where a file is, coarsely, and whether it was written, as `read /usr/lib`: the first two folders
/// above it, with numbers made equal, and of temporary folders the first alone. A relative or
/// unknown path is `?`.
pub(crate) fn place(path: &str, written: bool, text: &mut String) {
    text.push_str(if written { "write " } else { "read " });
    let Some(path) = path.strip_prefix('/') else { return text.push('?') };
    let Some((first, below)) = path.split_once('/') else { return text.push('/') };
    component(first, text);
    if let Some((second, _below)) = below.split_once('/')
        && !TEMPORARY.contains(&first)
    {
        component(second, text);
    }
}

/// A folder; one whose name holds a number of three digits or more stands for all of that sort.
fn component(name: &str, text: &mut String) {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_numbered = digits >= 3 || (digits > 0 && digits == name.len());
    text.push('/');
    text.push_str(if is_numbered { "*" } else { name });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(path: &str, written: bool) -> String {
        let mut text = String::new();
        place(path, written, &mut text);
        text
    }

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
            assert_eq!(place_of(path, false), class, "{path}");
        }
        assert_eq!(place_of("/etc/cron.d/x", true), "write /etc/cron.d");
    }

    #[test]
    fn long_names_stay_apart() {
        let mut name = Name::default();
        let long = "ä".repeat(100);
        let one = name.keep(|text| text.push_str(&format!("{long}1"))).to_owned();
        let other = name.keep(|text| text.push_str(&format!("{long}2"))).to_owned();
        assert!(one != other && one.len() <= LONGEST && one[..70] == other[..70], "{one} {other}");
        assert_eq!(name.keep(|text| text.push_str("/bin/sh")), "/bin/sh");
    }
}
