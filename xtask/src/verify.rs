//! `cargo xtask verify [--update] [KERNEL…]`: what each kernel's verifier has to do for each
//! program, on this kernel and on those of the matrix, against the table `tests/verifier.toml`.
//!
//! The test `verifier::` compares, so that the suite does too; here it is run alone. It prints a
//! line `verifier: {…}`, which is found in the logs of the runs and, with `--update`, becomes the
//! table of that kernel.

use std::{collections::BTreeMap, fmt::Write as _, fs, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use toml::Table;

use crate::{
    args::Args,
    build::{self, What},
    cargo, paths, setup,
    step::{self, say},
    told::told,
    vm,
};

const AREA: &str = "verify";
const TEST: &str = "verifier::";
/// Name of the log of this kernel.
const HOST: &str = "verify-host";
const TABLE: &str = "tests/verifier.toml";
const MARK: &str = "verifier";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let update = args.flag("--update");
    let kernels = args.words();
    args.done()?;
    setup::ensure()?;
    build::build(What::ProgramsAndTests)?;
    let mut command = cargo::workspace("test");
    command.args(["--workspace", "--test", "it", "--", TEST, "--show-output", "--test-threads=1"]);
    let (status, log) = step::attempt(AREA, "this kernel", HOST, &mut command)?;
    let mut text = step::read_lossy(&log);
    let failed = vm::run_named(&kernels, &[TEST.to_owned()])?.failed;
    for (name, log) in vm::logs_of(&kernels)? {
        let said = step::read_lossy(&log);
        if told(&said, MARK)?.is_empty() {
            bail!("{name} reported nothing about its verifier; see {}", paths::short(&log));
        }
        text.push_str(&said);
    }
    let measured = measured(&text)?;
    for (place, costs) in &measured {
        say(AREA, format_args!("{place}: {}", summary(costs)));
    }
    if update {
        let path = paths::root().join(TABLE);
        let old = fs::read_to_string(&path).with_context(|| format!("cannot read {TABLE}"))?;
        fs::write(&path, updated(&old, measured)?).with_context(|| format!("cannot write {TABLE}"))?;
        say(AREA, format_args!("{TABLE} is written"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if status.success() && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of one kernel.
#[derive(Debug, Default, PartialEq, Eq)]
struct Costs {
    /// Milliseconds by object, and of everything.
    load_ms: BTreeMap<String, u64>,
    /// Instructions by `object/program`.
    programs: BTreeMap<String, u64>,
}

/// By kernel and tier: `6.12 A`.
fn measured(text: &str) -> Result<BTreeMap<String, Costs>> {
    let mut found = BTreeMap::new();
    for value in told(text, MARK)? {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let rows = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let mut costs = Costs::default();
        for row in rows("objects") {
            costs.load_ms.insert(text(&row, "object"), row["load_ms"].as_u64().unwrap_or_default());
        }
        costs.load_ms.insert("all".to_owned(), value["load_ms"].as_u64().unwrap_or_default());
        costs.load_ms.insert("attach".to_owned(), value["attach_ms"].as_u64().unwrap_or_default());
        for row in rows("programs") {
            // A kernel that does not count has no rows.
            if let Some(count) = row["verified"].as_u64() {
                costs.programs.insert(format!("{}/{}", text(&row, "object"), text(&row, "program")), count);
            }
        }
        let release: Vec<String> = text(&value, "kernel").split('.').take(2).map(str::to_owned).collect();
        found.insert(format!("{} {}", release.join("."), text(&value, "tier")), costs);
    }
    Ok(found)
}

fn summary(costs: &Costs) -> String {
    let total: u64 = costs.programs.values().sum();
    let largest = costs.programs.iter().max_by_key(|(_, count)| **count);
    let largest = largest.map_or_else(String::new, |(name, count)| format!(", most in {name} ({count})"));
    let ms = |key: &str| costs.load_ms.get(key).copied().unwrap_or_default();
    format!(
        "{} programs, {total} instructions{largest}; loaded in {} ms, attached in {} ms",
        costs.programs.len(),
        ms("all"),
        ms("attach")
    )
}

/// The table with the kernels that were measured replaced, and the others as they were.
fn updated(old: &str, measured: BTreeMap<String, Costs>) -> Result<String> {
    let head: Vec<&str> = old.lines().take_while(|line| line.starts_with('#')).collect();
    let table: Table = old.parse().with_context(|| format!("{TABLE} is not TOML"))?;
    let mut all = BTreeMap::new();
    for (place, rows) in &table {
        let numbers = |key: &str| -> BTreeMap<String, u64> {
            let rows = rows.get(key).and_then(toml::Value::as_table).into_iter().flatten();
            rows.filter_map(|(name, number)| Some((name.clone(), number.as_integer()?.try_into().ok()?)))
                .collect()
        };
        let costs = Costs { load_ms: numbers("load_ms"), programs: numbers("programs") };
        all.insert(place.clone(), costs);
    }
    all.extend(measured);
    let mut text = head.join("\n") + "\n";
    for (place, costs) in &all {
        for (part, numbers) in [("load_ms", &costs.load_ms), ("programs", &costs.programs)] {
            writeln!(text, "\n[\"{place}\".{part}]").ok();
            for (name, number) in numbers {
                writeln!(text, "\"{name}\" = {number}").ok();
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::{measured, summary, updated};

    const LINE: &str = r#"test it ... verifier: {"kernel":"6.12.9+x","tier":"A","load_ms":40,"attach_ms":7,"objects":[{"object":"core","load_ms":30}],"programs":[{"object":"core","program":"fork","hook":"h","verified":900},{"object":"core","program":"exec","hook":"h","verified":null}]}"#;

    #[test]
    fn what_was_measured_replaces_its_kernel_and_no_other() {
        let old = "# head\n\n[\"6.1 A\".load_ms]\n\"all\" = 1\n\n[\"6.1 A\".programs]\n\"core/fork\" = \
            5\n\n[\"6.12 A\".programs]\n\"gone/gone\" = 1\n";
        let found = measured(&format!("noise\n{LINE}\n")).unwrap();
        assert_eq!(
            summary(&found["6.12 A"]),
            "1 programs, 900 instructions, most in core/fork (900); loaded in 40 ms, attached in 7 ms"
        );
        let new = updated(old, found).unwrap();
        assert_eq!(
            new,
            "# head\n\n[\"6.1 A\".load_ms]\n\"all\" = 1\n\n[\"6.1 A\".programs]\n\"core/fork\" = \
            5\n\n[\"6.12 A\".load_ms]\n\"all\" = 40\n\"attach\" = 7\n\"core\" = 30\n\n[\"6.12 \
            A\".programs]\n\"core/fork\" = 900\n"
        );
        assert_eq!(updated(&new, measured("").unwrap()).unwrap(), new);
    }
}
