//! The second table of the page: what the scenarios have to show, and which of them show it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use anyhow::{Context as _, Result};

use super::line::{Line, note};
use crate::paths;

const FILE: &str = "tests/rows.toml";

/// One row of `tests/rows.toml`.
#[derive(Debug)]
pub(super) struct Row {
    id: String,
    title: String,
    tests: Vec<String>,
    reason: Option<String>,
}

pub(super) fn read() -> Result<Vec<Row>> {
    let text = fs::read_to_string(paths::root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    rows_in(&text).with_context(|| format!("{FILE} is not a list of rows"))
}

fn rows_in(text: &str) -> Result<Vec<Row>> {
    let table: toml::Table = text.parse()?;
    let rows = table.get("row").and_then(toml::Value::as_array).context("no row")?;
    let text = |row: &toml::Value, key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    rows.iter()
        .map(|row| {
            let tests = row.get("tests").and_then(toml::Value::as_array).into_iter().flatten();
            Ok(Row {
                id: text(row, "id").context("a row without an id")?,
                title: text(row, "title").context("a row without a title")?,
                tests: tests.filter_map(toml::Value::as_str).map(str::to_owned).collect(),
                reason: text(row, "reason"),
            })
        })
        .collect()
}

pub(super) fn render<'a>(
    page: &mut String,
    rows: &'a [Row],
    lines: &'a [Line],
    places: &[&str],
    notes: &mut Vec<&'a str>,
) {
    for row in rows {
        let of_row: Vec<&Line> = lines.iter().filter(|line| line.rows.contains(&row.id)).collect();
        let mut shown: Vec<String> = of_row.iter().map(|line| line.id.clone()).collect();
        shown.sort();
        shown.dedup();
        let all = shown.len();
        shown.extend(row.tests.iter().map(|test| format!("`{test}`")));
        let reason = row.reason.iter().map(|reason| format!(" ({})", note(reason, notes)));
        let title: String = [row.title.clone()].into_iter().chain(reason).collect();
        write!(page, "| {} | {title} | {} |", row.id, shown.join(", ")).ok();
        for place in places {
            let here: Vec<&Line> = of_row.iter().filter(|line| line.place == *place).copied().collect();
            write!(page, " {} |", verdict(&here, all, row, notes)).ok();
        }
        page.push('\n');
    }
}

/// How many of the row's `all` scenarios were seen, and what the others say. Where nothing was
/// played, what the tests say is not known here.
fn verdict<'a>(here: &[&'a Line], all: usize, row: &Row, notes: &mut Vec<&'a str>) -> String {
    if here.is_empty() {
        return if row.tests.is_empty() { "–" } else { "test" }.to_owned();
    }
    let seen = here.iter().filter(|line| line.verdict == "seen").count();
    let mut others: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for line in here.iter().filter(|line| line.verdict != "seen") {
        let numbers = others.entry(&line.verdict).or_default();
        numbers.extend(line.reasons.iter().map(|reason| note(reason, notes)));
    }
    let mut cell = if seen == all { "seen".to_owned() } else { format!("{seen} of {all} seen") };
    for (verdict, numbers) in others {
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        write!(cell, ", {verdict} ({})", numbers.join(", ")).ok();
    }
    cell
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::{render, rows_in};
    use crate::coverage::line::Line;

    #[test]
    fn a_row_shows_its_scenarios_and_the_worst_verdict() {
        let rows = rows_in(
            "[[row]]\nid = \"A1\"\ntitle = \"t\"\ntests = [\"m::f\"]\n[[row]]\nid = \"M1\"\ntitle \
            = \"u\"\nreason = \"why\"\n",
        )
        .unwrap();
        let line = |id: &str, verdict: &str, reasons: &[&str]| Line {
            id: id.to_owned(),
            title: String::new(),
            rows: vec!["A1".to_owned()],
            place: "6.12 A".to_owned(),
            verdict: verdict.to_owned(),
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        let lines = [line("A01", "seen", &[]), line("A02", "limit", &["no hook"])];
        let (mut page, mut notes) = (String::new(), Vec::new());
        render(&mut page, &rows, &lines, &["6.12 A"], &mut notes);
        assert_eq!(page, "| A1 | t | A01, A02, `m::f` | 1 of 2 seen, limit (1) |\n| M1 | u (2) |  | – |\n");
        assert_eq!(notes, ["no hook", "why"]);
    }
}
