//! `anti-forensics`: traces of what was done were removed, cut or moved away: the history of a
//! shell, logs, the journal, the record of logins, and what the sensor keeps.
//!
//! Judged event by event, and a finding at the next reading: one for each class, and another one
//! for an act after the cool-down. Memory is fixed: the first act of each class since the last
//! reading, each text of it cut. An act is: a removal; a truncation; an open that empties a file
//! that was there; a rename to elsewhere; a symbolic link in a history's place. Of the sensor's
//! places (the default ones) also an open for writing, and a connection to its socket, which
//! refuses members of runs.
//!
//! Shells save their history by a rename of a new file over the old one, which is none. What a
//! package manager or a log rotator of the system does is none.
//!
//! Recorded, and never leads to an act: an administrator does this legitimately. Limits: a program
//! that empties a log of its own below `/var/log` is one. A history that a shell empties itself
//! (`history -c`) is not in the record, nor is a change of a file's times, for which the kernel
//! programs have no hook. A state directory that the configuration names is not known.

use super::{
    contract::{About, Rule, Seen, Urgency, Verdict, cut},
    known,
    limits::NoLimits,
    noticed::{LONGEST, Noticed, Weight, said},
    past::Past,
};
use crate::{
    act::FileAct,
    event::EventKind,
    runaway::{RuleId, Severity},
};

/// It has no thresholds.
pub(super) type Limits = NoLimits;

const ANTI_FORENSICS: RuleId = RuleId::new("anti-forensics");

/// Clear Command History.
const HISTORY: usize = 0;
/// Clear Linux or Mac System Logs.
const LOGINS: usize = 1;
const LOGS: usize = 2;
/// Disable or Modify Tools.
const SENSOR: usize = 3;
const CLASSES: [(&str, Weight); 4] = [
    ("shell history", weight(Severity::Medium, 0.8, &["attack:T1070.003", "owasp-asi:ASI10"])),
    (
        "record of logins, audit or journal",
        weight(Severity::High, 0.8, &["attack:T1070.002", "owasp-asi:ASI10"]),
    ),
    ("log", weight(Severity::Medium, 0.6, &["attack:T1070.002", "owasp-asi:ASI10"])),
    ("the sensor's own", weight(Severity::High, 0.8, &["attack:T1562.001", "owasp-asi:ASI10"])),
];

const HISTORIES: &[&str] = &[
    "/.bash_history",
    "/.zsh_history",
    "/.sh_history",
    "/.ash_history",
    "/.histfile",
    "/fish/fish_history",
    "/.python_history",
    "/.psql_history",
    "/.mysql_history",
    "/.sqlite_history",
    "/.lesshst",
];
/// Written anew by its own program: from 3.13 on Python empties it first.
const PYTHON: &str = "/.python_history";
const RECORDS: &[&str] = &[
    "/var/log/journal/",
    "/run/log/journal/",
    "/var/log/audit/",
    "/var/log/wtmp",
    "/var/log/btmp",
    "/var/log/lastlog",
    "/var/log/faillog",
    "/var/log/auth.log",
    "/var/log/secure",
    "/run/utmp",
    "/var/run/utmp",
];
const LOG_FILES: &str = "/var/log/";
/// Where the sensor is by default.
const OWN: &[&str] = &["/var/lib/agentsentry/", "/run/agentsentry/", "/etc/agentsentry/"];

const fn weight(severity: Severity, confidence: f64, tags: &'static [&'static str]) -> Weight {
    Weight { severity, confidence, tags }
}

/// What a run did.
#[derive(Debug, Default)]
pub(crate) struct AntiForensics {
    classes: [Noticed; CLASSES.len()],
}

impl Rule for AntiForensics {
    type Limits = Limits;
    const ABOUT: About = About {
        id: ANTI_FORENSICS,
        when: "traces are removed, cut or moved away: shell history, logs, journal, audit, logins; or the \
               sensor's own files or socket are touched",
        severity: "by class; never leads to an act",
        urgency: Urgency::Known,
    };
    /// The classes.
    const SUBJECTS: usize = CLASSES.len();
    /// What was done stays known after an act.
    const FORGETS: bool = false;

    fn new(_limits: &Limits, _now_unix_ns: u64) -> Self {
        Self::default()
    }

    fn event(&mut self, seen: &Seen<'_>) {
        let Some((verb, path)) = act(&seen.event.kind) else { return };
        let Some(number) = class_of(verb, path) else { return };
        let program = seen.program();
        let is_python = path.ends_with(PYTHON) && program.contains("/python");
        if is_python || known::is_manager(program) {
            return;
        }
        let (title, weight) = CLASSES[number];
        self.classes[number].add(seen, weight, || match &seen.event.kind {
            EventKind::Rename { new_path, .. } => {
                format!("{} to {} ({title}).", said(seen, verb.text(), path), cut(&new_path.text, LONGEST))
            }
            _ => format!("{} ({title}).", said(seen, verb.text(), path)),
        });
    }

    fn judge(&mut self, subject: usize, _past: &Past, _limits: &Limits) -> Option<Verdict> {
        self.classes[subject].verdict(ANTI_FORENSICS, "acts of this class so far")
    }

    fn judged(&mut self) {
        self.classes.iter_mut().for_each(Noticed::judged);
    }
}

/// What was done to a file or socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Removed,
    Emptied,
    Moved,
    Linked,
    Wrote,
    Called,
}

impl Verb {
    const fn text(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Emptied => "emptied",
            Self::Moved => "moved",
            Self::Linked => "put a link at",
            Self::Wrote => "opened for writing",
            Self::Called => "connected to",
        }
    }
}

fn act(kind: &EventKind) -> Option<(Verb, &str)> {
    Some(match kind {
        EventKind::Unlink { file, .. } => (Verb::Removed, file.path.text.as_str()),
        EventKind::Open { file, intent, created, .. } if intent.write => {
            (if intent.truncate && !created { Verb::Emptied } else { Verb::Wrote }, file.path.text.as_str())
        }
        EventKind::File { act: FileAct::Truncate, file: Some(file), error: None, .. } => {
            (Verb::Emptied, file.path.text.as_str())
        }
        EventKind::File { act: FileAct::Symlink, file: Some(file), error: None, .. } => {
            (Verb::Linked, file.path.text.as_str())
        }
        EventKind::Rename { file, new_path, .. } if is_elsewhere(&file.path.text, &new_path.text) => {
            (Verb::Moved, file.path.text.as_str())
        }
        EventKind::Unix { name, .. } => (Verb::Called, name.as_str()),
        _ => return None,
    })
}

/// Whether a file leaves its name and folder: a backup beside it stays, and so does a log that is
/// turned over.
fn is_elsewhere(from: &str, to: &str) -> bool {
    let is_log = |path: &str| path.starts_with(LOG_FILES) || path.starts_with("/run/log/");
    !(to.starts_with(from) || is_log(from) && is_log(to))
}

fn class_of(verb: Verb, path: &str) -> Option<usize> {
    let starts = |list: &[&str]| list.iter().any(|start| path.starts_with(start));
    let is_trace = match verb {
        Verb::Removed | Verb::Emptied | Verb::Moved => true,
        Verb::Linked => HISTORIES.iter().any(|end| path.ends_with(end)),
        Verb::Wrote | Verb::Called => false,
    };
    if !is_trace {
        return starts(OWN).then_some(SENSOR);
    }
    match path {
        _ if HISTORIES.iter().any(|end| path.ends_with(end)) => Some(HISTORY),
        _ if starts(RECORDS) => Some(LOGINS),
        _ if path.starts_with(LOG_FILES) => Some(LOGS),
        _ if starts(OWN) => Some(SENSOR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_their_class_and_what_is_like_them_has_none() {
        for (verb, path, expected) in [
            (Verb::Removed, "/root/.bash_history", Some(HISTORY)),
            (Verb::Linked, "/root/.bash_history", Some(HISTORY)),
            (Verb::Wrote, "/root/.bash_history", None),
            (Verb::Removed, "/root/.bash_history-01234.tmp", None),
            (Verb::Emptied, "/var/log/wtmp", Some(LOGINS)),
            (Verb::Removed, "/var/log/journal/a/system.journal", Some(LOGINS)),
            (Verb::Emptied, "/var/log/syslog", Some(LOGS)),
            (Verb::Wrote, "/var/log/syslog", None),
            (Verb::Wrote, "/var/lib/agentsentry/ledger", Some(SENSOR)),
            (Verb::Called, "/run/agentsentry/sensor.sock", Some(SENSOR)),
            (Verb::Called, "/run/docker.sock", None),
            (Verb::Removed, "/srv/p/var/log/x", None),
        ] {
            assert_eq!(class_of(verb, path), expected, "{verb:?} {path}");
        }
    }

    #[test]
    fn a_backup_and_a_log_that_is_turned_over_are_not_elsewhere() {
        assert!(is_elsewhere("/root/.bash_history", "/tmp/x"));
        assert!(!is_elsewhere("/root/.bash_history", "/root/.bash_history-"));
        assert!(!is_elsewhere("/var/log/syslog", "/var/log/syslog.1"));
        assert!(is_elsewhere("/var/log/syslog", "/tmp/x"));
    }
}
