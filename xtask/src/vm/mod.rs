//! `cargo xtask vm`: the integration tests on other kernels, in QEMU without hardware
//! virtualization.
//!
//! [`matrix`] says which kernels, [`mirror`] and [`packages`] find them on the mirror that apt
//! already uses, [`kernel`] fetches and caches them, [`modules`] picks what they need,
//! [`initramfs`] packs the file system, [`mod@boot`] runs it and reads the result. Each has a log
//! of its own. Emulation is slow but the same everywhere: it needs no `/dev/kvm`, and it boots
//! kernels that nested virtualization refuses.

mod boot;
mod initramfs;
mod kernel;
mod matrix;
mod mirror;
mod modules;
mod packages;
mod systemd;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::Args,
    build::{self, What},
    setup,
    step::say,
    tally::Tally,
    vm::{
        kernel::Files,
        matrix::{Kernel, Matrix},
    },
};

pub(crate) use systemd::command as systemd_command;

const AREA: &str = "vm";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let without_lsm = args.flag("--no-lsm");
    let release = args.flag("--release");
    let names = args.words();
    let filter = args.rest();
    args.done()?;
    let mut kernels = Matrix::read()?.select(&names)?;
    if without_lsm {
        kernels.iter_mut().for_each(Kernel::take_lsm_away);
    }
    setup::ensure()?;
    build::build(What::ProgramsAndTests)?;
    if release {
        build::build(What::Release)?;
    }
    let parts = run(&kernels, &filter, release)?;
    let sum = total(&parts);
    for failure in &sum.failures {
        println!("failed: {failure}");
    }
    println!("{sum}");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All kernels of the matrix, for `cargo xtask test`, `beside` other tests or alone.
pub(crate) fn run_matrix(filter: &[String], beside: bool) -> Result<Vec<(String, Tally)>> {
    let mut kernels = Matrix::read()?.select(&[])?;
    kernels.iter_mut().for_each(|kernel| kernel.beside = beside);
    run(&kernels, filter, false)
}

/// Runs the tests that the filter names on these kernels (none named: all).
pub(crate) fn run_named(names: &[String], filter: &[String]) -> Result<Tally> {
    Ok(total(&run(&Matrix::read()?.select(names)?, filter, false)?))
}

/// The same where the guest's time is a count of its instructions.
pub(crate) fn run_counted(names: &[String], filter: &[String]) -> Result<Tally> {
    let mut kernels = Matrix::read()?.select(names)?;
    kernels.iter_mut().for_each(Kernel::count_time);
    Ok(total(&run(&kernels, filter, false)?))
}

fn total(parts: &[(String, Tally)]) -> Tally {
    let mut sum = Tally::default();
    parts.iter().for_each(|(_, tally)| sum += tally);
    sum
}

/// The log of the last run on each of these kernels (none named: all), by the kernel's name.
pub(crate) fn logs_of(names: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let kernels = Matrix::read()?.select(names)?;
    kernels.iter().map(|kernel| Ok((kernel.name.clone(), boot::log_of(kernel)?))).collect()
}

fn run(kernels: &[Kernel], filter: &[String], release: bool) -> Result<Vec<(String, Tally)>> {
    if filter.iter().any(|word| word.contains([',', ' ', '"'])) {
        // The words travel on the kernel's command line.
        bail!("a test filter for the kernels has no commas, spaces or quotes; give several words instead");
    }
    let initrd = initramfs::pack(release).context("cannot pack the file system of the test kernels")?;
    // One at a time: a sensor verifies its programs on both CPUs of a guest, so that a second guest
    // would only slow the first down, until its watchdog takes it for locked up.
    kernels
        .iter()
        .enumerate()
        .map(|(index, kernel)| {
            say(AREA, format_args!("kernel {} of {}: {}", index + 1, kernels.len(), kernel.name));
            let tally = boot(kernel, &kernel::fetch(kernel), &initrd, filter)?;
            Ok((format!("vm {}", kernel.name), tally))
        })
        .collect()
}

/// One kernel, with its own tests where the filter is empty.
fn boot(kernel: &Kernel, files: &Result<Files>, initrd: &Path, filter: &[String]) -> Result<Tally> {
    let filter = if filter.is_empty() { &kernel.tests } else { filter };
    match files {
        Ok(files) => {
            let whole = initrd.with_file_name("initrd-with-modules.cpio");
            modules::join(initrd, &files.modules, &whole)?;
            boot::boot(kernel, &files.image, &whole, filter)
        }
        Err(error) => {
            say(AREA, format_args!("{}: {error:#}", kernel.name));
            Ok(Tally::broken(format!("{}: no kernel to boot: {error}", kernel.name)))
        }
    }
}
