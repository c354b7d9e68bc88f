//! Numbers that a program shows of itself.
//!
//! [`metrics!`](crate::metrics!) declares them, each once: its name, what sort of number it is, its
//! labels and its meaning, and the field that holds it. What is shown and what the documentation
//! says are made of that. [`text()`] writes families in either form that scrapers read.
//!
//! A label has few values, known beforehand, and never an id: every value is a series that
//! somebody has to store.

mod text;

mod value;

use std::borrow::Cow;

pub use text::{Form, text};
pub use value::{Bounds, Build, By, Histogram, Label, Values};

/// What the numbers of a family do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grow while the program runs. Their names end in `_total`.
    Counter,
    /// Go up and down.
    Gauge,
    /// Observations, counted by size.
    Histogram,
}

/// A family as the program declares it.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// A family of series as they are now.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub help: Cow<'static, str>,
    pub samples: Vec<Sample>,
}

/// One number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// What follows the name of the family: of a histogram `_bucket`, `_sum` or `_count`.
    pub suffix: Cow<'static, str>,
    /// Name and value.
    pub labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    pub value: f64,
}

// === impl Kind ===

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Counter, Self::Gauge, Self::Histogram];

    /// What scrapers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

// === impl Family ===

impl Family {
    /// What a declared family has now.
    #[must_use]
    pub fn of(declared: &Declared, values: &dyn Values) -> Self {
        let Declared { name, kind, labels, help } = *declared;
        let mut samples = Vec::new();
        values.put(labels, &mut samples);
        Self { name: name.into(), kind, help: help.into(), samples }
    }
}

/// Declares numbers: the prefix of their names; of each its kind, its name, its labels, the type of
/// the field that holds it, and its meaning, which is a sentence.
#[macro_export]
macro_rules! metrics {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident in $prefix:literal {
            $($kind:ident $field:ident $([$($label:literal),+])?: $type:ty, $help:literal;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        $vis struct $name {
            $(
                #[doc = $help]
                $vis $field: $type,
            )*
        }

        impl $name {
            /// Every family, in the order of the documentation.
            $vis const DECLARED: &[$crate::metrics::Declared] = &[
                $($crate::metrics::Declared {
                    name: concat!($prefix, stringify!($field)),
                    kind: $crate::metrics::Kind::$kind,
                    labels: &[$($($label),+)?],
                    help: $help,
                },)*
            ];

            /// What they are now.
            $vis fn families(&self) -> Vec<$crate::metrics::Family> {
                let values: Vec<&dyn $crate::metrics::Values> = vec![$(&self.$field),*];
                let families = Self::DECLARED.iter().zip(values);
                families.map(|(declared, values)| $crate::metrics::Family::of(declared, values)).collect()
            }
        }
    };
}

/// The rows of a table of declared families, in Markdown.
#[must_use]
pub fn table(declared: &[Declared]) -> Vec<String> {
    let row = |Declared { name, kind, labels, help }: &Declared| {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        let space = if labels.is_empty() { "" } else { " " };
        format!("| `{name}` | {} |{space}{labels} | {help} |", kind.name())
    };
    declared.iter().map(row).collect()
}

/// A page in which the first table behind a heading has these rows.
///
/// `None`: the page has no such heading with a table behind it.
#[must_use]
pub fn with_table(page: &str, heading: &str, rows: &[String]) -> Option<String> {
    let mut lines = page.lines();
    let mut with = Vec::new();
    for until in [heading, "|---"] {
        loop {
            let line = lines.next()?;
            with.push(line);
            if line.starts_with(until) {
                break;
            }
        }
    }
    with.extend(rows.iter().map(String::as_str));
    with.extend(lines.skip_while(|line| line.starts_with('|')));
    Some(with.join("\n") + "\n")
}

#[cfg(test)]
mod tests;
