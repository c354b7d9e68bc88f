//! The dashboard that is committed.

use std::{fs, path::PathBuf, process::Command};

use sentry_tests::{programs, require, scratch::Scratch};

fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn web() -> PathBuf {
    checkout().join("sentry-collector/web")
}

#[test]
fn the_committed_dashboard_is_what_a_build_gives() {
    require!("dashboard-tools");
    let scratch = Scratch::new();
    let node = |script: &str, arguments: &[&str]| {
        let mut command = Command::new("node");
        command.arg(web().join("node_modules").join(script)).args(arguments).current_dir(web());
        let output = programs::finish(&mut command);
        assert!(output.status.success(), "{}", programs::text(&output));
    };
    let types = scratch.join("schema.ts");
    let description = checkout().join("docs/openapi.json");
    node(
        "openapi-typescript/bin/cli.js",
        &[description.to_str().unwrap(), "--output", types.to_str().unwrap()],
    );
    let types = fs::read_to_string(types).unwrap();
    let committed = fs::read_to_string(web().join("src/lib/schema.ts")).unwrap();
    assert!(types == committed, "the API has changed: `npm run types` in sentry-collector/web");

    let made = scratch.join("dist");
    node("vite/bin/vite.js", &["build", "--outDir", made.to_str().unwrap(), "--emptyOutDir"]);
    let files = |root: PathBuf| {
        let mut command = Command::new("find");
        command.args([".", "-type", "f", "-exec", "sha256sum", "{}", "+"]).current_dir(root);
        let output = programs::finish(&mut command);
        let mut lines: Vec<String> = programs::text(&output).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (made, committed) = (files(made), files(web().join("dist")));
    assert!(made.len() > 2, "{made:?}");
    assert_eq!(made, committed, "`npm run build` in sentry-collector/web makes dist anew");
}
