//! Every command of `cargo xtask`: what it is called, takes and does. The list, the help of each
//! and the dispatch read it.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    args::Args, bench, build, corpus, count, coverage, demo, fuzz, image, kubernetes, lint, package, run,
    setup, test, tidy, verify, vm,
};

/// A command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// What follows the name, one line for each way to call it.
    pub(crate) usage: &'static [&'static str],
    /// For the list, in a line.
    pub(crate) what: &'static str,
    /// For its own help: what each flag does, what it needs, what it leaves where.
    pub(crate) more: &'static str,
    pub(crate) run: Run,
}

/// In the order in which a newcomer meets them.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        usage: &["[--check | --print]"],
        what: "install what is missing",
        more: "\
--check    only look; ends with 1 where something is missing
--print    only look, and print the commands that would install it

On Debian it installs by apt, elsewhere it prints the commands and ends with 69.",
        run: setup::command,
    },
    Command {
        name: "build",
        usage: &["[--release]"],
        what: "the BPF programs, then the workspace with them inside",
        more: "\
--release    optimized, in target/release

The BPF objects are written to target/bpf-objects, where a plain `cargo build` finds them too.",
        run: build::command,
    },
    Command {
        name: "run",
        usage: &["[-- CMD…]"],
        what: "start a sensor (as root) and, with CMD, run it under the sensor's eyes",
        more: "The sensor is the one of the working tree, with a state directory of its own.",
        run: run::command,
    },
    Command {
        name: "demo",
        usage: &[""],
        what: "from nothing to a stopped runaway: setup, build, `sentry demo`",
        more: "Needs root, or a sudo that asks for no password.",
        run: demo::command,
    },
    Command {
        name: "test",
        usage: &["[--unit] [--host] [--vm] [FILTER]"],
        what: "all the tests, or the named parts of them",
        more: "\
--unit    unit, property and documentation tests; needs no root
--host    the integration tests on this kernel, as root
--vm      the integration tests on the kernels of tests/vm/matrix.toml
FILTER    only tests whose names contain it",
        run: test::command,
    },
    Command {
        name: "vm",
        usage: &["[KERNEL…] [--no-lsm] [--release] [-- FILTER]"],
        what: "the integration tests on the kernels of tests/vm/matrix.toml",
        more: "\
KERNEL…      only these
--no-lsm     without BPF as a security module: tier C
--release    with our programs optimized
FILTER       only tests whose names contain it",
        run: vm::command,
    },
    Command {
        name: "vm-systemd",
        usage: &["[bookworm|trixie] [-- FILTER]"],
        what: "the tests of the Debian packages in emulated Debian machines with systemd",
        more: "In both releases if none is named. Needs mmdebstrap and about half an hour.",
        run: vm::systemd_command,
    },
    Command {
        name: "coverage",
        usage: &["[--collect] [KERNEL…]"],
        what: "the scenarios on this kernel and the matrix; writes docs/coverage.md",
        more: "--collect    only put together what earlier calls have found",
        run: coverage::command,
    },
    Command {
        name: "corpus",
        usage: &["[NAME…]"],
        what: "records what tests/corpus/plan.toml lists; writes tests/corpus",
        more: "\
NAME…    only what begins with one of these

Needs root and a /home/corpus that is not there; takes about half an hour. docs/detection.md follows
from what it writes: UPDATE_DOCS=1 with the tests of sentry-recording.",
        run: corpus::command,
    },
    Command {
        name: "verify",
        usage: &["[--update] [KERNEL…]"],
        what: "the verifier's work for each program, against tests/verifier.toml",
        more: "--update    write what was found there; growth by more than a tenth fails a test",
        run: verify::command,
    },
    Command {
        name: "count",
        usage: &["[--update]"],
        what: "instructions and bytes that an event takes, against tests/counted.toml",
        more: "\
--update    write what was counted there; what strays from it by more than a twentieth fails a test

Of the pure parts alone, on recordings of tests/corpus. Needs valgrind and no root.",
        run: count::command,
    },
    Command {
        name: "fuzz",
        usage: &["[--executions N] [TARGET…]"],
        what: "foreign bytes for everything that reads them",
        more: "--executions N    so many times each",
        run: fuzz::command,
    },
    Command {
        name: "package",
        usage: &["[--check] [KIND…]", "--dev"],
        what: "what is installed (deb rpm tarball sbom), in target/package/dist",
        more: "\
KIND…      only these
--check    compile and pack twice, and compare the bytes
--dev      the Debian packages of the debug programs, for the tests",
        run: package::command,
    },
    Command {
        name: "image",
        usage: &["[--release]"],
        what: "both container images, as archives below target/image",
        more: "--release    with static, optimized programs; without it with the debug programs, for the tests",
        run: image::command,
    },
    Command {
        name: "kubernetes",
        usage: &[""],
        what: "the chart on a real cluster",
        more: "\
On KUBECONFIG's cluster, or on one node that is built from Debian's source package (the first time up
to an hour).",
        run: kubernetes::command,
    },
    Command {
        name: "lint",
        usage: &[""],
        what: "formatting, clippy, documentation, tidy, spelling, cargo-deny",
        more: "\
All that is judged without running the code. Every check runs, also after one that failed; what is not
installed is said and left out.",
        run: lint::command,
    },
    Command {
        name: "bench",
        usage: &["[--quick] [--json] [GOAL…]", "--counted [KERNEL…]"],
        what: "what the sensor costs, as ratios, beside the goals",
        more: "\
GOAL…        only these (p1 p2 p4 p5 p6 p7 p8 p9 p11 p12 p14 p15 p16)
--quick      fewer rounds
--json       for programs
--counted    what others pay, in emulated machines whose time is a count of instructions

As root, best on a quiet machine. docs/performance.md has the goals.",
        run: bench::command,
    },
    Command {
        name: "tidy",
        usage: &[""],
        what: "size budgets, dependency arrows, test hygiene",
        more: "A part of `lint`. Exceptions stand in xtask/tidy.toml, each with a reason.",
        run: tidy::command,
    },
];

type Run = fn(Args) -> Result<ExitCode>;

/// What the other commands start, and nobody types.
pub(crate) const HIDDEN: &[(&str, Run)] =
    &[("workload", bench::workload_command), ("crowd", bench::crowd_command)];
