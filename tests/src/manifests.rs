//! What is deployed to Kubernetes, as objects: the chart rendered by Helm, the overlays built by
//! kustomize, both checked against the schemas of a version of Kubernetes. The tools are those that
//! `cargo xtask setup` puts below `target/deploy-tools`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::{programs, scratch::Scratch};

/// Of the API groups that are Kubernetes' own, whose schemas there are.
const CUSTOM: [&str; 2] = ["cert-manager.io/", "monitoring.coreos.com/"];

/// A path in the checkout.
#[must_use]
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).join(path)
}

/// The script of axe-core, which set-up puts there.
///
/// # Errors
/// It is not there.
pub fn axe() -> io::Result<String> {
    fs::read_to_string(checkout("target/deploy-tools/axe.min.js"))
}

/// A program of the tools.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    checkout("target/deploy-tools/bin").join(name)
}

/// The answer of `tests/deploy/chart.py`.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn chart(args: &[&str]) -> Value {
    let mut command = Command::new(tool("python"));
    let output = programs::finish(command.arg(checkout("tests/deploy/chart.py")).args(args));
    assert!(output.status.success(), "{args:?}: {}", programs::text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The chart's text and objects for values of `tests/deploy/values`.
#[must_use]
pub fn rendered(version: &str, values: &str) -> (String, Vec<Value>) {
    let values = checkout("tests/deploy/values").join(format!("{values}.yaml"));
    let dir = checkout("deploy/helm/agentsentry");
    let mut all = chart(&["render", dir.to_str().unwrap(), version, values.to_str().unwrap()]);
    let one = all[0].take();
    (one["text"].as_str().unwrap().to_owned(), one["objects"].as_array().unwrap().clone())
}

/// The objects of a directory of `deploy/kubernetes`.
///
/// # Panics
/// When kustomize cannot build it.
#[must_use]
pub fn kustomized(dir: &str) -> Vec<Value> {
    let scratch = Scratch::new();
    let mut command = Command::new(tool("kubectl"));
    let output = programs::finish(command.arg("kustomize").arg(checkout("deploy/kubernetes").join(dir)));
    assert!(output.status.success(), "{dir}: {}", programs::text(&output));
    let file = scratch.join("objects.yaml");
    fs::write(&file, &output.stdout).unwrap();
    chart(&["objects", file.to_str().unwrap()]).as_array().unwrap().clone()
}

/// Whether the schemas of `version` (`1.37`) take all of these, without a key too many. Objects of
/// others' API groups are left out: their schemas are not here.
#[must_use]
pub fn validate(version: &str, objects: &[Value]) -> Output {
    let scratch = Scratch::new();
    let file = scratch.join("objects.yaml");
    let own = |object: &&Value| {
        let group = object["apiVersion"].as_str().unwrap_or_default();
        !CUSTOM.iter().any(|custom| group.starts_with(custom))
    };
    let texts: Vec<String> = objects.iter().filter(own).map(Value::to_string).collect();
    assert!(!texts.is_empty(), "there is nothing to check");
    fs::write(&file, texts.join("\n---\n")).unwrap();
    let mut command = Command::new(tool("kubernetes-validate"));
    programs::finish(command.args(["--strict", "--quiet", "-k", version]).arg(&file))
}
