//! The schemas under `docs/schema` are those of the types. With `UPDATE_DOCS=1` the test writes
//! them.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{collections::BTreeMap, fs, path::Path};

use schemars::{JsonSchema, schema_for};
use sentry_view::{
    Cause, CollectedDecision, CollectedOutcome, CollectedRun, ConfigChanged, ConfigReload, Decision,
    Difference, ExplainedEvent, ExportManifest, Exported, Finding, Outcome, Replay, Report, Run, RunEnd,
    RunStart, Standing,
};

fn text<T: JsonSchema>() -> String {
    serde_json::to_string_pretty(&schema_for!(T)).unwrap() + "\n"
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let schemas = BTreeMap::from([
        ("run.json", text::<Run>()),
        ("finding.json", text::<Finding>()),
        ("decision.json", text::<Decision>()),
        ("outcome.json", text::<Outcome>()),
        ("report.json", text::<Report>()),
        ("difference.json", text::<Difference>()),
        ("cause.json", text::<Cause>()),
        ("explained-event.json", text::<ExplainedEvent>()),
        ("standing.json", text::<Standing>()),
        ("collected-run.json", text::<CollectedRun>()),
        ("collected-decision.json", text::<CollectedDecision>()),
        ("collected-outcome.json", text::<CollectedOutcome>()),
        ("ledger-run-start.json", text::<RunStart>()),
        ("ledger-run-end.json", text::<RunEnd>()),
        ("ledger-config-changed.json", text::<ConfigChanged>()),
        ("ledger-exported.json", text::<Exported>()),
        ("export-manifest.json", text::<ExportManifest>()),
        ("replay.json", text::<Replay>()),
        ("config-reload.json", text::<ConfigReload>()),
    ]);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(&dir).unwrap();
        for (name, schema) in &schemas {
            fs::write(dir.join(name), schema).unwrap();
        }
    }
    let committed: BTreeMap<String, String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    let expected: BTreeMap<String, String> =
        schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    assert_eq!(committed, expected, "run this test again with UPDATE_DOCS=1");
}
