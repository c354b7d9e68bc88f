//! What the scenarios have to show: the rows of `tests/rows.toml`.

use serde::Deserialize;

/// One row. Its variants are the scenarios that name it and the tests that it names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub id: String,
    pub title: String,
    /// Integration tests, as `module::function`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// Why there are fewer than two variants, or what of the row is not reported at all.
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn rows() -> Vec<Row> {
    let table: Table =
        toml::from_str(include_str!("../../rows.toml")).unwrap_or_else(|error| panic!("rows.toml: {error}"));
    table.row
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Row, rows};
    use crate::scenario::{Scenario, to_run};

    /// What is wrong with the rows and the scenarios together.
    fn faults(rows: &[Row], scenarios: &[Scenario]) -> Vec<String> {
        let mut variants: BTreeMap<&str, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for row in rows {
            if variants.insert(&row.id, row.tests.len()).is_some() {
                faults.push(format!("row {} stands twice", row.id));
            }
        }
        for scenario in scenarios {
            for row in &scenario.rows {
                match variants.get_mut(row.as_str()) {
                    Some(count) => *count += 1,
                    None => faults.push(format!("{}: there is no row {row}", scenario.id)),
                }
            }
        }
        for row in rows.iter().filter(|row| row.reason.is_none()) {
            if variants[row.id.as_str()] < 2 {
                faults.push(format!("{} ({}) has {} variants", row.id, row.title, variants[row.id.as_str()]));
            }
        }
        faults
    }

    #[test]
    fn every_row_has_two_variants_or_a_reason() {
        let faults = faults(&rows(), &to_run());
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_row_with_too_few_variants_is_a_fault() {
        let mut rows = rows();
        rows.truncate(1);
        rows[0].tests.clear();
        assert_eq!(faults(&rows, &[]).len(), 1);
        rows[0].reason = Some("a reason".to_owned());
        assert!(faults(&rows, &[]).is_empty());
        rows.push(rows[0].clone());
        assert_eq!(faults(&rows, &[]).len(), 1);
    }
}
