//! `match:` one field against regular expressions and phrases. Time is linear in the text.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::field::{Facts, Field, Value};

/// Most bytes of a pattern.
pub(crate) const MOST_PATTERN_BYTES: usize = 1 << 10;
/// Most patterns of a rule.
pub(crate) const MOST_PATTERNS: usize = 64;
/// Most bytes of all patterns of a field, compiled; and of what is remembered while they run.
const COMPILED_BYTES: usize = 1 << 20;
const NESTED: u32 = 32;

/// One field, and what it is held against.
#[derive(Debug)]
pub(crate) struct Match {
    pub(crate) field: Field,
    regex: Option<RegexSet>,
    phrase: Option<AhoCorasick>,
    except: Option<RegexSet>,
}

/// A regular expression, checked by itself.
pub(crate) fn check(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MOST_PATTERN_BYTES {
        return Err(format!(
            "the pattern has {} bytes; at most {MOST_PATTERN_BYTES} are taken",
            pattern.len()
        ));
    }
    let built = RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .nest_limit(NESTED)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "the pattern becomes too large; count less in braces, or use `phrase`".to_owned()
        }
        // The last line says what it is; those before show where.
        other => {
            let text = other.to_string();
            let what = text.trim_end().lines().next_back().unwrap_or_default();
            let what = what.strip_prefix("error: ").unwrap_or(what);
            format!("{pattern:?} is not a regular expression: {what}")
        }
    })
}

// === impl Match ===

impl Match {
    /// # Errors
    /// The patterns are too large together. Each of them has been checked.
    pub(crate) fn new(
        field: Field,
        regex: &[&str],
        phrase: &[&str],
        except: &[&str],
    ) -> Result<Self, String> {
        let set = |patterns: &[&str]| -> Result<Option<RegexSet>, String> {
            if patterns.is_empty() {
                return Ok(None);
            }
            let built = RegexSetBuilder::new(patterns)
                .size_limit(COMPILED_BYTES)
                .dfa_size_limit(COMPILED_BYTES)
                .nest_limit(NESTED)
                .build();
            built.map(Some).map_err(|_too_big| "the patterns of this field are too large together".to_owned())
        };
        let phrases = if phrase.is_empty() {
            None
        } else {
            let built = AhoCorasick::builder().ascii_case_insensitive(true).build(phrase);
            Some(built.map_err(|error| format!("the phrases are too large together: {error}"))?)
        };
        Ok(Self { field, regex: set(regex)?, phrase: phrases, except: set(except)? })
    }

    /// Whether the field has a text that one of the patterns is in, and none of the exceptions.
    pub(crate) fn holds(&self, facts: &dyn Facts) -> bool {
        match facts.get(self.field) {
            Some(Value::Text(text)) => self.is_in(&text),
            Some(Value::List(texts)) => texts.iter().any(|text| self.is_in(text)),
            Some(Value::Number(_) | Value::Flag(_)) | None => false,
        }
    }

    /// The text that is meant, for a person.
    pub(crate) fn text<'a>(&self, facts: &'a dyn Facts) -> Option<Cow<'a, str>> {
        match facts.get(self.field)? {
            Value::Text(text) => Some(text),
            Value::List(texts) => texts.iter().find(|text| self.is_in(text)).map(|text| text.as_str().into()),
            Value::Number(_) | Value::Flag(_) => None,
        }
    }

    fn is_in(&self, text: &str) -> bool {
        let found = self.phrase.as_ref().is_some_and(|phrases| phrases.is_match(text))
            || self.regex.as_ref().is_some_and(|regex| regex.is_match(text));
        found && !self.except.as_ref().is_some_and(|except| except.is_match(text))
    }
}
