//! The shared libraries of programs, for places that have no others.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

/// What these programs need, by the paths that the dynamic linker will look for.
pub(crate) fn of(programs: &[&Path]) -> Result<BTreeSet<PathBuf>> {
    let mut libraries = BTreeSet::new();
    for program in programs {
        // ldd fails for static programs, which is fine: they need nothing.
        let output = Command::new("ldd").arg(program).output().context("cannot start ldd")?;
        if output.status.success() {
            libraries.extend(parse_ldd(&String::from_utf8_lossy(&output.stdout)));
        }
    }
    Ok(libraries)
}

fn parse_ldd(output: &str) -> Vec<PathBuf> {
    output
        .lines()
        .filter_map(|line| {
            let path = line.split_once("=> ").map_or(line, |(_, path)| path).split_whitespace().next()?;
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ldd_prints() {
        let output = "\
\tlinux-vdso.so.1 (0x00007ffd)
\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)";
        let expected = ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(parse_ldd(output), expected.map(PathBuf::from));
    }
}
