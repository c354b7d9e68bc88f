//! `secret-read`: a file was opened whose content opens doors: a key, credentials, a token.
//!
//! Judged event by event, and a finding at the next reading: one for each class of
//! [`crate::sensitive`], and another one for a read after the cool-down. Memory is fixed: the
//! newest read of each class, each text of it cut to `LONGEST` bytes.
//!
//! A normal agent reads some of them for good reasons, so that it is recorded and never leads to an
//! act. The environment of processes is left to the report: `ps` reads it of all of them.

use super::{
    contract::{About, Rule, Seen, Shown, Urgency, Verdict},
    limits::NoLimits,
    past::Past,
};
use crate::{
    event::EventKind,
    runaway::{RuleId, RunawaySignal, Severity, Term},
    sensitive::{CLASSES, SensitiveFiles},
};

pub const SECRET_READ: RuleId = RuleId::new("secret-read");

/// It has no thresholds.
pub type Limits = NoLimits;

/// Longest text kept of a read, bytes.
const LONGEST: usize = 256;

/// Credentials in files.
const FILES: &[&str] = &["attack:T1552.001", "owasp-asi:ASI03"];
/// Private keys.
const KEYS: &[&str] = &["attack:T1552.004", "owasp-asi:ASI03"];
/// Credentials from web browsers; from password stores.
const BROWSERS: &[&str] = &["attack:T1555.003", "owasp-asi:ASI03"];
const STORES: &[&str] = &["attack:T1555", "owasp-asi:ASI03"];
/// `/etc/passwd` and `/etc/shadow`.
const ACCOUNTS: &[&str] = &["attack:T1003.008", "owasp-asi:ASI03"];
/// Bash history.
const HISTORY: &[&str] = &["attack:T1552.003", "owasp-asi:ASI03"];

/// How bad a read of a class is, how sure it is that it matters, and its tags; nothing for a class
/// that is only reported.
fn weight(class: &str) -> Option<(Severity, f64, &'static [&'static str])> {
    Some(match class {
        "ssh" | "gpg" => (Severity::Medium, 0.7, KEYS),
        "cloud" | "kubernetes" => (Severity::Medium, 0.7, FILES),
        "browser" => (Severity::Medium, 0.8, BROWSERS),
        "keyring" => (Severity::Medium, 0.8, STORES),
        "accounts" => (Severity::Medium, 0.6, ACCOUNTS),
        "history" => (Severity::Low, 0.5, HISTORY),
        // Programs read their own: npm its token, an agent its login.
        "env" | "token" | "llm" => (Severity::Low, 0.4, FILES),
        _ => return None,
    })
}

/// What a run read.
#[derive(Debug, Default)]
pub(crate) struct SecretRead {
    classes: [Class; CLASSES],
}

#[derive(Debug, Default)]
struct Class {
    /// In the life of the run.
    reads: u64,
    /// The first since the last reading, which a finding would show.
    read: Option<Box<Read>>,
}

#[derive(Debug)]
struct Read {
    event: String,
    time_unix_ns: u64,
    by: String,
    path: String,
}

impl Rule for SecretRead {
    type Limits = Limits;
    const ABOUT: About = About {
        id: SECRET_READ,
        when: "a file with keys, credentials or tokens is opened for reading, by class: SSH, GnuPG, cloud, \
               Kubernetes, models, `.env`, access tokens, browsers, keyrings, password hashes, shell history",
        severity: "by class; never leads to an act",
        urgency: Urgency::Known,
    };
    /// The classes.
    const SUBJECTS: usize = CLASSES;
    /// What was read stays known after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    /// Not at readings at all.
    fn looks_back_ms(_limits: &Limits) -> u64 {
        0
    }

    /// Never: agents do this legitimately.
    fn leads_to_acts(_limits: &Limits) -> bool {
        false
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let EventKind::Open { file, intent, .. } = &seen.event.kind else { return };
        if intent.path_only || (intent.write && !intent.read) {
            return;
        }
        let Some(number) = SensitiveFiles::shared().number_of(&file.path.text) else { return };
        let Some(class) = self.classes.get_mut(number) else { return };
        class.reads += 1;
        if class.read.is_none() {
            class.read = Some(Box::new(read(seen, &file.path.text)));
        }
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        let Class { reads, read } = &self.classes[subject];
        let Read { event, time_unix_ns, by, path } = read.as_deref()?;
        let class = SensitiveFiles::shared().class(subject)?;
        let (severity, confidence, tags) = weight(&class.name)?;
        let signal = RunawaySignal {
            rule: SECRET_READ,
            confidence,
            severity,
            summary: format!("{by} opened {path} ({}).", class.title),
            arithmetic: vec![
                Term::limited("reads of this class so far", *reads as f64, "", 1.0),
                Term::given("confidence", confidence, ""),
            ],
        };
        Some(Verdict { signal, since_unix_ns: *time_unix_ns, shown: Shown::One(event.clone()), tags })
    }

    fn judged(&mut self) {
        for class in &mut self.classes {
            class.read = None;
        }
    }
}

fn read(seen: &Seen<'_>, path: &str) -> Read {
    let path = path[..path.floor_char_boundary(LONGEST)].to_owned();
    let (event, time_unix_ns) = (seen.event.id.clone(), seen.event.time_unix_ns);
    Read { event, time_unix_ns, by: seen.by(LONGEST), path }
}
