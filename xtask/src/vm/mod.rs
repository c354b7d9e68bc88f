//! `cargo xtask vm`: the integration tests on other kernels, in QEMU without hardware virtualization.
//!
//! [`matrix`] says which kernels, [`mirror`] and [`packages`] find them on the mirror that apt already uses,
//! [`kernel`] fetches and caches them, [`initramfs`] packs the file system, [`boot`] runs it and reads the result.
//! Emulation is slow but the same everywhere: it needs no `/dev/kvm`, and it boots kernels that nested
//! virtualization refuses.

mod boot;
mod initramfs;
mod kernel;
mod matrix;
mod mirror;
mod packages;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{
    args::Args,
    build::{self, What},
    setup,
    step::say,
    tally::Tally,
    vm::matrix::{Kernel, Matrix},
};

const AREA: &str = "vm";

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let without_lsm = args.flag("--no-lsm");
    let names = args.words();
    let filter = args.rest();
    args.done()?;
    let matrix = Matrix::read()?;
    let filter = if filter.is_empty() { matrix.tests() } else { filter };
    let mut kernels = matrix.select(&names)?;
    if without_lsm {
        kernels.iter_mut().for_each(Kernel::take_lsm_away);
    }
    setup::ensure()?;
    build::build(What::ProgramsAndTests)?;
    let parts = run(&kernels, &filter)?;
    let mut sum = Tally::default();
    for (_, tally) in &parts {
        sum += tally;
    }
    for failure in &sum.failures {
        println!("failed: {failure}");
    }
    println!("{sum}");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All kernels of the matrix, for `cargo xtask test`.
pub(crate) fn run_matrix(filter: &[String]) -> Result<Vec<(String, Tally)>> {
    let matrix = Matrix::read()?;
    let filter = if filter.is_empty() { matrix.tests() } else { filter.to_vec() };
    run(&matrix.select(&[])?, &filter)
}

/// Runs the tests that the filter names on these kernels (none named: all).
pub(crate) fn run_named(names: &[String], filter: &[String]) -> Result<()> {
    run(&Matrix::read()?.select(names)?, filter)?;
    Ok(())
}

/// The log of the last run on each of these kernels (none named: all), by the kernel's name.
pub(crate) fn logs_of(names: &[String]) -> Result<Vec<(String, PathBuf)>> {
    let kernels = Matrix::read()?.select(names)?;
    kernels.iter().map(|kernel| Ok((kernel.name.clone(), boot::log_of(kernel)?))).collect()
}

fn run(kernels: &[Kernel], filter: &[String]) -> Result<Vec<(String, Tally)>> {
    if filter.iter().any(|word| word.contains([',', ' ', '"'])) {
        // The words travel on the kernel's command line.
        bail!("a test filter for the kernels has no commas, spaces or quotes; give several words instead");
    }
    let initrd = initramfs::pack().context("cannot pack the file system of the test kernels")?;
    let mut parts = Vec::new();
    for kernel in kernels {
        let tally = match kernel::fetch(kernel) {
            Ok(image) => boot::boot(kernel, &image, &initrd, filter)?,
            Err(error) => {
                say(AREA, format_args!("{}: {error:#}", kernel.name));
                Tally::broken(format!("{}: no kernel to boot: {error}", kernel.name))
            }
        };
        parts.push((format!("vm {}", kernel.name), tally));
    }
    Ok(parts)
}
