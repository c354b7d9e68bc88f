//! A first look at a path, much cheaper than globs: a set of globs can match only where a text
//! stands that one of them cannot do without.

use aho_corasick::AhoCorasick;

/// A shorter text stands in too many paths to be worth a look.
const SHORTEST: usize = 4;

/// Texts of which each match has one; nothing where a glob can do without.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needles(Option<AhoCorasick>);

impl Needles {
    /// Of globs in which `*` and `?` stay within a name.
    pub(crate) fn of(globs: &[String]) -> Self {
        let needed = |glob: &String| literal(glob).filter(|text| text.len() >= SHORTEST);
        let texts: Option<Vec<String>> = globs.iter().map(needed).collect();
        Self(texts.and_then(|texts| AhoCorasick::new(texts).ok()))
    }

    /// Whether one of the globs can match; false is certain.
    pub(crate) fn may_match(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|texts| texts.is_match(path))
    }
}

/// The longest text that a glob has in every path that it matches; none where it has none.
/// Alternatives are passed over, and what stands behind a class or an escaped letter. Slashes at
/// the ends are left out: beside `**` a path may do without.
#[must_use]
pub fn literal(pattern: &str) -> Option<String> {
    let end = pattern.find(['[', '\\']).unwrap_or(pattern.len());
    let (mut pieces, mut alternatives) = (vec![String::new()], 0_u32);
    for letter in pattern[..end].chars() {
        match letter {
            '{' => alternatives += 1,
            '}' => alternatives = alternatives.saturating_sub(1),
            '*' | '?' => {}
            _ if alternatives > 0 => {}
            _ => {
                pieces.last_mut()?.push(letter);
                continue;
            }
        }
        pieces.push(String::new());
    }
    let trimmed = pieces.iter().map(|piece| piece.trim_matches('/'));
    trimmed.max_by_key(|piece| piece.len()).filter(|piece| !piece.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literal_of_a_glob_stands_in_all_that_it_matches() {
        for (glob, expected) in [
            ("**/.ssh/id_*", Some(".ssh/id_")),
            ("/etc/ssh/ssh_host_*_key", Some("etc/ssh/ssh_host_")),
            ("/{var/,}run/secrets/**", Some("run/secrets")),
            ("*/module-7/*", Some("module-7")),
            ("**/.aws/*", Some(".aws")),
            ("*.rs", Some(".rs")),
            ("/srv/**", Some("srv")),
            ("/a/{long,longer}/bc*d", Some("bc")),
            ("ab[]cdef]gh", Some("ab")),
            ("x\\*yyyy", Some("x")),
            ("{a,b{c,d}}e", Some("e")),
            ("*", None),
            ("/**", None),
        ] {
            assert_eq!(literal(glob).as_deref(), expected, "{glob}");
        }
    }

    #[test]
    fn one_glob_that_can_do_without_opens_the_way_for_all_paths() {
        let of = |globs: &[&str]| Needles::of(&globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>());
        assert!(!of(&["**/.ssh/id_*"]).may_match("/etc/passwd"));
        assert!(of(&["**/.ssh/id_*"]).may_match("/root/.ssh/id_rsa"));
        assert!(of(&["**/.ssh/id_*", "*"]).may_match("/etc/passwd"));
        assert!(!of(&[]).may_match("/etc/passwd"));
        assert!(of(&["**/key[]abcd]"]).may_match("/srv/keya"), "a class may begin with its own end");
    }
}
