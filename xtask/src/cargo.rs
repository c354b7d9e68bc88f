//! Calling cargo for the workspace, and reading what it says.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{host::Host, paths, step};

/// The cargo that started us, in the checkout, without colours (its output goes to logs).
pub(crate) fn workspace(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The variables that cargo sets for a program concern that program; a nested cargo must not
    // inherit it.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
        if about_us.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.arg(subcommand).current_dir(paths::root()).env("CARGO_TERM_COLOR", "never");
    command
}

/// True if this cargo has the subcommand (a plugin such as nextest).
pub(crate) fn has(subcommand: &str) -> bool {
    workspace(subcommand)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `cargo metadata`, with the resolved graph.
pub(crate) fn metadata() -> Result<Value> {
    let text = step::capture(workspace("metadata").args(["--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo metadata did not print JSON")
}

/// Names of the workspace's own packages.
pub(crate) fn members() -> Result<Vec<String>> {
    Ok(member_dirs()?.into_keys().collect())
}

/// The same, and where they are.
pub(crate) fn member_dirs() -> Result<BTreeMap<String, PathBuf>> {
    let text = step::capture(workspace("metadata").args(["--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata did not print JSON")?;
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let member = |package: &Value| {
        let dir = Path::new(package["manifest_path"].as_str()?).parent()?;
        Some((package["name"].as_str()?.to_owned(), dir.to_owned()))
    };
    Ok(packages.iter().filter_map(member).collect())
}

/// For compilers: options that put names in the place of this machine's paths, so that what is
/// compiled is the same wherever the checkout is.
pub(crate) fn hidden(option: &str) -> Vec<String> {
    let sources = Host::this().cargo_home.join("registry/src");
    [(paths::root(), "/agentsentry"), (sources, "/crates")]
        .map(|(path, name)| format!("{option}{}={name}", path.display()))
        .to_vec()
}

/// A program that a build produced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    pub(crate) name: String,
    /// `bin`, `lib`, `test`, …
    pub(crate) kind: String,
    /// Built as a test of itself.
    pub(crate) test: bool,
    pub(crate) path: PathBuf,
}

/// The programs named in the output of a build with `--message-format=json`.
pub(crate) fn executables(messages: &str) -> Vec<Executable> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            Some(Executable {
                name: message["target"]["name"].as_str()?.to_owned(),
                kind: message["target"]["kind"][0].as_str()?.to_owned(),
                test: message["profile"]["test"].as_bool()?,
                path: PathBuf::from(message["executable"].as_str()?),
            })
        })
        .collect()
}

/// Runs a build that prints JSON messages; they go to `target/xtask/<log>.json`, the rest to the
/// log.
pub(crate) fn build_messages(area: &str, what: &str, log: &str, command: &mut Command) -> Result<String> {
    let file = step::log_path(log)?.with_extension("json");
    // A shell keeps the two streams apart while `step::run` watches over the program.
    let line = format!("exec {} > {}", step::shell_line(command), file.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]);
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    step::run(area, what, log, &mut shell)?;
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_among_the_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"exec"},"profile":{"test":true},"executable":"/t/exec-1"}
{"reason":"build-finished","success":true}
not json"#;
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].kind.as_str(), found[0].test), ("exec", "test", true));
    }
}
