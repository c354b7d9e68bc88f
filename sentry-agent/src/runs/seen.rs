//! What of a run its agent's baseline is learned from, and its agent's standing: taken event by
//! event.
//!
//! No allocation for what is known; what a flood of unknown names costs is bounded in
//! `sentry_baseline`.

use sentry_baseline::{FINDING_SORTS, FindingSort, Kind, Observed, Posture, RunFacts, Version};
use sentry_detect::{
    act::{FileAct, SocketAct},
    event::{Endpoint, Event, EventKind, File},
    finding::{DEPARTURE, Finding},
    rule::{left_control::LEFT_CONTROL, metadata_service::METADATA_SERVICE, secret_read::SECRET_READ},
    run::Output,
    runaway::Severity,
};

/// From here on a port was not chosen by anybody (`ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;
const UDP: u16 = 17;

/// Since it was last looked at, where not said otherwise.
pub struct Seen {
    pub observed: Observed,
    /// In its life.
    pub facts: RunFacts,
    /// By severity.
    pub findings: [u64; FINDING_SORTS],
    /// What the run began with; `None` where its first program was not seen.
    version: Option<Version>,
    /// The next program is the run's first.
    begins: bool,
}

impl Seen {
    /// `begins`: the run's own command is still to come.
    pub(super) fn new(begins: bool) -> Self {
        Self {
            observed: Observed::default(),
            facts: RunFacts::default(),
            findings: [0; FINDING_SORTS],
            version: None,
            begins,
        }
    }

    /// What the run began with; once.
    pub fn take_version(&mut self) -> Option<Version> {
        self.version.take()
    }

    pub(super) fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Exec { script, .. } => self.executed(event, script.as_ref()),
            EventKind::Connect { destination } | EventKind::Send { destination } => {
                self.reached(destination, event);
            }
            EventKind::TlsHello { destination, server_name } => {
                let name = format_args!("{server_name}:{}", destination.port);
                self.observed.used(Kind::Name, name, &event.id, event.time_unix_ns);
            }
            EventKind::Open { file, intent, created, .. } if !intent.path_only => {
                self.touched(file, intent.write || *created, event);
            }
            EventKind::Unlink { file, .. } | EventKind::Rename { file, .. } => {
                self.touched(file, true, event);
            }
            EventKind::File { act, file: Some(file), .. } if changes(*act) => self.touched(file, true, event),
            EventKind::Socket { act: SocketAct::Listen, local: Some(local), error: None, .. }
                if !local.address.is_loopback() =>
            {
                self.facts.note(Posture::Listens);
            }
            EventKind::Open { .. }
            | EventKind::File { .. }
            | EventKind::Socket { .. }
            | EventKind::Fork { .. }
            | EventKind::ExecFailed { .. }
            | EventKind::Exit { .. }
            | EventKind::Seed
            | EventKind::StartedOutside { .. }
            | EventKind::CgroupMove { .. }
            | EventKind::CgroupMake { .. }
            | EventKind::CgroupRemove { .. }
            | EventKind::Completeness { .. }
            | EventKind::Unix { .. }
            | EventKind::Dns { .. }
            | EventKind::Target { .. }
            | EventKind::Kernel { .. } => {}
        }
    }

    /// What followed from an input.
    pub(super) fn outputs(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Found { finding, .. } => self.found(finding),
                Output::Decided(_) | Output::LeftFrozen | Output::Close => {}
            }
        }
    }

    fn found(&mut self, finding: &Finding) {
        let rule = &finding.signal.rule;
        // It counts by its windows.
        if *rule == DEPARTURE {
            return;
        }
        let facts = [
            (SECRET_READ, Posture::SecretRead),
            (METADATA_SERVICE, Posture::MetadataService),
            (LEFT_CONTROL, Posture::LeftControl),
        ];
        for (_, fact) in facts.into_iter().filter(|(of, _)| of == rule) {
            self.facts.note(fact);
        }
        let sort = match finding.severity() {
            Severity::Informational => return,
            Severity::Low => FindingSort::Low,
            Severity::Medium => FindingSort::Medium,
            Severity::High | Severity::Critical => FindingSort::High,
        };
        self.findings[sort as usize] += 1;
    }

    fn executed(&mut self, event: &Event, script: Option<&File>) {
        if event.process.euid == Some(0) {
            self.facts.note(Posture::Root);
        }
        let Some(image) = &event.process.executable else { return };
        self.observed.executed(&image.path.text, &event.id, event.time_unix_ns);
        if std::mem::take(&mut self.begins) {
            let file = script.unwrap_or(image);
            // A file system numbers its files again only after the last use of a number is over.
            let mark = file.key.map(|key| format!("{}.{}", key.inode, key.generation));
            self.version = Some(Version { path: file.path.text.clone(), mark: mark.unwrap_or_default() });
        }
    }

    fn reached(&mut self, destination: &Endpoint, event: &Event) {
        let Endpoint { address, port, protocol } = destination;
        let suffix = if *protocol == UDP { "/udp" } else { "" };
        let (id, time) = (&event.id, event.time_unix_ns);
        if *port >= EPHEMERAL {
            self.observed.used(Kind::Address, format_args!("{address}:*{suffix}"), id, time);
        } else {
            self.observed.used(Kind::Address, format_args!("{address}:{port}{suffix}"), id, time);
        }
    }

    fn touched(&mut self, file: &File, written: bool, event: &Event) {
        self.observed.touched(&file.path.text, written, &event.id, event.time_unix_ns);
    }
}

/// Whether an act leaves a file, or its name, other than it was.
fn changes(act: FileAct) -> bool {
    match act {
        FileAct::Link
        | FileAct::Symlink
        | FileAct::MakeDirectory
        | FileAct::MakeNode
        | FileAct::Exchange
        | FileAct::Truncate
        | FileAct::ChangeMode
        | FileAct::ChangeOwner
        | FileAct::SetAttribute
        | FileAct::RemoveAttribute => true,
        FileAct::MapWrite
        | FileAct::MapExecute
        | FileAct::ProtectExecute
        | FileAct::Copy
        | FileAct::Allocate
        | FileAct::CloseWritten
        | FileAct::Receive => false,
    }
}
