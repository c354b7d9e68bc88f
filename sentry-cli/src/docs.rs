//! The documents say what the program says.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use sentry_detect::rule::settings::Limits;
use sentry_rules::field::Field;
use sentry_service::metrics::with_table;

use super::{args::Cli, exit};

const README: &str = include_str!("../../README.md");
const EXIT_CODES: &str = include_str!("../../docs/exit-codes.md");

/// The first table behind a heading, without its head; the cells of each row.
fn table(page: &'static str, heading: &str) -> Vec<Vec<&'static str>> {
    let section = page.split_once(&format!("\n{heading}\n")).map_or("", |(_, section)| section);
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect())
        .collect()
}

/// What stands between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// `sentry ledger verify` and the like, without arguments.
fn commands() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        if command.has_subcommands() {
            commands.extend(command.get_subcommands().map(|below| format!("{name} {}", below.get_name())));
        } else {
            commands.insert(name.to_owned());
        }
    }
    commands
}

#[test]
fn the_readme_lists_every_command_and_no_other() {
    let all = commands();
    let mut listed = BTreeSet::new();
    for row in table(README, "## Commands") {
        for code in code(row[0]) {
            let words: Vec<&str> = code.trim_start_matches("sentry ").split(' ').collect();
            let named = [words[..words.len().min(2)].join(" "), words[0].to_owned()];
            match named.into_iter().find(|name| all.contains(name)) {
                Some(name) => drop(listed.insert(name)),
                None => {
                    let is_argument = code.starts_with(|c: char| c == '[' || c.is_ascii_uppercase());
                    assert!(is_argument, "no such command: {code}");
                }
            }
        }
    }
    assert_eq!(listed, all);
}

fn numbers(text: &str) -> BTreeSet<u8> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
fn the_exit_codes_of_help_and_documents_are_the_same() {
    let help = numbers(exit::TABLE);
    assert!(help.contains(&0) && help.contains(&127), "{help:?}");
    let of_page = |page, heading| -> BTreeSet<u8> {
        table(page, heading).iter().flat_map(|row| numbers(row[0])).collect()
    };
    let run: BTreeSet<u8> = [125, 126, 127].into();
    let expected: BTreeSet<u8> = help.difference(&run).copied().collect();
    assert_eq!(of_page(EXIT_CODES, "## sentry"), expected);
    // The README leaves out those that a person hardly meets.
    let (_, codes) = README.split_once("| exit code | meaning |").unwrap_or_default();
    let codes = codes.split_once("\n\n").map_or("", |(table, _)| table);
    let named: BTreeSet<u8> =
        codes.lines().filter_map(|row| row.split('|').nth(1)).flat_map(numbers).collect();
    assert!(named.is_subset(&help) && named.len() > 10, "{named:?}");
}

#[test]
fn the_transcript_of_the_readme_has_the_limits_that_hold() {
    let limits = Limits::default();
    let found = README.lines().find(|line| line.contains("Runaway detected in")).unwrap_or_default();
    for limit in [
        format!("more are alive (limit {})", limits.spawn_storm.net_processes),
        format!("births/s (limit {})", limits.spawn_storm.births_per_s),
    ] {
        assert!(found.contains(&limit), "{limit}: {found}");
    }
}

#[test]
fn the_transcript_of_the_readme_has_as_many_objects_as_are_built() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sentry-ebpf/src/bin");
    let objects = std::fs::read_dir(sources).map_or(0, Iterator::count);
    let expected = format!("[build] {objects} of {objects} BPF objects changed");
    assert!(README.contains(&expected), "{expected}");
}

/// `UPDATE_DOCS=1` writes the table.
#[test]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn the_page_of_rules_has_the_fields_that_there_are() {
    let row = |field: &Field| {
        let verbs: Vec<String> = field.verbs().iter().map(|verb| format!("`{}`", verb.name())).collect();
        let verbs = if verbs.is_empty() { "all".to_owned() } else { verbs.join(", ") };
        format!("| `{}` | {} | {verbs} | {} |", field.name(), field.kind().word(), field.meaning().trim())
    };
    let rows: Vec<String> = Field::ALL.iter().map(row).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    let page = std::fs::read_to_string(path).unwrap();
    let with = with_table(&page, "### Fields", &rows).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &with).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == with, "docs/rules.md differs; run this test again with UPDATE_DOCS=1");
}

/// `UPDATE_DOCS=1` writes the page.
#[test]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
fn the_page_of_commands_is_their_help() {
    let page = sentry_service::help::page("Commands", Cli::command());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(page == written, "docs/commands.md differs; run this test again with UPDATE_DOCS=1");
}
