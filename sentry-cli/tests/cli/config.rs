//! `sentry config reload`.

use sentry_proto::v1;
use serde_json::{Value, json};

use crate::server::{Script, Sensor};

fn reload(reply: v1::ReloadReply, arguments: &[&str]) -> (Option<i32>, String, String) {
    let sensor = Sensor::with(Script { reload: reply, ..Script::default() });
    let arguments = [&["config", "reload"][..], arguments].concat();
    let output = sensor.sentry(&arguments).env("NO_COLOR", "1").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_reload_says_what_it_changed() {
    let change =
        v1::KeyChange { key: "discover".into(), before: Some("off".into()), after: Some("tag".into()) };
    let reply = v1::ReloadReply {
        changed: vec![change],
        needs_restart: vec!["rings".into()],
        ..v1::ReloadReply::default()
    };
    let (code, said, wrong) = reload(reply.clone(), &[]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    let expected =
        "The configuration is read again; 1 value changed\n  discover: off → tag\n  after a restart: rings\n";
    assert_eq!(said, expected);
    let (code, line, wrong) = reload(reply, &["--json"]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({
            "type": "config_reload",
            "changed": [{ "key": "discover", "before": "off", "after": "tag" }],
            "needs_restart": ["rings"],
            "errors": [],
        })
    );
}

#[test]
fn a_refused_configuration_ends_with_78_and_all_that_is_wrong() {
    let errors = vec!["c.yaml:2:1: a".to_owned(), "c.yaml:3:1: b".to_owned()];
    let reply = v1::ReloadReply { errors, ..v1::ReloadReply::default() };
    let (code, said, wrong) = reload(reply.clone(), &[]);
    assert_eq!((code, said.as_str()), (Some(78), ""));
    let expected =
        "sentry: the configuration is not valid, and nothing was changed: c.yaml:2:1: a; c.yaml:3:1: b\n";
    assert_eq!(wrong, expected);
    let (code, line, wrong) = reload(reply, &["--json"]);
    assert_eq!((code, wrong.as_str()), (Some(78), ""));
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap()["errors"],
        json!(["c.yaml:2:1: a", "c.yaml:3:1: b"])
    );
}
