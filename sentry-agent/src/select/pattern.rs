//! Text with wildcards.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

/// A glob: `*` and `?` stand for anything but a slash, `**` for any number of path components,
/// `[…]` for one of a set, `{a,b}` for one of several. A backslash stands for itself: systemd
/// writes some into names of units.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

/// Why a text is no pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a pattern: {why}")]
pub struct PatternError {
    text: String,
    why: String,
}

/// Characters with a meaning of their own.
const WILD: &[char] = &['*', '?', '[', '{'];

impl Pattern {
    /// # Errors
    /// Where the text is empty or its brackets do not close.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let wrong = |why: String| PatternError { text: text.into(), why };
        if text.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
        let glob = glob.map_err(|error| wrong(error.kind().to_string()))?;
        Ok(Self { text: text.into(), matcher: glob.compile_matcher() })
    }

    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The beginning that all matches share, and whether it is the whole match.
    #[must_use]
    pub fn literal_prefix(&self) -> (&str, bool) {
        match self.text.find(WILD) {
            Some(at) => (&self.text[..at], false),
            None => (&self.text, true),
        }
    }

    /// The last component, where it has no wildcard.
    #[must_use]
    pub fn literal_file_name(&self) -> Option<&str> {
        let name = self.text.rsplit('/').next()?;
        (!name.is_empty() && !name.contains(WILD)).then_some(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_component_and_two_do_not() {
        let star = Pattern::new("/kubepods/*/pod").unwrap();
        assert!(star.is_match("/kubepods/burstable/pod"));
        assert!(!star.is_match("/kubepods/a/b/pod"));
        let two = Pattern::new("/kubepods/**/pod").unwrap();
        assert!(two.is_match("/kubepods/a/b/pod"));
    }

    #[test]
    fn what_is_literal_of_a_pattern() {
        let of = |text| {
            let pattern = Pattern::new(text).unwrap();
            let (prefix, whole) = pattern.literal_prefix();
            (prefix.to_owned(), whole, pattern.literal_file_name().map(str::to_owned))
        };
        assert_eq!(of("claude@*.service"), ("claude@".into(), false, None));
        assert_eq!(of("/usr/*/claude"), ("/usr/".into(), false, Some("claude".into())));
        assert_eq!(of("nightly.service"), ("nightly.service".into(), true, Some("nightly.service".into())));
    }

    #[test]
    fn what_is_no_pattern_is_refused_in_words() {
        let wrong = |text| Pattern::new(text).unwrap_err().to_string();
        assert_eq!(wrong(""), "\"\" is not a pattern: it is empty");
        assert!(wrong("a[").starts_with("\"a[\" is not a pattern: "), "{}", wrong("a["));
    }
}
