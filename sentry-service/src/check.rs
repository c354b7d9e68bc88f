//! What `config check` answers, in the same words by both programs.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// All that was looked at, and all that is wrong.
#[derive(Debug)]
pub struct Report {
    /// Which file, or where one would be.
    pub file: PathBuf,
    /// Whether there is one; without it the defaults hold.
    pub is_there: bool,
    /// What holds, for a person: a line for each key.
    pub settings: String,
    /// The same, for programs.
    pub values: Map<String, Value>,
    pub found: Found,
}

/// What was found in the configuration and in what it names.
#[derive(Debug, Default)]
pub struct Found {
    /// What is well, a line each.
    pub checked: Vec<String>,
    /// What will be wrong soon, or is only unwise.
    pub warnings: Vec<String>,
    pub errors: Vec<Problem>,
}

/// Something that is wrong. Line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The whole of it, the place included.
    pub what: String,
    /// The file that is wrong, where it is one.
    pub file: Option<PathBuf>,
    pub place: Option<(u64, u64)>,
}

// === impl Report ===

impl Report {
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.found.errors.is_empty()
    }

    /// For standard output: what holds.
    #[must_use]
    pub fn text(&self) -> String {
        let file = self.file.display();
        let mut text = if self.is_there {
            format!("{file} is valid\n")
        } else {
            format!("there is no {file}; the defaults hold\n")
        };
        text.push_str(self.settings.trim_end());
        for line in &self.found.checked {
            text.push_str(&format!("\nchecked: {line}"));
        }
        for line in &self.found.warnings {
            text.push_str(&format!("\nwarning: {line}"));
        }
        text
    }

    /// For standard error, a line each: what is wrong.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let errors = self.found.errors.iter().map(|problem| problem.what.clone());
        errors.chain(self.found.warnings.iter().map(|line| format!("warning: {line}")))
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let mut value = json!({
            "type": "config", "valid": self.is_valid(), "file": self.file, "exists": self.is_there,
            "checked": self.found.checked, "warnings": self.found.warnings,
            "errors": self.found.errors.iter().map(Problem::json).collect::<Vec<_>>(),
        });
        if let Some(value) = value.as_object_mut() {
            value.extend(self.values.clone());
        }
        value
    }
}

// === impl Problem ===

impl Problem {
    #[must_use]
    pub fn new(what: String) -> Self {
        Self { what, file: None, place: None }
    }

    #[must_use]
    pub fn in_file(what: String, file: &Path, place: Option<(u64, u64)>) -> Self {
        Self { what, file: Some(file.to_owned()), place }
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let (line, column) = self.place.unzip();
        json!({"what": self.what, "file": self.file, "line": line, "column": column})
    }
}
