//! The notices of everything that is compiled into a program: most of its licences ask for them
//! wherever it goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{contents::Package, programs::TARGET};
use crate::{cargo, paths, step};

/// Crates that are built apart and carried inside.
const INSIDE: [(&str, &str); 1] = [("sentry-cli", "sentry-ebpf")];

/// Beginnings of the names of files that hold a licence or a notice.
const FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// Crates with their licences, then each text once, under the crates that bring it.
pub(super) fn notices(package: &Package) -> Result<String> {
    let mut crates =
        below(package.member, &paths::root().join("Cargo.toml"), &["--filter-platform", TARGET])?;
    for (_, inside) in INSIDE.iter().filter(|(member, _)| *member == package.member) {
        crates.extend(below(inside, &paths::root().join(inside).join("Cargo.toml"), &[])?);
    }
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, found) in &crates {
        list.push_str(&format!("{name}: {}\n", found["license"].as_str().unwrap_or("see its text")));
        let manifest = found["manifest_path"].as_str().context("a crate without a manifest")?;
        for text in texts_beside(Path::new(manifest))? {
            texts.entry(text).or_default().push(name);
        }
    }
    // By their first crate and not by their text.
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    let texts = texts.into_iter().map(|(names, text)| format!("\n==== {}\n\n{text}\n", names.join(", ")));
    Ok(format!(
        "What {} has inside, and under which terms.\n\n{list}{}",
        package.program,
        texts.collect::<String>()
    ))
}

/// Crates of others that end up in the member, by name and version.
fn below(member: &str, manifest: &Path, more: &[&str]) -> Result<BTreeMap<String, Value>> {
    let mut command = cargo::workspace("metadata");
    command.args(["--format-version", "1", "--locked", "--manifest-path"]).arg(manifest).args(more);
    let metadata: Value = serde_json::from_str(&step::capture(&mut command)?)?;
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> =
        all(&metadata["packages"]).into_iter().map(|found| (id(&found["id"]), found)).collect();
    let nodes: BTreeMap<String, Vec<Value>> = all(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (id(&node["id"]), all(&node["deps"])))
        .collect();
    let start = packages.iter().find(|(_, found)| found["name"] == member);
    let (start, _) = start.with_context(|| format!("cargo knows no {member}"))?;
    let (mut seen, mut next) = (BTreeSet::new(), vec![start.clone()]);
    while let Some(node) = next.pop() {
        if seen.insert(node.clone()) {
            let deps = nodes.get(&node).into_iter().flatten();
            // Those of build scripts and tests are not compiled in.
            let inside = deps.filter(|dep| all(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
            next.extend(inside.map(|dep| id(&dep["pkg"])));
        }
    }
    let others = seen.iter().filter_map(|node| packages.get(node)).filter(|found| !found["source"].is_null());
    Ok(others
        .map(|found| (format!("{} {}", id(&found["name"]), id(&found["version"])), found.clone()))
        .collect())
}

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts_beside(manifest: &Path) -> Result<BTreeSet<String>> {
    let dir = manifest.parent().context("a manifest without a directory")?;
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && FILES.iter().any(|begin| name.starts_with(begin)) {
            texts.insert(step::read_lossy(&entry.path()).trim().replace('\r', ""));
        }
    }
    Ok(texts)
}
