//! Rules about who may depend on whom, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::tidy::Finding;

/// The prefix of a dependency's name, and the members that may name it in their manifest.
const DIRECT: [(&str, &[&str]); 3] = [
    ("aya", &["sentry-kernel", "sentry-tests"]),
    ("tonic", &["sentry-proto", "sentry-agent", "sentry-cli", "sentry-collector", "sentry-tests"]),
    ("rusqlite", &["sentry-agent", "sentry-collector", "sentry-tests"]),
];

/// A member, and what must not be anywhere below it.
const TREES: [(&str, &[&str]); 8] = [
    ("sentry-archive", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-baseline", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-rules", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-yaml", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-view", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-detect", &["tokio", "aya", "tonic", "nix", "rustix", "rusqlite"]),
    ("sentry-common", &["aya", "tokio", "tonic"]),
    ("sentry-collector", &["aya", "sentry-kernel"]),
];

/// A member, and the members it may depend on.
const OWN: [(&str, &[&str]); 16] = [
    ("sentry-common", &[]),
    ("sentry-detect", &["sentry-common"]),
    ("sentry-proto", &["sentry-common", "sentry-detect", "sentry-view"]),
    ("sentry-private", &[]),
    ("sentry-archive", &["sentry-view"]),
    ("sentry-baseline", &[]),
    ("sentry-recording", &["sentry-common", "sentry-detect", "sentry-proto", "sentry-rules", "sentry-view"]),
    ("sentry-story", &["sentry-detect", "sentry-proto", "sentry-view"]),
    ("sentry-view", &["sentry-common"]),
    ("sentry-rules", &["sentry-common", "sentry-detect", "sentry-yaml"]),
    ("sentry-service", &[]),
    ("sentry-yaml", &[]),
    ("sentry-kernel", &["sentry-common", "sentry-detect", "sentry-service"]),
    (
        "sentry-agent",
        &[
            "sentry-archive",
            "sentry-baseline",
            "sentry-common",
            "sentry-detect",
            "sentry-kernel",
            "sentry-private",
            "sentry-proto",
            "sentry-recording",
            "sentry-rules",
            "sentry-service",
            "sentry-story",
            "sentry-view",
            "sentry-yaml",
        ],
    ),
    (
        "sentry-cli",
        &[
            "sentry-agent",
            "sentry-archive",
            "sentry-kernel",
            "sentry-private",
            "sentry-proto",
            "sentry-recording",
            "sentry-rules",
            "sentry-service",
            "sentry-story",
            "sentry-view",
            "sentry-yaml",
        ],
    ),
    (
        "sentry-collector",
        &[
            "sentry-detect",
            "sentry-private",
            "sentry-proto",
            "sentry-service",
            "sentry-story",
            "sentry-view",
            "sentry-yaml",
        ],
    ),
];

/// What is wrong with the graph.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let graph = Graph::read(metadata);
    let mut findings = Vec::new();
    for member in &graph.members {
        for dependency in graph.direct.get(member).into_iter().flatten() {
            findings.extend(direct(member, dependency));
        }
    }
    for (member, forbidden) in TREES {
        for name in graph.below(member) {
            if forbidden.iter().any(|prefix| is_family(&name, prefix)) {
                findings.push(finding(member, format!("must have no {name} in its tree")));
            }
        }
    }
    findings
}

fn direct(member: &str, dependency: &str) -> Option<Finding> {
    for (prefix, allowed) in DIRECT {
        if is_family(dependency, prefix) && !allowed.contains(&member) {
            return Some(finding(
                member,
                format!("may not depend on {dependency}; only {}", allowed.join(", ")),
            ));
        }
    }
    let (_, allowed) = OWN.iter().find(|(name, _)| *name == member)?;
    let ours = dependency.starts_with("sentry-");
    (ours && !allowed.contains(&dependency))
        .then(|| finding(member, format!("may not depend on {dependency}")))
}

fn finding(member: &str, what: String) -> Finding {
    Finding { rule: "arrows", place: member.to_owned(), line: None, what }
}

/// `tonic` and `tonic-health`, but not `tonics`.
fn is_family(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// What of the metadata matters here. Dependencies that only tests have do not count.
struct Graph {
    members: Vec<String>,
    direct: BTreeMap<String, Vec<String>>,
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let members: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
        let mut graph = Self {
            members: Vec::new(),
            direct: BTreeMap::new(),
            names: BTreeMap::new(),
            edges: BTreeMap::new(),
        };
        for package in list(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if members.contains(&id) {
                graph.members.push(name.clone());
                let wanted = list(&package["dependencies"])
                    .into_iter()
                    .filter(|dependency| dependency["kind"] != "dev");
                let wanted = wanted.map(|dependency| text(&dependency["name"]));
                graph.direct.insert(name.clone(), wanted.collect());
            }
            graph.names.insert(id, name);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let normal = |dependency: &Value| {
                let kinds = list(&dependency["dep_kinds"]);
                kinds.iter().any(|kind| kind["kind"].is_null())
            };
            let below =
                list(&node["deps"]).into_iter().filter(normal).map(|dependency| text(&dependency["pkg"]));
            graph.edges.insert(text(&node["id"]), below.collect());
        }
        graph
    }

    /// Names of everything the member's own code is linked with.
    fn below(&self, member: &str) -> BTreeSet<String> {
        let mut waiting: Vec<&String> = self
            .names
            .iter()
            .filter(|(id, name)| *name == member && self.edges.contains_key(*id))
            .map(|(id, _)| id)
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if seen.insert(id) {
                waiting.extend(self.edges.get(id).into_iter().flatten());
            }
        }
        seen.into_iter().filter_map(|id| self.names.get(id).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(detect_needs: &str, kind: Value) -> Value {
        json!({
            "workspace_members": ["d", "x"],
            "packages": [
                {"id": "d", "name": "sentry-detect", "dependencies": [{"name": detect_needs, "kind": kind, "optional": false}]},
                {"id": "x", "name": "xtask", "dependencies": []},
                {"id": "m", "name": detect_needs, "dependencies": []},
                {"id": "t", "name": "tokio", "dependencies": []},
            ],
            "resolve": {"nodes": [
                {"id": "d", "deps": [{"pkg": "m", "dep_kinds": [{"kind": kind}]}]},
                {"id": "m", "deps": [{"pkg": "t", "dep_kinds": [{"kind": null}]}]},
            ]},
        })
    }

    #[test]
    fn finds_a_forbidden_dependency_below_another() {
        let findings = check(&workspace("middle", Value::Null));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].what, "must have no tokio in its tree");
        assert_eq!(check(&workspace("middle", json!("dev"))), [], "tests may use what they want");
    }

    #[test]
    fn knows_who_may_name_whom() {
        assert!(direct("sentry-collector", "aya").is_some());
        assert!(direct("sentry-detect", "tonic-health").is_some());
        assert!(direct("sentry-common", "aya").is_some());
        assert!(direct("sentry-detect", "sentry-proto").is_some());
        assert!(direct("sentry-agent", "sentry-proto").is_none());
        assert!(direct("xtask", "ayatana").is_none());
    }
}
