//! Every licence that a manifest names has its text in the checkout.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tidy::Finding;

/// The crate outside of the workspace, which `cargo metadata` does not show, is dual-licensed with
/// the GPL: the kernel lends its helpers only to such programs.
const BPF_LICENCES: &str = "GPL-2.0-only OR MIT";

pub(super) fn check(metadata: &Value, files: &[String]) -> Vec<Finding> {
    let members = metadata["workspace_members"].as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let own = packages.iter().filter(|package| members.contains(&package["id"]));
    let expressions = own.filter_map(|package| package["license"].as_str()).chain([BPF_LICENCES]);
    let named: BTreeSet<&str> = expressions
        .flat_map(str::split_whitespace)
        .filter(|word| !["OR", "AND", "WITH"].contains(word))
        .collect();
    named.into_iter().filter_map(|licence| missing(licence, files)).collect()
}

fn missing(licence: &str, files: &[String]) -> Option<Finding> {
    let family = licence.split('-').next().unwrap_or(licence).to_uppercase();
    let name = format!("LICENSE-{family}");
    let there = files.iter().any(|file| {
        let file = file.rsplit('/').next().unwrap_or(file).to_uppercase();
        file.starts_with(&name)
    });
    (!there).then(|| Finding {
        rule: "licence",
        place: name,
        line: None,
        what: format!("is missing: a manifest says {licence}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_named_licence_needs_its_text() {
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                {"id": "a", "license": "Apache-2.0 OR MIT"},
                {"id": "foreign", "license": "Zlib"},
            ],
        });
        let files = ["LICENSE-APACHE".to_owned(), "sentry-ebpf/LICENSE-GPL-2.0".to_owned()];
        let places: Vec<String> = check(&metadata, &files).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["LICENSE-MIT"]);
    }
}
