//! `secret-read`: a file was opened whose content opens doors: a key, credentials, a token.
//!
//! Judged event by event, and a finding at the next reading: one for each class of
//! [`crate::sensitive`], own classes of the configuration included, and another one for a read
//! after the cool-down. Memory is fixed: the first read of each class since the last reading, each
//! text of it cut.
//!
//! A normal agent reads some of them for good reasons, so that it is recorded and never leads to an
//! act. The environment of processes is left to `other-process` and the report: `ps` reads it of
//! all of them.
//!
//! Limit: a class of the configuration has a place, not a name, in what a run remembers: where a
//! new configuration has other classes, the number of reads so far may be that of the class before.

use super::{
    contract::{About, Rule, Seen, Urgency, Verdict},
    limits::NoLimits,
    noticed::{Noticed, Weight, said},
    past::Past,
};
use crate::{
    event::EventKind,
    runaway::{RuleId, Severity},
    sensitive::{CLASSES, Class},
};

pub const SECRET_READ: RuleId = RuleId::new("secret-read");

/// It has no thresholds.
pub type Limits = NoLimits;

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
pub(super) fn weight(class: &Class) -> Option<Weight> {
    let (severity, confidence, tags) = match class.name.as_str() {
        _ if class.severity.is_some() => (class.severity?, 0.7, FILES),
        "ssh" | "gpg" => (Severity::Medium, 0.7, KEYS),
        "cloud" | "kubernetes" => (Severity::Medium, 0.7, FILES),
        "browser" => (Severity::Medium, 0.8, BROWSERS),
        "keyring" => (Severity::Medium, 0.8, STORES),
        "accounts" => (Severity::Medium, 0.6, ACCOUNTS),
        "history" => (Severity::Low, 0.5, HISTORY),
        // Programs read their own: npm its token, an agent its login.
        "env" | "token" | "llm" => (Severity::Low, 0.4, FILES),
        _ => return None,
    };
    Some(Weight { severity, confidence, tags })
}

/// What a run read.
#[derive(Debug, Default)]
pub(crate) struct SecretRead {
    classes: [Noticed; CLASSES],
}

impl Rule for SecretRead {
    type Limits = Limits;
    const ABOUT: About = About {
        id: SECRET_READ,
        when: "a file with keys, credentials or tokens is opened for reading, by class: SSH, GnuPG, cloud, \
               Kubernetes, models, `.env`, access tokens, browsers, keyrings, password hashes, shell \
               history, and the configuration's own",
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

    fn event(&mut self, seen: &Seen<'_>) {
        let (Some((number, class)), EventKind::Open { file, .. }) = (seen.secret, &seen.event.kind) else {
            return;
        };
        let (Some(reads), Some(weight)) = (self.classes.get_mut(number), weight(class)) else { return };
        reads.add(seen, weight, || format!("{} ({}).", said(seen, "opened", &file.path.text), class.title));
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        self.classes[subject].verdict(SECRET_READ, "reads of this class so far")
    }

    fn judged(&mut self) {
        self.classes.iter_mut().for_each(Noticed::judged);
    }
}
