//! `cargo xtask test`: unit and property tests, examples in the documentation, then integration on
//! this kernel and beside it on the kernels of the matrix. All parts run even if an earlier one
//! failed; the last line sums up what the runners counted.

use std::{process::ExitCode, thread, time::Instant};

use anyhow::{Result, anyhow};

use crate::{
    args::Args,
    build::{self, What},
    cargo, count,
    host::Host,
    image,
    long::long,
    package::{self, Programs},
    paths, setup,
    step::{self, say},
    tally::Tally,
    vm,
};

const AREA: &str = "test";
/// The package of integration tests, which need root and a kernel that is allowed to be disturbed.
const INTEGRATION: &str = "sentry-tests";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let (mut unit, mut host, mut machines) = (args.flag("--unit"), args.flag("--host"), args.flag("--vm"));
    let filter = args.words();
    args.done()?;
    if !(unit || host || machines) {
        (unit, host, machines) = (true, true, true);
    }
    let started = Instant::now();
    let mut report = Report::default();
    match prepare(host) {
        Ok(()) => {
            if unit {
                report.add("unit", tests_of(Selection::Unit, &filter));
                if filter.is_empty() {
                    report.add("doc", doc_tests());
                    report.add("counted", count::check());
                }
            }
            // The tests on this kernel wait about half of their time: the guests use it.
            thread::scope(|scope| {
                let guests = machines.then(|| scope.spawn(|| vm::run_matrix(&filter, host)));
                if host {
                    report.add("host", integration(&filter));
                }
                if let Some(guests) = guests {
                    let ended =
                        guests.join().unwrap_or_else(|_panic| Err(anyhow!("the guests' thread panicked")));
                    report.add_all("vm", ended);
                }
            });
        }
        Err(error) => report.add("build", Err(error)),
    }
    Ok(report.print(started))
}

fn prepare(images: bool) -> Result<()> {
    setup::ensure()?;
    build::build(What::ProgramsAndTests)?;
    if Host::this().cargo_deb().is_some() {
        package::dev()?;
    }
    if images {
        image::build(Programs::Dev)?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Selection {
    Unit,
    Integration,
}

fn integration(filter: &[String]) -> Result<Tally> {
    if !cargo::members()?.iter().any(|member| member == INTEGRATION) {
        say(AREA, format_args!("there is no package {INTEGRATION}: no integration tests on this kernel"));
        return Ok(Tally::default());
    }
    tests_of(Selection::Integration, filter)
}

fn tests_of(selection: Selection, filter: &[String]) -> Result<Tally> {
    let (what, log) = match selection {
        Selection::Unit => ("unit and property tests of every package", "test-unit"),
        Selection::Integration => {
            ("integration tests on this kernel, as root, one after the other", "test-host")
        }
    };
    let nextest = cargo::has("nextest");
    let mut command = if nextest { nextest_command(selection)? } else { libtest_command(selection)? };
    command.env("AGENTSENTRY_BIN_DIR", paths::target().join("debug"));
    if std::env::var_os("AGENTSENTRY_PROMISED").is_none() {
        // `setup` has seen to it.
        let packages = Host::this().cargo_deb().map_or("", |_there| ",debian-packages,lintian");
        command.env(
            "AGENTSENTRY_PROMISED",
            format!("systemd-nspawn,manifests,image,podman,containerd,chromium{packages}"),
        );
    }
    if selection == Selection::Integration && !Host::this().is_root() {
        command.env(format!("CARGO_TARGET_{}_RUNNER", host_triple()), "sudo -n -E");
    }
    if nextest {
        command.args(filter);
    } else {
        command.arg("--").arg("--show-output").args(filter);
        if selection == Selection::Integration {
            command.arg("--test-threads=1");
        }
    }
    let (status, log) = step::attempt(AREA, what, log, &mut command)?;
    let output = step::read_lossy(&log);
    let mut tally =
        if nextest { Tally::from_nextest(&output).unwrap_or_default() } else { Tally::from_libtest(&output) };
    if !status.success() {
        step::print_tail(&log, 80);
        if tally.failed == 0 {
            tally += &Tally::broken(format!("{what}: {status}; see {}", paths::short(&log)));
        }
    } else if tally.is_empty() && filter.is_empty() {
        // Whatever made the tests vanish must not look like success.
        tally += &Tally::broken(format!("{what}: there are none; see {}", paths::short(&log)));
    }
    Ok(tally)
}

/// Always the whole workspace, narrowed by a filter and not by `-p`: another selection of packages
/// would compile the dependencies again with other features.
fn nextest_command(selection: Selection) -> Result<std::process::Command> {
    let mut command = cargo::workspace("nextest");
    command.args(["run", "--workspace", "--no-fail-fast", "--no-tests=pass", "--color=never"]);
    if long() {
        command.arg("--profile=long");
    }
    // The output of passing tests goes to the log, because that is where a test says that it
    // skipped itself.
    command.args(["--success-output=immediate", "--failure-output=final", "--status-level=pass"]);
    if cargo::members()?.iter().any(|member| member == INTEGRATION) {
        let not = if selection == Selection::Unit { "not " } else { "" };
        command.args(["-E", &format!("{not}package(={INTEGRATION})")]);
    }
    Ok(command)
}

fn libtest_command(selection: Selection) -> Result<std::process::Command> {
    let mut command = cargo::workspace("test");
    command.arg("--no-fail-fast");
    match selection {
        Selection::Integration => {
            command.args(["-p", INTEGRATION, "--tests"]);
        }
        Selection::Unit => {
            command.args(["--workspace", "--bins", "--lib", "--tests"]);
            if cargo::members()?.iter().any(|member| member == INTEGRATION) {
                command.args(["--exclude", INTEGRATION]);
            }
        }
    }
    Ok(command)
}

fn doc_tests() -> Result<Tally> {
    let mut command = cargo::workspace("test");
    command.args(["--workspace", "--doc", "--no-fail-fast"]);
    let (status, log) = step::attempt(AREA, "examples in the documentation", "test-doc", &mut command)?;
    let mut tally = Tally::from_libtest(&step::read_lossy(&log));
    if !status.success() {
        step::print_tail(&log, 40);
        if tally.failed == 0 {
            tally += &Tally::broken(format!("documentation: {status}; see {}", paths::short(&log)));
        }
    }
    Ok(tally)
}

pub(crate) fn host_triple() -> String {
    format!("{}_UNKNOWN_LINUX_GNU", std::env::consts::ARCH.to_uppercase())
}

/// What the parts came to.
#[derive(Default)]
struct Report {
    parts: Vec<(String, Tally)>,
}

impl Report {
    fn add(&mut self, name: &str, result: Result<Tally>) {
        self.add_all(name, result.map(|tally| vec![(name.to_owned(), tally)]));
    }

    fn add_all(&mut self, name: &str, result: Result<Vec<(String, Tally)>>) {
        match result {
            Ok(parts) => self.parts.extend(parts),
            Err(error) => {
                eprintln!("xtask test: {name}: {error:#}");
                self.parts.push((name.to_owned(), Tally::broken(format!("{name}: {error}"))));
            }
        }
    }

    fn print(&self, started: Instant) -> ExitCode {
        let mut sum = Tally::default();
        println!();
        for (name, tally) in &self.parts {
            println!("{name:<24} {tally}");
            sum += tally;
        }
        for failure in &sum.failures {
            println!("failed: {failure}");
        }
        println!("in {}", step::took(started));
        println!("{sum}");
        if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
