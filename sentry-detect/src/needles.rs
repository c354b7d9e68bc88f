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
        let texts: Option<Vec<&str>> = globs.iter().map(|glob| needed(glob)).collect();
        Self(texts.and_then(|texts| AhoCorasick::new(texts).ok()))
    }

    /// Whether one of the globs can match; false is certain.
    pub(crate) fn may_match(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|texts| texts.is_match(path))
    }
}

/// The longest text outside of wildcards and alternatives, without the slashes at its ends: `**`
/// may take those with it.
fn needed(glob: &str) -> Option<&str> {
    let mut longest = "";
    let (mut from, mut depth, mut escaped) = (0, 0_u32, false);
    let ends = glob.char_indices().chain([(glob.len(), '*')]);
    for (at, c) in ends {
        let is_plain = depth == 0 && !escaped && !matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\');
        if !is_plain {
            let text = glob[from.min(at)..at].trim_matches('/');
            if text.len() > longest.len() {
                longest = text;
            }
            from = at + c.len_utf8();
        }
        (depth, escaped) = match c {
            _ if escaped => (depth, false),
            '\\' => (depth, true),
            '{' | '[' => (depth + 1, false),
            '}' | ']' => (depth.saturating_sub(1), false),
            _ => (depth, false),
        };
    }
    (longest.len() >= SHORTEST).then_some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_each_match_has_is_outside_of_what_may_vary() {
        for (glob, text) in [
            ("**/.ssh/id_*", Some(".ssh/id_")),
            ("/etc/ssh/ssh_host_*_key", Some("etc/ssh/ssh_host_")),
            ("/{var/,}run/secrets/**", Some("run/secrets")),
            ("**/.config/{chrome,edge}/**/{Cookies,State}", Some(".config")),
            ("a/**/long/name", Some("long/name")),
            ("**/[abcdef]/.env", Some(".env")),
            (r"name\*more", Some("name")),
            ("**/{Cookies,Login Data}", None),
            ("*", None),
            ("/a/*", None),
        ] {
            assert_eq!(needed(glob), text, "{glob}");
        }
    }

    #[test]
    fn one_glob_that_can_do_without_opens_the_way_for_all_paths() {
        let of = |globs: &[&str]| Needles::of(&globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>());
        assert!(!of(&["**/.ssh/id_*"]).may_match("/etc/passwd"));
        assert!(of(&["**/.ssh/id_*"]).may_match("/root/.ssh/id_rsa"));
        assert!(of(&["**/.ssh/id_*", "*"]).may_match("/etc/passwd"));
        assert!(!of(&[]).may_match("/etc/passwd"));
    }
}
