//! The Debian mirror that apt already uses: no host name is written down here.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::step::Unavailable;

/// Overrides what apt is configured with, for distributions that are not Debian.
const OVERRIDE: &str = "AGENTSENTRY_DEBIAN_MIRROR";
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An archive and the keys that sign it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) uri: String,
    pub(super) keyring: PathBuf,
}

/// The mirror this machine gets its own release from.
pub(super) fn find() -> Result<Mirror> {
    if let Ok(uri) = env::var(OVERRIDE) {
        return Ok(Mirror { uri: uri.trim_end_matches('/').to_owned(), keyring: DEBIAN_KEYRING.into() });
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let debian = release.lines().any(|line| line == "ID=debian");
    let codename =
        release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or_default();
    let found =
        debian.then(|| sources().into_iter().find_map(|(path, text)| in_file(&path, &text, codename)));
    found.flatten().ok_or_else(|| {
        let what = format!(
            "apt is not configured with a Debian mirror here; set {OVERRIDE} to the address of one \
             (the part before /dists), or run the other parts only: `cargo xtask test --unit --host`"
        );
        Unavailable(what).into()
    })
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    files.push(PathBuf::from("/etc/apt/sources.list"));
    files.into_iter().filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

fn in_file(path: &Path, text: &str, codename: &str) -> Option<Mirror> {
    match path.extension()?.to_str()? {
        "sources" => text.split("\n\n").find_map(|stanza| in_stanza(stanza, codename)),
        "list" => text.lines().find_map(|line| in_line(line, codename)),
        _ => None,
    }
}

/// The `Key: value` form.
fn in_stanza(stanza: &str, codename: &str) -> Option<Mirror> {
    let field = |name: &str| {
        stanza.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let has = |name: &str, word: &str| field(name).is_some_and(|v| v.split_whitespace().any(|w| w == word));
    if !has("Types", "deb") || !has("Suites", codename) || !has("Components", "main") {
        return None;
    }
    if field("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("no")) {
        return None;
    }
    let uri = field("URIs")?.split_whitespace().find_map(usable)?;
    let keyring = field("Signed-By").filter(|path| path.starts_with('/'));
    Some(Mirror { uri, keyring: keyring.map_or_else(|| DEBIAN_KEYRING.into(), PathBuf::from) })
}

/// The `deb [options] uri suite component…` form.
fn in_line(line: &str, codename: &str) -> Option<Mirror> {
    let rest = line.trim().strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [uri, suite, components @ ..] = &words[..] else { return None };
    if *suite != codename || !components.contains(&"main") {
        return None;
    }
    let keyring = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Mirror { uri: usable(uri)?, keyring: keyring.map_or_else(|| DEBIAN_KEYRING.into(), PathBuf::from) })
}

fn usable(uri: &str) -> Option<String> {
    let plain = ["http://", "https://", "file:/"].iter().any(|scheme| uri.starts_with(scheme));
    plain.then(|| uri.trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn finds_the_main_archive_among_stanzas() {
        let text = "\
Types: deb
URIs: https://vendor.example/apt
Suites: nodistro
Components: main

Types: deb
# a comment: with a colon
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/some.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
";
        let mirror = in_file(Path::new("debian.sources"), text, "bookworm").unwrap();
        assert_eq!(mirror.uri, "http://mirror.example/debian");
        assert_eq!(mirror.keyring, Path::new("/usr/share/keyrings/some.gpg"));
        assert_eq!(in_file(Path::new("debian.sources"), text, "trixie"), None);
    }

    #[test]
    fn finds_the_main_archive_among_lines() {
        let text = "\
# deb http://old.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian bookworm main contrib
deb cdrom:[Debian]/ bookworm main";
        let mirror = in_file(Path::new("sources.list"), text, "bookworm").unwrap();
        assert_eq!(mirror, Mirror { uri: "https://mirror.example/debian".into(), keyring: "/k.gpg".into() });
    }
}
