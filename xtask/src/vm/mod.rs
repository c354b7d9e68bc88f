//! `cargo xtask vm`: the integration tests on other kernels, in QEMU without hardware virtualization.
//!
//! [`matrix`] says which kernels, [`mirror`] and [`packages`] find them on the mirror that apt already uses,
//! [`kernel`] fetches and caches them, [`initramfs`] packs the file system, [`mod@boot`] runs it and reads the result. Two of
//! them run at a time; each has a log of its own, and every line that is printed names its kernel.
//! Emulation is slow but the same everywhere: it needs no `/dev/kvm`, and it boots kernels that nested
//! virtualization refuses.

mod boot;
mod initramfs;
mod kernel;
mod matrix;
mod mirror;
mod packages;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

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
/// Kernels that run at a time: most of a guest's time one of its CPUs verifies programs and the other waits.
const AT_ONCE: usize = 2;

pub(crate) fn command(mut args: Args) -> Result<ExitCode> {
    let without_lsm = args.flag("--no-lsm");
    let names = args.words();
    let filter = args.rest();
    args.done()?;
    let mut kernels = Matrix::read()?.select(&names)?;
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
    run(&Matrix::read()?.select(&[])?, filter)
}

/// Runs the tests that the filter names on these kernels (none named: all).
pub(crate) fn run_named(names: &[String], filter: &[String]) -> Result<Tally> {
    let mut sum = Tally::default();
    for (_, tally) in run(&Matrix::read()?.select(names)?, filter)? {
        sum += &tally;
    }
    Ok(sum)
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
    // Fetched one after the other, so that a mirror that is missing is told once and early.
    let images: Vec<Result<PathBuf>> = kernels.iter().map(kernel::fetch).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(kernel), Some(image)) = (kernels.get(index), images.get(index)) else { return };
            let tally = boot(kernel, image, &initrd, filter);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, tally));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(kernels.len()) {
            scope.spawn(worker);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(index, tally)| Ok((format!("vm {}", kernels[index].name), tally?))).collect()
}

/// One kernel, with its own tests where the filter is empty.
fn boot(kernel: &Kernel, image: &Result<PathBuf>, initrd: &Path, filter: &[String]) -> Result<Tally> {
    let filter = if filter.is_empty() { &kernel.tests } else { filter };
    match image {
        Ok(image) => boot::boot(kernel, image, initrd, filter),
        Err(error) => {
            say(AREA, format_args!("{}: {error:#}", kernel.name));
            Ok(Tally::broken(format!("{}: no kernel to boot: {error}", kernel.name)))
        }
    }
}
