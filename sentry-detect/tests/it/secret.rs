//! Reads of sensitive files: which are a finding, and what it says.

use sentry_detect::{
    event::{EventKind, OpenIntent, Ring},
    finding::Finding,
    rule::{secret_read::SECRET_READ, settings::Settings},
    runaway::Severity,
};

use crate::support::{Trace, file, findings, run_id};

fn open(path: &str, change: impl FnOnce(&mut OpenIntent)) -> EventKind {
    let mut intent =
        OpenIntent { read: true, write: false, truncate: false, append: false, path_only: false, raw: 0 };
    change(&mut intent);
    EventKind::Open { file: file(path), intent, created: false, attempt: false }
}

fn found(kinds: Vec<EventKind>) -> Vec<Finding> {
    let mut trace = Trace::new();
    for kind in kinds {
        trace.event(Ring::Bulk, kind, &["/usr/bin/cat"]);
    }
    trace.pass(100, 0.0);
    findings(Settings::default(), &trace.inputs)
}

fn read(path: &str) -> EventKind {
    open(path, |_| {})
}

#[test]
fn a_read_key_names_the_reader_and_the_file() {
    let all = found(vec![read("/home/u/.ssh/id_ed25519"), read("/home/u/.ssh/id_rsa")]);
    let [finding] = all.as_slice() else { unreachable!("{all:?}") };
    assert_eq!(finding.signal.rule, SECRET_READ);
    assert_eq!((finding.signal.severity, finding.signal.confidence), (Severity::Medium, 0.7));
    assert_eq!(finding.signal.summary, "/usr/bin/cat opened /home/u/.ssh/id_ed25519 (SSH keys).");
    assert_eq!(finding.evidence, [format!("{}-b-1", run_id())]);
    assert_eq!(finding.tags, ["attack:T1552.004", "owasp-asi:ASI03"]);
    assert_eq!(finding.signal.arithmetic[0].value, 2.0);
}

#[test]
fn each_class_is_a_finding_of_its_own() {
    let all = found(vec![read("/etc/shadow"), read("/home/u/.aws/credentials"), read("/srv/p/.env")]);
    let mut severities: Vec<Severity> = all.iter().map(|finding| finding.signal.severity).collect();
    severities.sort();
    assert_eq!(severities, [Severity::Low, Severity::Medium, Severity::Medium]);
}

#[test]
fn what_is_only_like_a_secret_is_no_finding() {
    let kinds = vec![
        read("/home/u/.ssh/id_rsa.pub"),
        read("/srv/p/.env.example"),
        read("/etc/passwd"),
        // Written, or named without being opened.
        open("/home/u/.netrc", |intent| (intent.read, intent.write) = (false, true)),
        open("/home/u/.netrc", |intent| intent.path_only = true),
    ];
    assert_eq!(found(kinds), []);
}
