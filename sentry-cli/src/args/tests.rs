#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn what_follows_the_dashes_is_the_commands_own() {
    let cli =
        Cli::try_parse_from(["sentry", "run", "--enforce", "--report=r.txt", "--", "x", "--json", "-q"]);
    let Command::Run(run) = cli.unwrap().command else { unreachable!() };
    assert!(run.enforce && !run.json && !run.quiet);
    assert_eq!(run.report, Some(Some("r.txt".into())));
    assert_eq!(run.command, ["x", "--json", "-q"]);
    assert!(Cli::try_parse_from(["sentry", "run"]).is_err());
    assert!(Cli::try_parse_from(["sentry", "run", "--"]).is_err());
}

#[test]
fn a_bare_report_is_the_default_place() {
    let cli = Cli::try_parse_from(["sentry", "run", "--report", "--", "x"]).unwrap();
    let Command::Run(run) = cli.command else { unreachable!() };
    assert_eq!(run.report, Some(None));
}
