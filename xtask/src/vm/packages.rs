//! Reading a Debian archive's indexes: which package is the newest of a name, and what its bytes
//! must be.

use std::cmp::Ordering;

/// A package as the index describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Path below the mirror's address.
    pub(super) filename: String,
    pub(super) sha256: String,
}

/// The newest package whose name matches the pattern.
pub(super) fn newest(index: &str, pattern: &str) -> Option<Package> {
    index
        .split("\n\n")
        .filter(|stanza| stanza.trim_start().starts_with("Package: "))
        .filter(|stanza| field(stanza, "Package").is_some_and(|name| matches(pattern, name)))
        .filter_map(|stanza| {
            Some(Package {
                name: field(stanza, "Package")?.to_owned(),
                version: field(stanza, "Version")?.to_owned(),
                filename: field(stanza, "Filename")?.to_owned(),
                sha256: field(stanza, "SHA256")?.to_owned(),
            })
        })
        .max_by(|a, b| compare_versions(&a.version, &b.version))
}

/// The SHA-256 that a release file gives for an index.
pub(super) fn release_hash(release: &str, path: &str) -> Option<String> {
    let (_, hashes) = release.split_once("\nSHA256:")?;
    hashes
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find_map(|words| match words[..] {
            [hash, _size, name] if name == path => Some(hash.to_owned()),
            _ => None,
        })
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
}

/// `*` in the pattern stands for any characters, the rest for itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// Order of versions as the Debian policy manual (§ 5.6.12) defines it.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| compare_part(&a.1, &b.1)).then_with(|| compare_part(&a.2, &b.2))
}

fn compare_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (words_a, words_b) = (split(&mut a, false), split(&mut b, false));
        let by_words = compare_words(words_a, words_b);
        if by_words != Ordering::Equal {
            return by_words;
        }
        let number = |digits: &str| digits.parse::<u128>().unwrap_or(0);
        let by_number = number(split(&mut a, true)).cmp(&number(split(&mut b, true)));
        if by_number != Ordering::Equal {
            return by_number;
        }
    }
    Ordering::Equal
}

/// Takes the leading digits, or the leading non-digits, off the text.
fn split<'a>(text: &mut &'a str, digits: bool) -> &'a str {
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

/// Letters sort before all else, and `~` before even the end.
fn compare_words(a: &str, b: &str) -> Ordering {
    let rank = |c: Option<char>| match c {
        Some('~') => (0, 0),
        None => (1, 0),
        Some(c) if c.is_ascii_alphabetic() => (2, u32::from(c)),
        Some(c) => (3, u32::from(c)),
    };
    let (mut a, mut b) = (a.chars(), b.chars());
    loop {
        let (next_a, next_b) = (a.next(), b.next());
        let order = rank(next_a).cmp(&rank(next_b));
        if order != Ordering::Equal || next_a.is_none() {
            return order;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const INDEX: &str = "\
Package: linux-image-6.1.0-9-cloud-amd64
Version: 6.1.27-1
Filename: pool/main/l/old.deb
SHA256: aa

Package: linux-image-6.1.0-47-cloud-amd64
Source: linux-signed-amd64 (6.1.170+3)
Version: 6.1.170-3
Description: Linux 6.1
Filename: pool/main/l/new.deb
SHA256: bb

Package: linux-image-6.1.0-47-cloud-amd64-unsigned
Version: 6.1.999-1
Filename: pool/main/l/unsigned.deb
SHA256: cc
";

    #[test]
    fn picks_the_newest_of_the_pattern() {
        let found = newest(INDEX, "linux-image-6.1.*-cloud-amd64").unwrap();
        assert_eq!((found.filename.as_str(), found.sha256.as_str()), ("pool/main/l/new.deb", "bb"));
        assert_eq!(newest(INDEX, "linux-image-5.10.*-cloud-amd64"), None);
    }

    #[test]
    fn orders_versions_as_dpkg_does() {
        let ordered =
            ["6.1~rc1-1", "6.1-1", "6.1-2", "6.1+b1-1", "6.1.9-1", "6.1.27-1", "6.12.94+deb13-1", "1:1.0-1"];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare_versions(a, b), i.cmp(&j), "{a} against {b}");
            }
        }
    }

    #[test]
    fn reads_the_hash_of_an_index() {
        let release = "Codename: x\nMD5Sum:\n 11 5 main/Packages.xz\nSHA256:\n 22 5 main/Packages.xz\n 33 6 \
            b\nEnd: 1\n";
        assert_eq!(release_hash(release, "main/Packages.xz").as_deref(), Some("22"));
        assert_eq!(release_hash(release, "contrib/Packages.xz"), None);
    }
}
