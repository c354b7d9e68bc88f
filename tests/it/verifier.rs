//! The verifier's work for each program, and that each is there, against the table
//! `tests/verifier.toml`.

use std::collections::BTreeMap;

use sentry_tests::{programs, require};
use serde_json::Value;
use toml::Table;

/// Carried by the tests, so that they have it on every kernel.
const TABLE: &str = include_str!("../verifier.toml");
/// By how much a program may grow before it is looked at: a tenth.
const GROWTH_DIVISOR: u64 = 10;

/// What the sensor's programs are on this kernel.
struct Measured {
    /// `6.12 A`.
    place: String,
    /// `object/program` → instructions.
    counts: BTreeMap<String, u64>,
    /// `object/program` → why it is not there.
    missing: BTreeMap<String, String>,
}

fn measured() -> Measured {
    let output = programs::finish(programs::command("sentry").args(["doctor", "--programs", "--json"]));
    assert_eq!(output.status.code(), Some(0), "{}", programs::text(&output));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("verifier: {value}");
    let release: Vec<&str> = value["kernel"].as_str().unwrap().split('.').take(2).collect();
    let place = format!("{} {}", release.join("."), value["tier"].as_str().unwrap());
    let rows = |key: &str| value[key].as_array().unwrap().iter();
    let name =
        |row: &Value| format!("{}/{}", row["object"].as_str().unwrap(), row["program"].as_str().unwrap());
    Measured {
        place,
        counts: rows("programs").map(|row| (name(row), row["verified"].as_u64().unwrap())).collect(),
        missing: rows("missing").map(|row| (name(row), row["why"].as_str().unwrap().to_owned())).collect(),
    }
}

/// Programs that no row is for, and kernels that are not in the table, are left to `cargo xtask
/// verify --update`.
#[test]
fn every_program_of_the_table_is_there_and_has_not_outgrown_it() {
    require!("root");
    let Measured { place, counts, missing } = measured();
    assert!(!counts.is_empty());
    let table: Table = TABLE.parse().unwrap();
    let Some(rows) = table.get(&place).and_then(|rows| rows.get("programs")) else {
        println!("the table has no kernel {place}");
        return;
    };
    let lost: Vec<_> = missing.iter().filter(|(name, _)| rows.get(name).is_some()).collect();
    assert!(lost.is_empty(), "programs that {place} had are missing now: {lost:#?}");
    let mut grown = Vec::new();
    for (name, count) in &counts {
        let Some(row) = rows.get(name).and_then(toml::Value::as_integer) else { continue };
        let row = u64::try_from(row).unwrap();
        if *count > row + row / GROWTH_DIVISOR {
            grown.push(format!("{name}: {count} instructions, {row} in the table"));
        }
    }
    assert!(
        grown.is_empty(),
        "programs grew by more than a tenth on {place}; if it has to be, `cargo xtask verify --update`:\n{}",
        grown.join("\n")
    );
}

/// A verifier that holds a value to be constant goes through, and keeps, only what follows from it:
/// 6.1 once left 21 of 187 instructions of a program, which then did nothing. Not less than a half,
/// because kernels with typed loads go another way than 6.1, up to three times as long.
#[test]
fn no_kernel_goes_through_less_than_a_quarter_of_what_every_other_does() {
    let table: Table = TABLE.parse().unwrap();
    let mut counts = BTreeMap::<&str, Vec<(u64, &str)>>::new();
    for (place, rows) in &table {
        for (program, count) in rows["programs"].as_table().unwrap() {
            let count = u64::try_from(count.as_integer().unwrap()).unwrap();
            counts.entry(program).or_default().push((count, place));
        }
    }
    let mut cut = Vec::new();
    for (program, mut counts) in counts {
        counts.sort_unstable();
        if let [(least, place), (next, _), ..] = counts[..]
            && least * 4 < next
        {
            cut.push(format!("{program} on {place}: {least}, elsewhere {next} or more"));
        }
    }
    assert_eq!(cut, [] as [String; 0]);
}
