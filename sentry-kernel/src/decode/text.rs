//! Text fields of records → strings. Lengths are clamped to the buffer, whatever the record says.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

use sentry_common::record::text::{ArgumentText, ArgvText, DETACHED, PathText, TRUNCATED, UNREADABLE};
use sentry_detect::event::{Argv, Path, PathSource};

/// Bytes → text without loss: bytes that are not UTF-8 become `\xNN`, a backslash `\\`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for (index, part) in chunk.valid().split('\\').enumerate() {
            if index > 0 {
                text.push_str(r"\\");
            }
            text.push_str(part);
        }
        for byte in chunk.invalid() {
            text.push_str(r"\x");
            text.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
    }
    text
}

/// The same; most bytes are such a text already.
fn escaped(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\\') => text,
        Ok(text) => escape(text.as_bytes()),
        Err(other) => escape(other.as_bytes()),
    }
}

/// The bytes that [`escape`] was given. `None` if it never returns such a text.
#[must_use]
pub fn unescape(text: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('\\');
    bytes.extend(parts.next()?.as_bytes());
    while let Some(part) = parts.next() {
        if let Some(hex) = part.strip_prefix('x') {
            bytes.push(u8::from_str_radix(hex.get(..2)?, 16).ok()?);
            bytes.extend(&hex.as_bytes()[2..]);
        } else if part.is_empty() {
            bytes.push(b'\\');
            bytes.extend(parts.next()?.as_bytes());
        } else {
            return None;
        }
    }
    Some(OsString::from_vec(bytes).into())
}

fn clamp(bytes: &[u8], length: u32) -> &[u8] {
    &bytes[..bytes.len().min(length as usize)]
}

/// A kernel-walked path: components leaf to root → absolute path. `None` when the record has none.
#[must_use]
pub fn path(text: &PathText) -> Option<Path> {
    if text.length == 0 && text.flags & UNREADABLE != 0 {
        return None;
    }
    let bytes = clamp(&text.bytes, text.length);
    let components = bytes.rsplit(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut whole = Vec::with_capacity(bytes.len() + 1);
    let truncated = text.flags & (TRUNCATED | UNREADABLE) != 0;
    if truncated {
        // The part towards the root is missing.
        whole.extend(b"...");
    }
    for component in components {
        // The root of a pseudo file system is called "/" itself.
        if component != b"/" {
            if !(whole.is_empty() && text.flags & DETACHED != 0) {
                whole.push(b'/');
            }
            whole.extend(component);
        }
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    Some(Path { text: escaped(whole), source: PathSource::Kernel, truncated })
}

/// A syscall's path argument, made absolute by text alone.
#[must_use]
pub fn argument(directory: &PathText, argument: &ArgumentText) -> Path {
    argument_at(path(directory).as_ref(), argument)
}

/// The same, with a directory that is decoded already.
#[must_use]
pub fn argument_at(directory: Option<&Path>, argument: &ArgumentText) -> Path {
    let bytes = clamp(&argument.bytes, argument.length);
    let truncated = argument.flags & (TRUNCATED | UNREADABLE) != 0;
    let mut text = escape(bytes);
    if !text.starts_with('/')
        && let Some(start) = directory
    {
        text = if start.text == "/" { format!("/{text}") } else { format!("{}/{text}", start.text) };
    }
    Path { text: normal(&text), source: PathSource::Argument, truncated }
}

/// Removes `.`, `..` and doubled slashes by text.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    let absolute = path.starts_with('/');
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

/// Plain text, such as a cgroup path.
#[must_use]
pub fn plain(text: &ArgumentText) -> String {
    escape(clamp(&text.bytes, text.length))
}

/// An argument vector. `None` when it could not be read.
#[must_use]
pub fn argv(text: &ArgvText) -> Option<Argv> {
    if text.length == 0 && text.flags & UNREADABLE != 0 {
        return None;
    }
    let mut bytes = clamp(&text.bytes, text.length);
    if bytes.last() == Some(&0) {
        bytes = &bytes[..bytes.len() - 1];
    }
    let arguments =
        if text.length == 0 { Vec::new() } else { bytes.split(|byte| *byte == 0).map(escape).collect() };
    Some(Argv { arguments, truncated: text.flags & TRUNCATED != 0, full_length_bytes: text.full_length })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;
    use sentry_common::record::text::{ARGUMENT_CAPACITY, ARGV_CAPACITY, PATH_CAPACITY, PATH_SLACK};

    use super::*;

    fn path_text(components: &[&[u8]], flags: u32) -> PathText {
        let mut text = PathText { length: 0, flags, bytes: [0xaa; PATH_CAPACITY + PATH_SLACK] };
        for component in components {
            let start = text.length as usize;
            text.bytes[start..start + component.len()].copy_from_slice(component);
            text.bytes[start + component.len()] = 0;
            text.length += component.len() as u32 + 1;
        }
        text
    }

    fn argument_text(bytes: &[u8]) -> ArgumentText {
        let mut text =
            ArgumentText { length: bytes.len() as u32, flags: 0, bytes: [0xaa; ARGUMENT_CAPACITY] };
        text.bytes[..bytes.len()].copy_from_slice(bytes);
        text
    }

    #[test]
    fn components_are_turned_into_a_path() {
        assert_eq!(path(&path_text(&[b"hosts", b"etc"], 0)).unwrap().text, "/etc/hosts");
        assert_eq!(path(&path_text(&[], 0)).unwrap().text, "/");
    }

    #[test]
    fn a_detached_file_keeps_its_bare_name() {
        assert_eq!(path(&path_text(&[b"memfd:x"], DETACHED)).unwrap().text, "memfd:x");
    }

    #[test]
    fn a_cut_path_says_so() {
        let cut = path(&path_text(&[b"c", b"b"], TRUNCATED)).unwrap();
        assert_eq!((cut.text.as_str(), cut.truncated), (".../b/c", true));
    }

    #[test]
    fn odd_bytes_survive() {
        assert_eq!(escape(b"a\xff\\b\n"), "a\\xff\\\\b\n");
    }

    #[test]
    fn a_relative_argument_starts_at_its_directory() {
        let directory = path_text(&[b"user", b"home"], 0);
        assert_eq!(argument(&directory, &argument_text(b"x/../y")).text, "/home/user/y");
        assert_eq!(argument(&directory, &argument_text(b"/z")).text, "/z");
    }

    #[test]
    fn arguments_keep_empty_members() {
        let mut text = ArgvText { length: 5, flags: 0, full_length: 5, bytes: [0; ARGV_CAPACITY] };
        text.bytes[..5].copy_from_slice(b"a\0\0b\0");
        assert_eq!(argv(&text).unwrap().arguments, ["a", "", "b"]);
    }

    proptest! {
        #[test]
        fn what_was_escaped_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(unescape(&escape(&bytes)), Some(OsString::from_vec(bytes).into()));
        }

        #[test]
        fn any_text_is_unescaped_or_not(text in any::<String>()) {
            let _path = unescape(&text);
        }

        #[test]
        fn any_lengths_and_flags_are_survived(
            length in any::<u32>(),
            flags in any::<u32>(),
            fill in proptest::collection::vec(any::<u8>(), ARGV_CAPACITY..=ARGV_CAPACITY),
        ) {
            let bytes: [u8; ARGV_CAPACITY] = fill.clone().try_into().unwrap();
            let _argv = argv(&ArgvText { length, flags, full_length: 0, bytes });
            let bytes: [u8; PATH_CAPACITY + PATH_SLACK] =
                fill[..PATH_CAPACITY + PATH_SLACK].try_into().unwrap();
            let text = PathText { length, flags, bytes };
            let _path = path(&text);
            let bytes: [u8; ARGUMENT_CAPACITY] = fill[..ARGUMENT_CAPACITY].try_into().unwrap();
            let _argument = argument(&text, &ArgumentText { length, flags, bytes });
        }
    }
}
