//! Lists the scenario files, so that the tests carry them to machines that have no checkout.

use std::{
    env, fs,
    io::{Error, Result},
    path::{Path, PathBuf},
};

fn main() -> Result<()> {
    let here =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(|| Error::other("not run by cargo"))?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| Error::other("not run by cargo"))?);
    let folder = here.join("scenarios");
    let text = format!(
        "static RUN: &[(&str, &str)] = &[{}];\nstatic PENDING: &[(&str, &str)] = &[{}];\n",
        list(&folder)?,
        list(&folder.join("pending"))?
    );
    fs::write(out.join("scenarios.rs"), text)
}

/// `(name, text)` of each file, by name.
fn list(folder: &Path) -> Result<String> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let Ok(entries) = fs::read_dir(folder) else { return Ok(String::new()) };
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let line = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default();
        format!("({name:?}, include_str!({file:?})),\n")
    };
    Ok(files.iter().map(line).collect())
}
