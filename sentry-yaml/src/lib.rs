//! A file in YAML that somebody wrote by hand, and every mistake in it.
//!
//! A parser that fills a type ends at the first mistake. Here the pair or item that is wrong is
//! taken out of the text and the rest is read again, until nothing is wrong or nothing can be taken
//! out. A mistake that is there only because something was taken out is not reported.
//!
//! No I/O: the text is an argument.
#![forbid(unsafe_code)]

mod entries;

mod nearest;

use std::ops::RangeInclusive;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_saphyr::{Error, Location};

use self::entries::{Entry, blank, entries};
pub use self::nearest::nearest;

/// Mistakes that are reported; who has made more begins with these.
const MOST: usize = 20;
/// How often the text is read: mistakes, and pieces that are wrong without one.
const ROUNDS: usize = 100;

/// Something that is wrong in the text. Line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub line: u64,
    pub column: u64,
    pub what: String,
}

/// All that is wrong.
#[derive(Debug)]
pub struct Mistakes<T> {
    pub all: Vec<Mistake>,
    /// What is right about the text, if that is a whole.
    pub rest: Option<T>,
    /// Sections of the top level in which something was wrong.
    doubtful: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    key: Option<String>,
    lines: RangeInclusive<u64>,
}

// === impl Mistakes ===

impl<T> Mistakes<T> {
    /// Whether this line is in a section that the rest does not have as a whole: what seems wrong
    /// there may only be what was taken out.
    #[must_use]
    pub fn is_doubtful(&self, line: u64) -> bool {
        self.doubtful.iter().any(|section| section.lines.contains(&line))
    }

    /// The same, for one of these sections, by their keys.
    #[must_use]
    pub fn is_any_doubtful(&self, keys: &[&str]) -> bool {
        self.doubtful.iter().any(|section| section.key.as_deref().is_some_and(|key| keys.contains(&key)))
    }
}

/// Reads a text.
///
/// # Errors
/// All that is wrong with it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Mistakes<T>> {
    if text.trim().is_empty() {
        let what = "the file is empty; begin with `version: 1`".to_owned();
        let all = vec![Mistake { line: 1, column: 1, what }];
        return Err(Mistakes { all, rest: None, doubtful: Vec::new() });
    }
    match parse(text) {
        Ok(value) => Ok(value),
        Err(error) => Err(all(text, error)),
    }
}

fn all<T: DeserializeOwned>(text: &str, first: Error) -> Mistakes<T> {
    let mut found = Mistakes { all: Vec::new(), rest: None, doubtful: Vec::new() };
    let Some(entries) = entries(text) else {
        found.all.push(mistake(text, &first, None));
        // A value that is wrong may stand before what is no YAML.
        let of_form = parse::<IgnoredAny>(text).err().map(|error| mistake(text, &error, None));
        found.all.extend(of_form.filter(|mistake| *mistake != found.all[0]));
        return found;
    };
    let (mut left, mut error) = (text.to_owned(), first);
    let mut gone: Vec<usize> = Vec::new();
    for _round in 0..ROUNDS {
        let wrong = wrong_entry(&left, &entries, &gone, &error);
        if !follows(&entries, &gone, wrong, &error) {
            found.all.push(mistake(text, &error, wrong.map(|index| &entries[index])));
        }
        let (Some(index), true) = (wrong, found.all.len() < MOST) else { break };
        blank(&mut left, &entries[index]);
        gone.push(index);
        found.doubtful.push(section(text, &entries, index));
        if entries.iter().enumerate().all(|(index, entry)| entry.parent.is_some() || gone.contains(&index)) {
            // Nothing is left.
            break;
        }
        match parse(&left) {
            Ok(rest) => {
                found.rest = Some(rest);
                break;
            }
            Err(next) => error = next,
        }
        if self::entries::entries(&left).is_none() {
            break;
        }
    }
    found.all.sort_by_key(|mistake| (mistake.line, mistake.column));
    found
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
}

/// The entry to take out.
fn wrong_entry(text: &str, entries: &[Entry], gone: &[usize], error: &Error) -> Option<usize> {
    let at = place(text, &error.location()?);
    let around = |(index, entry): &(usize, &Entry)| {
        entry.range.start <= at && at <= entry.range.end && !gone.contains(index)
    };
    let smallest = entries
        .iter()
        .enumerate()
        .filter(around)
        .min_by_key(|(_, entry)| entry.range.len())
        .map(|(index, _)| index)?;
    if let Error::SerdeMissingField { .. } = error.without_snippet() {
        // Missing in the map that this is a pair of, or, at its brace, the value of.
        return if entries[smallest].range.start == at { entries[smallest].parent } else { Some(smallest) };
    }
    // Where a value is checked only when the whole map is read, the error stands at its beginning
    // and names the key.
    let text = error.without_snippet().to_string();
    let named = text.split('`').nth(1);
    let parent = entries[smallest].parent;
    let sibling = entries.iter().enumerate().find(|(index, entry)| {
        entry.parent == parent && entry.key.as_deref() == named && named.is_some() && !gone.contains(index)
    });
    Some(sibling.map_or(smallest, |(index, _)| index))
}

/// Whether the error is there because of what was taken out.
fn follows(entries: &[Entry], gone: &[usize], wrong: Option<usize>, error: &Error) -> bool {
    let mut gone = gone.iter().map(|index| &entries[*index]);
    match (wrong, error.without_snippet()) {
        (Some(wrong), _) => {
            let range = &entries[wrong].range;
            gone.any(|gone| range.start <= gone.range.start && gone.range.end <= range.end)
        }
        (None, Error::SerdeMissingField { field, .. }) => gone.any(|gone| {
            let key = gone.key.as_deref().unwrap_or_default();
            gone.parent.is_none() && nearest(key, [*field]).is_some()
        }),
        (None, _) => false,
    }
}

/// The entry of the top level that this one is in.
fn section(text: &str, entries: &[Entry], mut index: usize) -> Section {
    while let Some(parent) = entries[index].parent {
        index = parent;
    }
    let Entry { key, range, .. } = &entries[index];
    let line = |at| line_and_column(text, at).0;
    Section { key: key.clone(), lines: line(range.start)..=line(range.end) }
}

fn mistake(text: &str, error: &Error, wrong: Option<&Entry>) -> Mistake {
    let at = error.location();
    let (line, column) = match (wrong, &at) {
        // Nearer than the beginning of the map that it is in.
        (Some(entry), Some(at)) if place(text, at) < entry.range.start => {
            line_and_column(text, entry.range.start)
        }
        (_, Some(at)) => (at.line(), at.column()),
        (_, None) => (1, 1),
    };
    Mistake { line, column, what: in_words(error.without_snippet()) }
}

fn in_words(error: &Error) -> String {
    let (kind, found, expected) = match error {
        Error::SerdeUnknownField { field, expected, .. } => ("field", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => ("variant", variant, expected),
        other => {
            // The library ends its message with the place, which stands in front already, and with
            // advice to programmers.
            let what = other.to_string();
            let what = what.split(" at line ").next().unwrap_or(&what);
            return what.split(", set DuplicateKeyPolicy").next().unwrap_or(what).to_owned();
        }
    };
    match nearest(found, expected.iter().copied()) {
        Some(meant) => format!("unknown {kind} `{found}`; did you mean `{meant}`?"),
        None => format!("unknown {kind} `{found}`, expected one of {}", expected.join(", ")),
    }
}

/// The byte that a location names.
fn place(text: &str, at: &Location) -> usize {
    let lines = text.split_inclusive('\n').take(usize::try_from(at.line()).unwrap_or(usize::MAX));
    let lines: Vec<&str> = lines.collect();
    let Some((last, before)) = lines.split_last() else { return 0 };
    let column = usize::try_from(at.column()).unwrap_or(usize::MAX).saturating_sub(1);
    let within: usize = last.chars().take(column).map(char::len_utf8).sum();
    before.iter().map(|line| line.len()).sum::<usize>() + within
}

fn line_and_column(text: &str, at: usize) -> (u64, u64) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() as u64 + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
    (line, column)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
