//! All rules of some files, or all that is wrong with them.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{MOST_FILE_BYTES, MOST_RULES, cost, file::File, rule::Rule};

/// A file: what it is called, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// Something that is wrong in a file. Line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// [`Source::name`].
    pub file: String,
    pub line: u64,
    pub column: u64,
    pub what: String,
}

/// Rules that were checked, in the order of their ids. Two are equal that were read from the same
/// files.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    files: usize,
    digest: String,
}

impl RuleSet {
    /// Reads all files: whole or not at all.
    ///
    /// # Errors
    /// Everything that is wrong, file by file and in the order of its lines.
    pub fn read(sources: &[Source]) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        // Where each id stands.
        let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
        let mut digest = Sha256::new();
        let mut cost = 0_u64;
        for source in sources {
            for part in [&source.name, &source.text] {
                digest.update((part.len() as u64).to_be_bytes());
                digest.update(part.as_bytes());
            }
            let mut found = Vec::new();
            for (line, rule) in read_one(source, &mut found) {
                let mut wrong = |what| found.push(mistake(source, line, what));
                cost = cost.saturating_add(rule.when.as_ref().map_or(0, |when| when.cost));
                if let Some(other) = rules.get(rule.id.as_str()) {
                    wrong(format!(
                        "the id `{}` is taken by a rule in {}; give one of them another id",
                        rule.id, other.file
                    ));
                } else if rules.len() == MOST_RULES {
                    wrong(format!("more than {MOST_RULES} rules; leave some out"));
                } else if cost > cost::MOST_OF_ALL {
                    wrong(format!(
                        "the conditions of all rules up to this one may touch {cost} bytes of one event, and {} are \
                         allowed; look at fewer lists",
                        cost::MOST_OF_ALL
                    ));
                } else {
                    rules.insert(rule.id.as_str().to_owned(), rule);
                }
            }
            found.sort_by_key(|mistake| (mistake.line, mistake.column));
            mistakes.extend(found);
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let rules: Vec<Rule> = rules.into_values().collect();
        let digest = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { rules, files: sources.len(), digest })
    }

    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Files that it was read from.
    #[must_use]
    pub const fn files(&self) -> usize {
        self.files
    }

    /// The first 12 hex digits of a SHA-256 over the names and texts of all files.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// The rules of a file that are right, with their places.
fn read_one(source: &Source, mistakes: &mut Vec<Mistake>) -> Vec<((u64, u64), Rule)> {
    if source.text.len() as u64 > MOST_FILE_BYTES {
        mistakes.push(mistake(source, (1, 1), format!("the file has more than {MOST_FILE_BYTES} bytes")));
        return Vec::new();
    }
    let file = match sentry_yaml::read::<File>(&source.text) {
        Ok(file) => Some(file),
        Err(found) => {
            for sentry_yaml::Mistake { line, column, what } in found.all {
                mistakes.push(mistake(source, (line, column), what));
            }
            found.rest
        }
    };
    let of_text: Vec<u64> = mistakes.iter().map(|mistake| mistake.line).collect();
    let typed = file.map(|file| file.rules).unwrap_or_default();
    let starts: Vec<u64> = typed.iter().map(|rule| rule.id.referenced.line()).collect();
    let mut rules = Vec::new();
    for typed in typed {
        let id = typed.id.referenced;
        let end = starts.iter().copied().filter(|start| *start > id.line()).min().unwrap_or(u64::MAX);
        // What the rule lacks as a whole may only be what is mistyped in it.
        let is_partial = of_text.iter().any(|line| (id.line()..end).contains(line));
        match Rule::new(typed, &source.name) {
            Ok(rule) => rules.push(((id.line(), id.column()), rule)),
            Err(wrong) => mistakes.extend(wrong.into_iter().filter_map(|(at, what)| {
                (at != id || !is_partial).then(|| mistake(source, (at.line(), at.column()), what))
            })),
        }
    }
    rules
}

fn mistake(source: &Source, (line, column): (u64, u64), what: String) -> Mistake {
    Mistake { file: source.name.clone(), line, column, what }
}
