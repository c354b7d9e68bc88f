#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod archive;

mod crash;

mod tamper;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use sentry_detect::{
    decision::{Action, Decision, Outcome, OutcomeKind},
    run::{Mode, RunId},
};
use sentry_proto::v1;
use serde_json::{Value, json};

use super::{
    Entry, LINE_LIMIT, Ledger, LedgerError, VerifyError, entry, head, key, store,
    verify::{Verified, verify, verify_bytes},
};

/// A ledger's files in memory.
pub(super) struct Files {
    pub(super) segments: Vec<(String, Vec<u8>)>,
    pub(super) head: Vec<u8>,
    pub(super) public: Vec<u8>,
}

impl Files {
    pub(super) fn read(dir: &Path) -> Self {
        let segments = store::segments(dir).unwrap().into_iter().map(store::name);
        Self {
            segments: segments.map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect(),
            head: fs::read(dir.join(head::FILE)).unwrap(),
            public: fs::read(dir.join(key::PUBLIC_FILE)).unwrap(),
        }
    }

    pub(super) fn verify(&self) -> Result<Verified, VerifyError> {
        let segments: Vec<_> =
            self.segments.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        verify_bytes(&segments, &self.head, &self.public)
    }

    /// All lines over all segments, newlines included.
    pub(super) fn lines(&self) -> Vec<Vec<u8>> {
        let lines = self.segments.iter().flat_map(|(_, bytes)| bytes.split_inclusive(|byte| *byte == b'\n'));
        lines.map(<[u8]>::to_vec).collect()
    }
}

/// Entries of about the size and look of real ones.
pub(super) fn body(n: u64) -> Value {
    json!({
        "id": format!("01990000-0000-7000-8000-00000000000a-d-{n}"),
        "reason": "512 births in 5 s; \"limit\" 64\n\\ü",
        "rate": 102.4 / (n + 1) as f64,
        "tags": ["a", "b"],
        "time_unix_ns": 1_760_000_000_123_456_789_u64 + n,
        "ok": n.is_multiple_of(2),
        "none": null,
    })
}

/// Fills `dir` so that the ledger holds `entries` in segments of `limit` bytes.
pub(super) fn filled(dir: &Path, entries: u64, limit: u64) -> Files {
    let mut ledger = Ledger::open_with(dir, limit).unwrap();
    for n in 1..entries {
        ledger.append("decision", body(n), 1_760_000_000_000_000_000 + n).unwrap();
    }
    drop(ledger);
    Files::read(dir)
}

#[test]
fn a_ledger_reads_back_over_reopen_and_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = String::new();
    let mut chain = String::new();
    for round in 0..5_u64 {
        let mut ledger = Ledger::open_with(dir.path(), 2_000).unwrap();
        for n in 0..7 {
            last = ledger.append("decision", body(round * 7 + n), n).unwrap().fingerprint;
        }
        assert_eq!(ledger.head(), (1 + (round + 1) * 7, last.as_str()));
        chain = ledger.chain_uid().to_owned();
    }
    let verified = verify(dir.path()).unwrap();
    assert_eq!(verified.entries, 36);
    assert_eq!(verified.head_fingerprint, last);
    assert_eq!(verified.chain_uid, chain);
    assert!(verified.segments > 5, "{verified:?}");
    let files = Files::read(dir.path());
    assert_eq!(files.verify().unwrap(), verified);
    assert!(files.segments.iter().all(|(_, bytes)| bytes.len() <= 2_000));
}

#[test]
fn a_new_ledger_is_whole_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    drop(Ledger::open(&path).unwrap());
    let verified = verify(&path).unwrap();
    assert_eq!((verified.entries, verified.segments), (1, 1));
    let mode = |file: &str| fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("ledger.key"), 0o600);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    let Entry { kind, prev, body, .. } =
        Entry::parse(Files::read(&path).lines()[0].strip_suffix(b"\n").unwrap()).unwrap();
    assert_eq!((kind.as_str(), prev.as_str()), (entry::GENESIS, entry::NO_PREVIOUS));
    assert_eq!(body["public_key"], verified.public_key);
}

#[test]
fn one_process_has_it_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Ledger::open(dir.path()).unwrap();
    assert!(matches!(Ledger::open(dir.path()), Err(LedgerError::InUse { .. })));
    drop(first);
    drop(Ledger::open(dir.path()).unwrap());
}

#[test]
fn typed_entries_hold_exact_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let run = v1::Run { id: "r".to_owned(), started_unix_ns: 5, mode: 2, ..v1::Run::default() };
    ledger.run_started(&run).unwrap();
    let decision = Decision {
        id: "r-d-1".to_owned(),
        run: RunId("r".to_owned()),
        action: Action::Kill,
        mode: Mode::Enforce,
        finding: None,
        origin: "user:0".to_owned(),
        reason: "asked".to_owned(),
        time_unix_ns: u64::MAX,
    };
    let entry = ledger.decision(&decision).unwrap();
    assert_eq!(entry.time, u64::MAX.to_string());
    assert_eq!(entry.body["time_unix_ns"], json!(u64::MAX.to_string()));
    let outcome = Outcome {
        decision: "r-d-1".to_owned(),
        run: RunId("r".to_owned()),
        action: Action::Kill,
        result: OutcomeKind::Failed { why: "1 survived".to_owned() },
        time_unix_ns: 7,
        took_ns: 3_000_000,
        processes: 12,
        survivors: 1,
    };
    assert_eq!(ledger.outcome(&outcome).unwrap().body["took_ns"], json!(3_000_000));
    ledger.run_ended(&run).unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, 5);
}

#[test]
fn a_run_in_a_container_is_entered_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let run = v1::Run { id: "r".to_owned(), ..v1::Run::default() };
    assert_eq!(ledger.run_started(&run).unwrap().body.get("container"), None);
    let container = v1::Container { engine: "docker".to_owned(), ..v1::Container::default() };
    let expected = json!(sentry_view::Container::from(&container));
    let contained = v1::Run { container: Some(container), ..run };
    assert_eq!(ledger.run_started(&contained).unwrap().body["container"], expected);
}

#[test]
fn what_cannot_be_proven_later_is_refused_now() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert!(matches!(ledger.append("x", deep, 0), Err(LedgerError::Body { .. })));
    let long = json!("x".repeat(usize::try_from(LINE_LIMIT).unwrap()));
    assert!(matches!(ledger.append("x", long, 0), Err(LedgerError::TooLarge { .. })));
    // Only the first entry may be called so.
    ledger.append("x", json!([0.1, -0.0, 1e300, 5e-324, i64::MIN, u64::MAX, "\u{2028}"]), 0).unwrap();
    assert_eq!(verify(dir.path()).unwrap().entries, 2);
}

#[test]
fn a_foreign_public_key_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(Ledger::open(one.path()).unwrap());
    drop(Ledger::open(other.path()).unwrap());
    fs::copy(other.path().join("ledger.pub"), one.path().join("ledger.pub")).unwrap();
    assert!(matches!(Ledger::open(one.path()), Err(LedgerError::Key { .. })));
    assert!(verify(one.path()).is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_and_float_reads_back(
        text in proptest::prelude::any::<String>(),
        bits in proptest::prelude::any::<u64>(),
    ) {
        let link = entry::Link { chain_uid: &text, seq: bits >> 12, fingerprint: &text };
        let body = json!({ "t": text, "f": f64::from_bits(bits), "u": bits, text.clone(): 1 });
        let (entry, line) = Entry::next(&link, &text, body, bits).unwrap();
        proptest::prop_assert_eq!(Entry::parse(line.strip_suffix(b"\n").unwrap()).unwrap(), entry);
        proptest::prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
