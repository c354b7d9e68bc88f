//! The documentation's tables of rules and thresholds are those of the code.

use sentry_detect::rule::{Limits, RULES};

const README: &str = include_str!("../../../README.md");
const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");

/// The rows of a table, after its head.
fn rows(text: &str, head: &str) -> Vec<String> {
    let table = text.lines().skip_while(|line| *line != head).skip(2);
    table.take_while(|line| line.starts_with('|')).map(str::to_owned).collect()
}

#[test]
fn every_rule_is_in_the_readme() {
    let expected: Vec<_> =
        RULES.iter().map(|rule| format!("| `{}` | {} | {} |", rule.id, rule.when, rule.severity)).collect();
    assert_eq!(rows(README, "| rule | when | severity |"), expected);
}

#[test]
fn every_threshold_is_in_the_documentation() {
    let expected: Vec<_> = Limits::keys()
        .map(|key| {
            let number = key.default.replace('_', "");
            let default = match number.as_str() {
                switch @ ("true" | "false") => format!("`{switch}`"),
                number => number.trim_end_matches(".0").to_owned(),
            };
            format!("| `{}` | {default} |{} |", key.name, key.meaning)
        })
        .collect();
    assert_eq!(rows(CONFIGURATION, "| key | default | a finding needs |"), expected);
}
