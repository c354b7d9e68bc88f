//! `cargo xtask coverage [--collect] [KERNEL…]`: the scenarios on this kernel and on those of the
//! matrix, and the page that says on which of them each is seen: `docs/coverage.md`.
//!
//! The driver of the scenarios prints a line `coverage: {…}` for each, which is found in the logs
//! of the runs. With `--collect` nothing is run: the logs are those that the last runs left.

mod line;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    args::Args,
    build::{self, What},
    cargo,
    coverage::line::{Line, note},
    paths, setup,
    step::{self, say},
    told::told,
    vm,
};

const AREA: &str = "coverage";
const SCENARIOS: &str = "scenarios::";
/// Name of the log of this kernel.
const HOST: &str = "coverage-host";
const PAGE: &str = "docs/coverage.md";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let collect = args.flag("--collect");
    let kernels = args.words();
    args.done()?;
    if !collect {
        setup::ensure()?;
        build::build(What::ProgramsAndTests)?;
        host()?;
        vm::run_named(&kernels, &[SCENARIOS.to_owned()])?;
    }
    let mut text = step::read_lossy(&step::log_path(HOST)?);
    for (name, log) in vm::logs_of(&kernels)? {
        let said = step::read_lossy(&log);
        if told(&said, MARK)?.is_empty() {
            bail!("{name} printed no coverage; see {}", paths::short(&log));
        }
        text.push_str(&said);
    }
    let lines = lines_in(&text)?;
    let page = paths::root().join(PAGE);
    fs::write(&page, render(&lines, &rows::read()?))
        .with_context(|| format!("cannot write {}", page.display()))?;
    let wrong = lines.iter().filter(|line| line.verdict == "wrong").count();
    say(AREA, format_args!("{PAGE}: {} results, {wrong} of them wrong", lines.len()));
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The scenarios on this kernel; what failed of them stands in the log.
fn host() -> Result<()> {
    let mut command = cargo::workspace("test");
    command.args(["--workspace", "--test", "it", "--", SCENARIOS, "--show-output", "--test-threads=1"]);
    step::attempt(AREA, "the scenarios on this kernel", HOST, &mut command)?;
    Ok(())
}

const MARK: &str = "coverage";

fn lines_in(text: &str) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for value in told(text, MARK)? {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let list = |key: &str| {
            let texts = value[key].as_array().into_iter().flatten();
            texts.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        lines.push(Line {
            id: text("id"),
            title: text("title"),
            place: format!("{} {}", short(&text("kernel")), text("tier")),
            verdict: text("verdict"),
            rows: list("rows"),
            reasons: list("reasons"),
        });
    }
    Ok(lines)
}

/// `6.12` of `6.12.43+deb13-cloud-amd64`.
fn short(release: &str) -> String {
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// By number, so that 6.12 comes after 6.1.
fn order(place: &str) -> (Vec<u32>, &str) {
    let (kernel, tier) = place.split_once(' ').unwrap_or((place, ""));
    (kernel.split('.').filter_map(|part| part.parse().ok()).collect(), tier)
}

fn render(lines: &[Line], rows: &[rows::Row]) -> String {
    let mut places: Vec<&str> = lines.iter().map(|line| line.place.as_str()).collect();
    places.sort_by_key(|place| order(place));
    places.dedup();
    let cells: BTreeMap<(&str, &str), &Line> =
        lines.iter().map(|line| ((line.id.as_str(), line.place.as_str()), line)).collect();
    let titles: BTreeMap<&str, &str> =
        lines.iter().map(|line| (line.id.as_str(), line.title.as_str())).collect();
    let mut notes: Vec<&str> = Vec::new();
    let mut page = HEAD.to_owned();
    let heads: Vec<String> = places.iter().map(|place| place.replace(' ', ", tier ")).collect();
    writeln!(page, "| | scenario | {} |\n|---|---|{}", heads.join(" | "), "---|".repeat(places.len())).ok();
    for (id, title) in &titles {
        write!(page, "| {id} | {title} |").ok();
        for place in &places {
            let cell = cells.get(&(*id, *place)).map_or("–".to_owned(), |line| cell(line, &mut notes));
            write!(page, " {cell} |").ok();
        }
        page.push('\n');
    }
    page.push_str(ROWS);
    writeln!(
        page,
        "| | what | shown by | {} |\n|---|---|---|{}",
        heads.join(" | "),
        "---|".repeat(places.len())
    )
    .ok();
    rows::render(&mut page, rows, lines, &places, &mut notes);
    if !notes.is_empty() {
        page.push_str("\n## Reasons\n\n");
    }
    for (number, note) in notes.iter().enumerate() {
        writeln!(page, "{}. {note}", number + 1).ok();
    }
    page
}

fn cell<'a>(line: &'a Line, notes: &mut Vec<&'a str>) -> String {
    let numbers: BTreeSet<usize> = line.reasons.iter().map(|reason| note(reason, notes)).collect();
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    match numbers.as_slice() {
        [] => line.verdict.clone(),
        numbers => format!("{} ({})", line.verdict, numbers.join(", ")),
    }
}

/// Between the two tables.
const ROWS: &str = "
## Rows

What the scenarios have to show (`tests/rows.toml`). A to F: what an agent does, and what keeps the record \
honest; M: the ways
around a sensor. *seen*: every scenario of the row; otherwise how many, and why others are not; those that \
are not named were
not played there. *test*: shown by the integration tests alone.

";

const HEAD: &str = "\
# Coverage: scenario, kernel, tier

Generated by `cargo xtask coverage`, which does every scenario of `tests/scenarios` in a run on each kernel \
and compares
what the sensor reports with what the scenario's file says must be seen. Every event must also be valid and \
be of the right
run. On machines that are not emulated the same act is done once more beside the run: nothing of that may be \
reported.

*seen*: everything that the file asks for. *limit*: all but what the numbered reason is about; that it is \
really not seen
is checked too, so that a limit that is gone fails. *left out*: the kernel lacks what the scenario needs. –: \
not played there.

";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::{lines_in, render};

    #[test]
    fn the_page_has_a_column_for_each_kernel_and_numbers_its_reasons() {
        let line = |kernel: &str, tier: &str, verdict: &str, reasons: &str| {
            format!(
                r#"   coverage: {{"id":"A1","title":"t","kernel":"{kernel}","tier":"{tier}","verdict":"{verdict}","reasons":[{reasons}]}}"#
            )
        };
        let text = [
            line("6.12.4+x", "A", "seen", ""),
            line("6.1.0-9", "B", "limit", r#""no hook""#),
            "test coverage ... ok".to_owned(),
        ];
        let page = render(&lines_in(&text.join("\n")).unwrap(), &[]);
        assert!(page.contains("| | scenario | 6.1, tier B | 6.12, tier A |\n"), "{page}");
        assert!(page.contains("| A1 | t | limit (1) | seen |\n"), "{page}");
        assert!(page.ends_with("1. no hook\n"), "{page}");
    }
}
